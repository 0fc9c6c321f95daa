"""Do the keys of this start open what is in the database? If not, the start stops and nothing is changed."""

from sqlalchemy import Connection, func, insert, select, update

from .config import Config
from .database import engine_of, revision, start_alone
from .models import Account, ConnectionAttempt, Grant, Installation, PlatformApp
from .vault import HEAD, Unreadable, Vault

CANARY = "key_canary"
PLAIN = "the keys fit"
SEALED = (PlatformApp.secret_sealed, Grant.access_sealed, Grant.refresh_sealed, Account.own_token_sealed,
          ConnectionAttempt.consent_sealed, ConnectionAttempt.verifier_sealed)
WHERE = ("sealed", "installation", "", CANARY, "1")


def plant(config: Config) -> None:
    """Seal one known value with the newest key; later starts must be able to open it."""
    engine = engine_of(config)
    try:
        with engine.connect().execution_options(writing=True) as connection, connection.begin():
            start_alone(connection)
            ring = Vault(config.token_keys)
            known = connection.scalar(select(Installation.sealed).where(Installation.name == CANARY))
            if known is None:
                connection.execute(insert(Installation).values(name=CANARY, sealed=ring.seal(PLAIN, *WHERE)))
            elif _opens(config, known) and not ring.is_current(known):
                connection.execute(update(Installation).where(Installation.name == CANARY)
                                   .values(sealed=ring.seal(PLAIN, *WHERE)))
    finally:
        engine.dispose()


def problems(config: Config) -> list[str]:
    """What is wrong with the keys, in words: they do not open the known value of this database."""
    if revision(config) is None:
        return []
    engine = engine_of(config)
    try:
        with engine.connect() as connection:
            sealed = connection.scalar(select(Installation.sealed).where(Installation.name == CANARY))
            rows = _sealed_by_others(config, connection)
            if (sealed is None or _opens(config, sealed)) and not rows:
                return []
    finally:
        engine.dispose()
    return [f"TOKEN_ENCRYPTION_KEY does not open what is in the database ({rows} sealed rows). Put the key back that "
            "was used before, from your backup of console.env, or add it after the new one, separated by a comma. "
            "Nothing was changed."]


def _sealed_by_others(config: Config, connection: Connection) -> int:
    """How many sealed values name a key that is not here."""
    ring, count = Vault(config.token_keys), 0
    for column in SEALED:
        head = func.substr(column, 1, HEAD)
        for found, number in connection.execute(select(head, func.count()).where(column.is_not(None)).group_by(head)):
            count += 0 if ring.has_key(bytes(found)) else number
    return count


def _opens(config: Config, sealed: bytes) -> bool:
    try:
        return Vault(config.token_keys).open(sealed, *WHERE) == PLAIN
    except Unreadable:
        return False
