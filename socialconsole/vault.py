"""Secrets at rest: seal, open, rotate keys.

AES-256-GCM with a key of its own for each record (HKDF), and the record's identity as associated data: a sealed
value moved to another row, column or version does not open. Layout of a sealed value:
format byte, key id (4 bytes), nonce (12 bytes), ciphertext with tag. Keys live in the environment, never here.
"""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = b"\x01"
HEAD = 1 + 4
NONCE = 12


class Unreadable(Exception):
    """A sealed value does not open with any key we have, or belongs to another record."""


def key_id(key: bytes) -> bytes:
    """The four bytes that name a key inside the values it sealed."""
    return hashlib.sha256(b"key-id" + key).digest()[:4]


class Vault:
    """Seals and opens with a ring of keys, newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._ring = {key_id(raw): raw for raw in (bytes.fromhex(key) for key in reversed(keys))}
        self._newest = key_id(bytes.fromhex(keys[0]))

    def __repr__(self) -> str:
        return f"Vault({len(self._ring)} keys)"

    def seal(self, plain: str, *where: str) -> bytes:
        """The sealed value of `plain` for the record named by `where` (table, column, workspace, id, version)."""
        head = FORMAT + self._newest
        nonce = os.urandom(NONCE)
        return head + nonce + self._cipher(self._newest, where).encrypt(nonce, plain.encode(), head + _name(where))

    def open(self, sealed: bytes, *where: str) -> str:
        """The plain value; raises Unreadable when key, record or content do not fit."""
        head, nonce, rest = sealed[:HEAD], sealed[HEAD : HEAD + NONCE], sealed[HEAD + NONCE :]
        if head[:1] != FORMAT or head[1:] not in self._ring:
            raise Unreadable("sealed with a key that is not here")
        try:
            return self._cipher(head[1:], where).decrypt(nonce, rest, head + _name(where)).decode()
        except (InvalidTag, ValueError):
            raise Unreadable("the sealed value does not belong to this record") from None

    def derive(self, *where: str) -> bytes:
        """A secret value that belongs to `where` and can be made again: for addresses that must not be guessed."""
        return HKDF(SHA256(), 32, salt=None, info=b"derived" + _name(where)).derive(self._ring[self._newest])

    def is_current(self, sealed: bytes) -> bool:
        """Whether the newest key sealed this value."""
        return sealed[1:HEAD] == self._newest

    def has_key(self, sealed: bytes) -> bool:
        """Whether the key that sealed this value is here. The first bytes of the value are enough."""
        return sealed[:1] == FORMAT and sealed[1:HEAD] in self._ring

    def _cipher(self, key: bytes, where: tuple[str, ...]) -> AESGCM:
        # A key per record keeps the number of random nonces under one key far below the limit of GCM (2^32).
        derived = HKDF(SHA256(), 32, salt=None, info=b"record" + _name(where))
        return AESGCM(derived.derive(self._ring[key]))


def _name(where: tuple[str, ...]) -> bytes:
    """One unambiguous byte string for a record's identity."""
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in where)
