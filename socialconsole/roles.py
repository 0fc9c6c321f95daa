"""What the console's processes do, each on its own or as a role under the supervisor."""

import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from . import logs, processes, sandbox, store, workers
from . import ticker as ticking
from .config import Config
from .supervisor import Role

# One process serves a small team, and a second would cost a sixth of all memory; `socialconsole web` adds more.
WEB_PROCESSES, WEB_THREADS = 1, 16
ANSWER_SECONDS = 10  # how long a stopping web server waits for answers under way
# Posts are finished or handed back within 16 seconds. A renewal under way cannot be handed back: its answer may be the
# only living token, so a platform that takes its time is waited for. The ticker may have a stand-in at work.
WORKER_STOP_SECONDS = 45
SANDBOX_STATE = "sandbox.db"


class PortBusy(RuntimeError):
    """The address cannot be listened on; the message is one line for people."""


def listen(name: str, host: str, port: int) -> socket.socket:
    """A socket that listens on the address that setting `name` gives. Raises PortBusy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PortBusy(f"{host}:{port} cannot be used ({(error.strerror or str(error)).lower()}). "
                       f"Stop the program that has it, or set {name} to another address.") from None
    return listener


class WebServer(BaseApplication):
    """gunicorn around an app that is already made, so that its processes share our memory."""

    def __init__(self, app: Flask, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        self._app, self._listener, self._on_ready = app, listener, on_ready
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings; none comes from its own files or variables."""
        settings: dict[str, Any] = {
            "bind": f"fd://{os.dup(self._listener.fileno())}",
            "worker_class": "gthread",
            "workers": WEB_PROCESSES,
            "threads": WEB_THREADS,
            "graceful_timeout": ANSWER_SECONDS,
            "keepalive": 5,
            "accesslog": None,
            "loglevel": "warning",
            "logger_class": logs.ServerLogger,
            # Which headers of a proxy count is decided in one place, from TRUSTED_PROXIES; gunicorn would believe
            # anybody on this machine.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "post_fork": lambda server, _worker: processes.die_with_parent(server.pid),
            "post_worker_init": lambda _worker: self._on_ready(),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The app."""
        return self._app


def run_web(app: Flask, listener: socket.socket, on_ready: Callable[[], None] = lambda: None) -> int:
    """Serve the app on that socket until told to stop; ends the process as gunicorn does."""
    WebServer(app, listener, on_ready).run()
    return 0


def run_sandbox(config: Config) -> int:
    """Serve the sandbox until told to stop."""
    sandbox.serve(config.sandbox_url, config.sandbox_host, config.sandbox_port, config.instance_path / SANDBOX_STATE)
    return 0


def serve_mcp(config: Config, address: str, port: int) -> int:
    """Serve the tools for language models on loopback until told to stop, as a client of the console at this address.

    What serves them weighs fifty megabytes, so it is loaded in the process that needs it and nowhere else.
    """
    import_module("socialconsole.mcp_server").serve_http(address, port, config.public_url)
    return 0


def all_roles(config: Config, app: Flask, listener: socket.socket, on_ready: Callable[[], None]) -> list[Role]:
    """The roles of a whole console in the order they start. The web stops first, the store last."""
    roles = []
    if config.embedded_store:
        # SIGTERM lets it write its file to the end even when the supervisor was killed.
        roles.append(Role("store", partial(_serve_store, config), stop_step=4, stop_seconds=10,
                          is_ready=partial(store.answers, config), parent_death=signal.SIGTERM))
    if config.sandbox:
        roles.append(Role("sandbox", partial(run_sandbox, config), stop_step=3, stop_seconds=5))
    roles += background_roles(app, config.workers)
    if config.mcp_port:
        roles.append(Role("mcp", partial(serve_mcp, config, config.public_url, config.mcp_port), stop_step=0,
                          stop_seconds=ANSWER_SECONDS))
    roles.append(Role("web", partial(run_web, app, listener, on_ready), stop_step=0, stop_seconds=ANSWER_SECONDS + 2))
    return roles


def background_roles(app: Flask, count: int, *, ticker: bool = True) -> list[Role]:
    """So many workers, and a ticker: several of them on several machines do no harm."""
    tickers = [Role("ticker", partial(ticking.run_ticker, app), stop_step=1,
                    stop_seconds=WORKER_STOP_SECONDS)] if ticker else []
    return tickers + [
        Role(f"worker {number}", partial(workers.run_worker, app, number, count), stop_step=2,
             stop_seconds=WORKER_STOP_SECONDS)
        for number in range(1, count + 1)]


def _serve_store(config: Config) -> int:
    store.serve(config)
    return 1
