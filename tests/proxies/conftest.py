"""The consoles behind the proxies: one for each right set-up, started once for nginx and Caddy alike."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from socialconsole import config as settings
from socialconsole import create_app, proxy_lines
from tests.conftest import close
from tests.proxies.proxies import CALLBACK_HOST, HOST, NAMES, WRITE, Authority, Proxy, why_not
from tests.running import Console, free_port


@pytest.fixture(autouse=True, scope="package")
def names_lead_here() -> Iterator[None]:
    """Names under example.com are this machine, for whoever asks from this process."""
    patch = pytest.MonkeyPatch()
    known = socket.getaddrinfo

    def found(host: Any, *more: Any, **named: Any) -> Any:
        if host == "nowhere.example.com":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known("127.0.0.1" if str(host).endswith(".example.com") else host, *more, **named)

    patch.setattr(socket, "getaddrinfo", found)
    yield
    patch.undo()


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """The authority that this process and the consoles trust."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    patch = pytest.MonkeyPatch()
    patch.setenv("REQUESTS_CA_BUNDLE", str(made.file))
    for name in [one for one in os.environ if one.lower().endswith("_proxy")]:
        patch.delenv(name)
    yield made
    patch.undo()


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> str:
    """nginx, then Caddy. Without one the test is skipped and says how to get it; in CI it fails."""
    name: str = request.param
    missing = why_not(name)
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return name


class Ground:
    """A console and the address that a proxy is to serve it at."""

    def __init__(self, folder: Path, authority: Authority, *, https: bool, prefix: str = "",
                 host: str = HOST) -> None:
        self.folder, self.port, self.authority = folder, free_port(), authority
        certificate, key = authority.certificate(HOST, CALLBACK_HOST) if https else ("", "")
        self.console = Console(folder / "instance", TRUSTED_PROXIES="1", SANDBOX="on",
                               REQUESTS_CA_BUNDLE=str(authority.file))
        self.site = proxy_lines.Site(host, self.port, https, prefix, f"127.0.0.1:{self.console.port}", certificate, key)
        self.url = self.site.address + prefix
        self.console.environ["API_PUBLIC_URL"] = self.url

    def start(self) -> "Ground":
        """Start the console and set it up."""
        self.console.start()
        self.console.set_up()
        self.app = create_app(settings.read(self.console.environ))
        return self

    def stop(self) -> None:
        """Stop the console."""
        self.console.stop()
        if hasattr(self, "app"):
            close(self.app)

    def proxy(self, kind: str, change: Callable[[str], str] = str, *further: proxy_lines.Site) -> Proxy:
        """A proxy with the lines of the deployment page, changed."""
        sites = "\n".join(change(WRITE[kind](site)) for site in (self.site, *further))
        return Proxy(kind, self.folder / kind, sites, self.port)

    @property
    def inside(self) -> Flask:
        """A second look into the console, with its settings and its database."""
        return self.app


def _ground(tmp_path_factory: pytest.TempPathFactory, authority: Authority, **options: Any) -> Iterator[Ground]:
    made = Ground(tmp_path_factory.mktemp("ground"), authority, **options)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="package")
def plain(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Ground]:
    """At a plain host, by a name that the console's own processes can resolve."""
    yield from _ground(tmp_path_factory, authority, https=False, host="localhost")


@pytest.fixture(scope="package")
def below(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Ground]:
    """Below a path, by TLS."""
    yield from _ground(tmp_path_factory, authority, https=True, prefix="/console")


@pytest.fixture(scope="package")
def encrypted(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Ground]:
    """TLS ends at the proxy."""
    yield from _ground(tmp_path_factory, authority, https=True)
