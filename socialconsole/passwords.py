"""Passwords: the rule for a good one, and argon2 hashes whose checking always takes the same time."""

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 10
LONGEST = 500

# OWASP's second choice for argon2id: 19 MiB, two passes, one lane.
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Each check takes 19 MiB; a burst of sign-ins must wait instead of filling the memory.
_slots = BoundedSemaphore(2)


def problem(password: str, email: str) -> str:
    """Why this cannot be somebody's password, in words; empty if it can."""
    if len(password) < SHORTEST:
        return f"Choose at least {SHORTEST} characters. A few words in a row are easy to remember."
    if len(password) > LONGEST:
        return f"Choose at most {LONGEST} characters."
    if password.strip().lower() == email.strip().lower():
        return "The password must not be the e-mail address, since that is known to others."
    if len(set(password)) < 4:
        return "This password repeats the same few characters. Choose another one."
    return ""


def hashed(password: str) -> str:
    """The hash to store."""
    with _slots:
        return _hasher.hash(password)


def fits(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the stored hash; without one, False after the same work."""
    with _slots:
        try:
            _hasher.verify(stored or _nobodys_hash(), password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("a password that nobody has")
