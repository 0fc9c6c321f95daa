"""RQ's entry points: a short list of ids in, one service call for each, side by side. Jobs carry no truth of their own.

A job may run twice, late or never: the rows stay right, because each service takes its row by one conditional UPDATE.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from flask import Flask

from . import connections, logs, media, outside, profile_sync, publishing, tokens
from .extensions import db

log = logging.getLogger("socialconsole.jobs")

MOST_THREADS = 16
_app: list[Flask] = []


def use_app(app: Flask) -> None:
    """The app whose database and keys the jobs of this process work with."""
    _app[:] = [app]


def deliver(ids: list[str]) -> None:
    """Do the next step of these deliveries."""
    _each(publishing.deliver, ids)


def upload(ids: list[str]) -> None:
    """Do the next steps of deliveries that carry much; they have a queue of their own."""
    _each(publishing.deliver, ids)


def refresh(ids: list[str]) -> None:
    """Renew these grants."""
    _each(tokens.refresh, ids)


def sync(ids: list[str]) -> None:
    """Read these accounts' profiles."""
    _each(profile_sync.sync, ids)


def tidy(ids: list[str]) -> None:
    """Clear away these attempts that nobody finished."""
    _each(connections.tidy, ids)


def clean(what: list[str]) -> None:
    """Clear away files that no post needs."""
    _each(lambda _: media.tidy(outside.now()), what)


def _each(serve: Callable[[str], object], ids: list[str]) -> None:
    """Serve each id; one that breaks never stops the others."""
    if len(ids) == 1:
        _one(serve, ids[0])
        return
    with ThreadPoolExecutor(min(MOST_THREADS, len(ids))) as pool:
        list(pool.map(partial(_one, serve), ids))


def _one(serve: Callable[[str], object], row_id: str) -> None:
    with _app[0].app_context(), logs.about(row_id):
        try:
            serve(row_id)
        except Exception:  # whatever one row does, the rest of the batch goes on, and the ticker rings again
            log.exception("job broke off", extra={"row": row_id})
        finally:
            db.session.remove()
