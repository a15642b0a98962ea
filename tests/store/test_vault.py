"""Sealed secrets open with their key, for what they are secrets of, and otherwise not at all."""

from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.store.vault import KEY_FILE, UnreadableSecretError, Vault, open_vault

OLD, NEW = b"o" * 32, b"n" * 32


@given(st.text(max_size=100).filter(lambda text: text.isprintable()), st.text(max_size=20))
def test_what_is_sealed_opens_again_and_does_not_show(text, about):
    vault = Vault([NEW])
    stored = vault.seal(text, about)
    assert vault.open(stored, about) == text
    assert not text.strip() or len(text) < 8 or text not in stored
    assert vault.seal(text, about) != stored


def test_another_row_s_secret_does_not_open_and_neither_does_a_changed_one():
    vault = Vault([NEW])
    stored = vault.seal("whsec_abc", "endpoint 1")
    with pytest.raises(UnreadableSecretError):
        vault.open(stored, "endpoint 2")
    name, _, text = stored.rpartition(":")
    sealed = b64decode(text)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(UnreadableSecretError):
            vault.open(f"{name}:{b64encode(changed).decode()}", "endpoint 1")


def test_a_rotated_key_opens_what_the_old_one_sealed_and_seals_with_the_new_one():
    stored = Vault([OLD]).seal("whsec_abc", "e")
    both = Vault([NEW, OLD])
    assert both.open(stored, "e") == "whsec_abc"
    assert (both.is_current(stored), both.opens(stored)) == (False, True)
    fresh = both.seal("whsec_abc", "e")
    assert Vault([NEW]).open(fresh, "e") == "whsec_abc"
    assert Vault([NEW]).opens(stored) is False
    with pytest.raises(UnreadableSecretError, match="not here"):
        Vault([NEW]).open(stored, "e")


def test_what_was_stored_before_there_was_a_key_is_still_read():
    assert Vault([NEW]).open("whsec_plain", "e") == "whsec_plain"
    assert not Vault([NEW]).is_current("whsec_plain")
    assert Vault().seal("whsec_plain", "e") == "whsec_plain"


def test_the_first_start_makes_a_key_that_its_owner_alone_reads(tmp_path: Path):
    stored = open_vault(tmp_path, None).seal("whsec_abc", "e")
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert open_vault(tmp_path, None).open(stored, "e") == "whsec_abc"


def test_keys_that_are_set_come_first_and_a_wrong_one_is_not_shown(tmp_path: Path):
    keys = ",".join(b64encode(key).decode() for key in (NEW, OLD))
    vault = open_vault(tmp_path, keys)
    assert vault.open(Vault([OLD]).seal("s", "e"), "e") == "s"
    assert not (tmp_path / KEY_FILE).exists()
    with pytest.raises(InvalidInputError) as refused:
        open_vault(tmp_path, "c2hvcnQ=")
    assert "c2hvcnQ" not in str(refused.value)
    assert refused.value.field == "VALOREM_SECRET_KEYS"
