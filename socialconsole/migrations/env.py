"""Alembic's entry: runs inside the connection and transaction that `socialconsole.database` opened."""

from typing import Any, Literal

from alembic import context

from socialconsole import models_api
from socialconsole.database import UtcDateTime


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """A migration must not depend on today's code: our own column types are written as what they store."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=models_api.Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_item,
    transactional_ddl=False,  # the caller holds the one transaction
)
context.run_migrations()
