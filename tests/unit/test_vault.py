"""Sealed values open only with their key, in their own record."""

import pytest

from socialconsole.vault import Unreadable, Vault

KEY, OTHER = "0f" * 31 + "a7", "3c" * 31 + "b9"
WHERE = ("access", "grant", "wsp_1", "grt_1", "1")


def test_what_is_sealed_opens_again():
    vault = Vault([KEY])
    assert vault.open(vault.seal("token", *WHERE), *WHERE) == "token"


@pytest.mark.parametrize("part", range(5))
def test_a_value_moved_to_another_column_row_workspace_or_version_does_not_open(part):
    vault = Vault([KEY])
    moved = list(WHERE)
    moved[part] += "0"
    with pytest.raises(Unreadable):
        vault.open(vault.seal("token", *WHERE), *moved)


def test_parts_of_the_identity_cannot_be_shifted_into_each_other():
    vault = Vault([KEY])
    with pytest.raises(Unreadable):
        vault.open(vault.seal("token", "ab", "c"), "a", "bc")


@pytest.mark.parametrize("place", [0, 1, 5, 17, -1])
def test_a_changed_byte_does_not_open(place):
    vault = Vault([KEY])
    sealed = bytearray(vault.seal("token", *WHERE))
    sealed[place] ^= 1
    with pytest.raises(Unreadable):
        vault.open(bytes(sealed), *WHERE)


@pytest.mark.parametrize("length", [0, 1, 5, 16, 30])
def test_a_cut_value_does_not_open(length):
    vault = Vault([KEY])
    with pytest.raises(Unreadable):
        vault.open(vault.seal("token", *WHERE)[:length], *WHERE)


def test_an_older_key_of_the_ring_still_opens_and_the_newest_one_seals():
    old = Vault([OTHER]).seal("token", *WHERE)
    ring = Vault([KEY, OTHER])
    assert ring.open(old, *WHERE) == "token"
    assert not ring.is_current(old)
    assert ring.is_current(ring.seal("token", *WHERE))


def test_another_key_opens_nothing():
    with pytest.raises(Unreadable):
        Vault([OTHER]).open(Vault([KEY]).seal("token", *WHERE), *WHERE)


def test_the_same_value_never_looks_the_same_twice():
    vault = Vault([KEY])
    assert len({vault.seal("token", *WHERE) for _ in range(50)}) == 50


def test_neither_key_nor_value_shows_in_its_repr():
    assert KEY not in repr(Vault([KEY]))


def test_a_derived_value_is_the_same_for_the_same_place_and_key_and_no_other():
    vault = Vault([KEY])
    made = vault.derive("link", "dlv_1", "med_1")
    assert made == Vault([KEY, OTHER]).derive("link", "dlv_1", "med_1") and len(made) == 32
    others = (vault.derive("link", "dlv_1m", "ed_1"), vault.derive("link", "dlv_2", "med_1"),
              Vault([OTHER]).derive("link", "dlv_1", "med_1"))
    assert made not in others
