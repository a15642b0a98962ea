"""The vault: secrets that must be read again are kept sealed in the database; the key is elsewhere.

AES-256 in Galois/Counter mode, from the ``cryptography`` library, with a fresh random nonce each time. What a secret is of
is authenticated with it, so a sealed secret moved to another row does not open.
"""

import os
import secrets
from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from valorem.core.errors import InvalidInputError, ValoremError

#: The key of an installation that sets none, in its data folder.
KEY_FILE = "secret.key"
_MARK = "sealed:1:"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class UnreadableSecretError(ValoremError):
    """A sealed secret whose key is not here, or that was tampered with."""

    code = "unreadable_secret"


class Vault:
    """Seals with its first key, opens with any of them; without keys it keeps text as it is.

    Args:
        keys: 32 bytes each, the newest first.
    """

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._newest = _name(keys[0]) if keys else None

    def seal(self, text: str, about: str) -> str:
        """The text as it may be stored.

        Args:
            text: The secret.
            about: What it is the secret of; the same is needed to open it.
        """
        if self._newest is None:
            return text
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, text.encode(), about.encode())
        return f"{_MARK}{self._newest}:{b64encode(nonce + sealed).decode()}"

    def open(self, stored: str, about: str) -> str:
        """The secret again; what was stored before there was a key is given as it is.

        Raises:
            UnreadableSecretError: If its key is not here, or it is not the secret of that.
        """
        if not stored.startswith(_MARK):
            return stored
        name, _, text = stored.removeprefix(_MARK).partition(":")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise UnreadableSecretError(
                f"this secret was sealed with key {name}, which is not here",
                hint="add that key to VALOREM_SECRET_KEYS, or bring back secret.key; else make a new secret",
            )
        try:
            sealed = b64decode(text, validate=True)
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, NotBase64Error, ValueError):
            raise UnreadableSecretError(
                "this sealed secret was changed, or is another's", hint="make a new secret"
            ) from None

    def is_current(self, stored: str) -> bool:
        """Whether it is sealed with the newest key."""
        return self._newest is None or stored.startswith(f"{_MARK}{self._newest}:")

    def opens(self, stored: str) -> bool:
        """Whether its key is here, or it needs none."""
        return not stored.startswith(_MARK) or stored.removeprefix(_MARK).partition(":")[0] in self._ciphers


def open_vault(folder: Path, setting: str | None, *, make: bool = True) -> Vault:
    """The installation's vault: by the keys that are set, else by those in its data folder, the first made when needed.

    Args:
        folder: The data folder.
        setting: Keys, each 32 bytes in base64, with commas between, the newest first.
        make: Whether to make a key where there is none.

    Raises:
        InvalidInputError: If a key does not read.
    """
    if setting is not None:
        return Vault([read_key(each, "VALOREM_SECRET_KEYS") for each in setting.split(",") if each.strip()])
    path = folder / KEY_FILE
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        text = _made(path) if make else ""
    return Vault([read_key(each, str(path)) for each in text.split()])


def read_key(text: str, field: str) -> bytes:
    """A key from base64.

    Raises:
        InvalidInputError: Naming the field, without the key.
    """
    try:
        key = b64decode(text.strip(), validate=True)
    except (NotBase64Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise InvalidInputError(
            "a key is 32 bytes in base64", field=field, hint="make one with: openssl rand -base64 32"
        )
    return key


def _made(path: Path) -> str:
    """A new key, in a file that its owner alone reads; the one somebody else made in the same moment, where one did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = b64encode(secrets.token_bytes(_KEY_BYTES)).decode() + "\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(file, "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return text


def _name(key: bytes) -> str:
    return sha256(b"valorem key " + key).hexdigest()[:8]
