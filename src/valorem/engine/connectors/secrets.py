"""Secrets of other systems: sealed before they are stored, opened only where they are used, never shown again."""

import re
from collections.abc import Mapping
from datetime import datetime

from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.sources.definition import SourceDefinition
from valorem.engine.engine import Transaction
from valorem.store.postgres import sources

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LONGEST = 10_000


def set_secret(tx: Transaction, name: str, secret: str) -> datetime:
    """Keep a secret under a name, in place of the one before.

    Raises:
        InvalidInputError: Naming what is wrong with it.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInputError(
            f"{name[:60]!r} cannot be a secret's name",
            field="name",
            hint="lower-case letters, digits and _, starting with a letter",
        )
    if not secret or len(secret) > _LONGEST:
        raise InvalidInputError(f"a secret has 1 to {_LONGEST} characters", field="secret")
    sealed = tx.vault.seal(secret, _place(tx.workspace.id, name))
    sources.set_secret(tx.connection, tx.workspace.id, name, sealed, tx.now)
    return tx.now


def list_secrets(tx: Transaction) -> dict[str, datetime]:
    """When each secret was set, by name."""
    return sources.list_secrets(tx.connection, tx.workspace.id)


def delete_secret(tx: Transaction, name: str) -> None:
    """Forget a secret.

    Raises:
        NotFoundError: If there is none of that name.
    """
    if not sources.delete_secret(tx.connection, tx.workspace.id, name):
        raise NotFoundError(f"there is no secret {name[:60]!r}", field="name")


def open_secrets(tx: Transaction, definition: SourceDefinition) -> Mapping[str, str]:
    """Everything a source needs, opened.

    Raises:
        UnprocessableError: Naming a secret that has not been set.
        UnreadableSecretError: If one does not open with the keys that are here.
    """
    names = sorted(set(definition.secrets()))
    sealed = sources.load_secrets(tx.connection, tx.workspace.id, names)
    if missing := [name for name in names if name not in sealed]:
        raise UnprocessableError(
            f"the secret {missing[0]} of source {definition.source} has not been set",
            field=missing[0],
            hint=f"valorem sources secret {missing[0]}",
        )
    return {name: tx.vault.open(each, _place(tx.workspace.id, name)) for name, each in sealed.items()}


def reseal_secrets(tx: Transaction) -> int:
    """Seal every secret of the workspace with the newest key, where it is not yet; how many that changed.

    One whose key is not here stays as it is: :func:`open_secrets` and ``valorem doctor`` say so.
    """
    changed = 0
    for name, sealed in sources.load_sealed(tx.connection, tx.workspace.id).items():
        if tx.vault.is_current(sealed) or not tx.vault.opens(sealed):
            continue
        place = _place(tx.workspace.id, name)
        fresh = tx.vault.seal(tx.vault.open(sealed, place), place)
        changed += sources.reseal_secret(tx.connection, tx.workspace.id, name, sealed, fresh)
    return changed


def _place(workspace: int, name: str) -> str:
    return f"source secret {workspace}/{name}"
