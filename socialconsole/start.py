"""Starting: what is checked before anything runs, and the whole console under its supervisor."""

import fcntl
import gc
import logging
import os
import socket
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from . import (
    access,
    create_app,
    database,
    installation_apply,
    keys,
    logs,
    outside,
    processes,
    roles,
    store,
    supervisor,
)
from . import config as settings
from .config import Config
from .config_checks import is_missing_key

log = logging.getLogger("socialconsole.start")

OK, REFUSED, WRONG = 0, 1, 2
LOCK_NAME = "run.lock"
STORE_SECONDS = 5.0  # how long a part waits for the store
NO_STORE = "The store does not answer. Check REDIS_URL, and that the server is up."
NO_EMBEDDED_STORE = ("The store does not answer. The embedded one runs under `socialconsole run`: start that, or set "
                     "REDIS_URL to a server.")
PREDECESSOR_SECONDS = 5.0  # how long a killed console's children may take to follow it


def say_problems(problems: list[str]) -> int:
    """Say all of them at once on standard error; returns the exit code."""
    print("Social Console cannot start:", *(f"- {problem}" for problem in problems), sep="\n", file=sys.stderr)
    return WRONG


def say_refusal(error: Exception) -> int:
    """Say one reason in one line; returns the exit code."""
    print(f"Social Console cannot start: {error}", file=sys.stderr)
    return REFUSED


def say_warnings(config: Config) -> None:
    """Say what should be mended and does not stop the start."""
    for warning in config.warnings:
        print(f"Note: {warning}", file=sys.stderr)


def database_problems(config: Config, *, wants_current: bool) -> list[str]:
    """What is wrong with the database and with the keys for it, in words; nothing if both fit."""
    try:
        return _migrating().problems(config, wants_current=wants_current) or keys.problems(config)
    except SQLAlchemyError as error:
        return [f"The database cannot be opened ({_first_line(error)}). Check DATABASE_URL, and that the database "
                "is up."]


def _migrating() -> Any:
    """The module that changes tables. Alembic weighs ten megabytes, and the process that everything is forked from
    must not carry it: this is called in a child, or in a command that ends."""
    return import_module("socialconsole.migrating")


def upgrade(config: Config) -> Path | None:
    """Bring the database to this version; returns the copy made before, if one was."""
    settings.make_instance(config)
    copy: Path | None = _migrating().upgrade(config, outside.now())
    keys.plant(config)
    return copy


def part_problems(config: Config, *, wants_store: bool) -> list[str]:
    """What keeps one part from starting: settings, a database that only `run` and `upgrade` may change, no store."""
    found = config.problems or database_problems(config, wants_current=True)
    if not found and wants_store and not store.wait(config, STORE_SECONDS):
        return [NO_EMBEDDED_STORE if config.embedded_store else NO_STORE]
    return found


def checked_app() -> Flask:
    """The web app for a WSGI server of the person's own; ends the process where the settings are wrong."""
    config = settings.read()
    found = part_problems(config, wants_store=False)
    if found:
        sys.exit(say_problems(found))
    say_warnings(config)
    logs.configure(config)
    return create_app(config)


def run_background(count: int = 1, *, ticker: bool = True) -> int:
    """Run so many workers, and the ticker, until told to stop; returns an exit code."""
    config = settings.read()
    found = processes.in_child(lambda: part_problems(config, wants_store=True))
    if found:
        return say_problems(found)
    logs.configure(config)
    return supervisor.Supervisor(roles.background_roles(create_app(config), count, ticker=ticker)).run()


def prepare(config: Config) -> dict[str, Any]:
    """Check and migrate the database, and take over the file that CONSOLE_FILE names.

    Returns `problems`, the `copy` made before, what became of the file (`told`), and the set-up `link` if due.
    """
    found = database_problems(config, wants_current=False)
    if found:
        return {"problems": found}
    copy = upgrade(config)
    found = keys.problems(config)  # another host may have made the database, with its own keys, a moment before us
    if found:
        return {"problems": found}
    with create_app(config).app_context():
        found, told = installation_apply.at_start(outside.now())
        link = access.setup_link(config)
    return {"problems": found, "copy": str(copy) if copy else None, "told": told, "link": link}


def first_keys(config: Config) -> Config:
    """The settings again, with keys made on a first run; says once where they are."""
    if not settings.has_no_keys(config):
        return config
    known = config.database_url.startswith("sqlite")
    is_new = None if known else processes.in_child(lambda: database.revision(config) is None)
    if not settings.first_keys(config, database_is_new=is_new):
        return config
    print(f"Two keys were made in {_short(config.keys_file)}. Back this file up: without it, stored tokens cannot "
          "be opened.")
    return settings.read()


def run(config: Config) -> int:
    """Run the whole console until it is told to stop; returns an exit code."""
    first_run = settings.has_no_keys(config)
    found = [problem for problem in config.problems if not (first_run and is_missing_key(problem))]
    if found:
        return say_problems(found)
    settings.make_instance(config)
    lock = _lock(config)
    if lock is None:
        return REFUSED
    try:
        config = first_keys(config)
        if config.problems:
            return say_problems(config.problems)
        say_warnings(config)
        return _run_locked(config)
    except (roles.PortBusy, store.StoreMissing, processes.ChildFailed) as error:
        return say_refusal(error)


def _run_locked(config: Config) -> int:
    listener = roles.listen("BIND", config.bind_host, config.bind_port)
    if config.sandbox:
        roles.listen("SANDBOX_BIND", config.sandbox_host, config.sandbox_port).close()
    if config.embedded_store:
        store.binary()
    elif not processes.in_child(lambda: store.wait(config, STORE_SECONDS)):
        return say_problems([NO_STORE])
    prepared = processes.in_child(lambda: prepare(config))
    if prepared["problems"]:
        return say_problems(prepared["problems"])
    if prepared["copy"]:
        print(f"The database was brought up to date. A copy of it from before: {_short(Path(prepared['copy']))}")
    for line in prepared["told"]:
        print(f"CONSOLE_FILE: {line}")
    logs.configure(config)
    app = create_app(config)
    return _supervise(config, app, listener, prepared["link"])


def _supervise(config: Config, app: Flask, listener: socket.socket, link: str | None) -> int:
    ready, announce = os.pipe()

    def on_ready() -> None:
        print(f"Social Console is ready. Open {link or config.public_url}", flush=True)

    def on_web_ready() -> None:
        os.write(announce, b".")

    # Everything is made by now, once for all. Frozen objects are never touched by the collector, so the forks go on
    # sharing them.
    configure_mappers()
    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)
    gc.collect()
    gc.freeze()
    mine = roles.all_roles(config, app, listener, on_web_ready)
    return supervisor.Supervisor(mine, ready, on_ready).run()


def _lock(config: Config) -> Any:
    """The open lock file of this instance folder; None, and a line that says so, if another console has it.

    The children inherit the lock: after a kill of the supervisor it is free only when all of them are gone.
    """
    path = config.instance_path / LOCK_NAME
    file = path.open("a+", encoding="utf-8")
    until = time.monotonic() + PREDECESSOR_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            pid, _, url = path.read_text(encoding="utf-8").partition(" ")
            if (pid.isdigit() and _lives(int(pid))) or time.monotonic() > until:
                print(f"Social Console already runs in {_short(config.instance_path)} (process {pid or 'unknown'}): "
                      f"{url.strip() or config.public_url}", file=sys.stderr)
                return None
            time.sleep(0.1)
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()} {config.public_url}\n")
    file.flush()
    return file


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _short(path: Path) -> str:
    """The path as seen from where we are, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _first_line(error: Exception) -> str:
    return logs.safe(str(getattr(error, "orig", None) or error).splitlines()[0])
