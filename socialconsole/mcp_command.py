"""The command `socialconsole mcp`: the console's tools for language models, by standard input or by HTTP on loopback.

What serves them weighs fifty megabytes, so it is loaded here, in the process that needs it, and nowhere else.
"""

import argparse
import os
from importlib import import_module
from typing import Any

from . import roles, start, terminal
from .config import Config

HOST, PORT = "127.0.0.1", 8765
KEY, ADDRESS = "SOCIALCONSOLE_API_KEY", "SOCIALCONSOLE_URL"
NO_KEY = f"There is no API key. Set {KEY} to one; an owner makes it under Programs."
ABOUT = "serve the tools for language models (MCP), by standard input and output or by HTTP"


def add_to(commands: Any) -> None:
    """Add the command to the parser's commands."""
    made = commands.add_parser("mcp", help=ABOUT, description=terminal.sentence(ABOUT) + (
        f" Key and address come from {KEY} and {ADDRESS}; by HTTP each caller sends a key of their own."),
        **terminal.epilog("mcp", f"mcp --http --port {PORT}"))
    made.add_argument("--http", action="store_true", help=f"listen on {HOST} instead of reading standard input")
    made.add_argument("--port", type=terminal.whole_number(1, 65535), metavar="N", default=PORT,
                      help=f"the port for --http (default {PORT})")


def run(config: Config, given: argparse.Namespace) -> int:
    """Serve until told to stop. Returns the exit code."""
    if given.http:
        try:
            roles.listen("--port", HOST, given.port).close()
        except roles.PortBusy as error:
            return terminal.refuse(str(error))
        return roles.serve_mcp(config, _address(config), given.port)
    key = os.environ.get(KEY, "").strip()
    if not key:
        return terminal.refuse(NO_KEY)
    import_module("socialconsole.mcp_server").serve_stdio(_address(config), key)
    return start.OK


def _address(config: Config) -> str:
    return os.environ.get(ADDRESS, "").strip().rstrip("/") or config.public_url
