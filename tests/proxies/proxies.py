"""A real nginx and a real Caddy before a real console, with the very lines that the deployment page shows.

Each runs in a folder of its own on loopback ports, with certificates of an authority made for the run. Names under
example.com lead to this machine for as long as the fixtures of this folder hold.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from socialconsole import proxy_lines
from tests.running import until

HOST, CALLBACK_HOST = "social.example.com", "login.example.com"
NAMES = ("nginx", "caddy")
PLACES = ("/usr/sbin", "/usr/local/sbin")  # beside PATH, which an ordinary user may have without them
WRITE: dict[str, Callable[[proxy_lines.Site], str]] = {"nginx": proxy_lines.nginx, "caddy": proxy_lines.caddy}
NGINX = """daemon off;
master_process off;
{user}pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{sites}
}}
"""
CADDY = """{{
    admin off
    auto_https disable_redirects
    skip_install_trust
    storage file_system {folder}/storage
    servers {{
        protocols h1
    }}
}}
{sites}
"""


def program(name: str) -> str | None:
    """Where a proxy lies on this machine."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))


def why_not(name: str) -> str:
    """Why nothing can be proved behind a proxy, and how to get it; empty if it is there."""
    if program(name):
        return ""
    return f"{name} was not found, so nothing is proved behind it. Install it (Debian: apt-get install {name})."


# ---------------------------------------------------------------- certificates


@dataclass
class Authority:
    """Signs certificates for this run. `file` is what has to be trusted."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    name: x509.Name = field(default_factory=lambda: _name("Authority of a proof"))

    def __post_init__(self) -> None:
        found = _certificate(self.name, self.name, self.key, timedelta(days=2)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(self.key, hashes.SHA256())
        self.file = self.folder / "authority.pem"
        self.file.write_bytes(found.public_bytes(serialization.Encoding.PEM))

    def certificate(self, *names: str, ends: timedelta = timedelta(days=1), signs_itself: bool = False,
                    ) -> tuple[str, str]:
        """The files of a certificate for these names, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(names[0])
        builder = _certificate(subject, subject if signs_itself else self.name, key, ends).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        made = builder.sign(key if signs_itself else self.key, hashes.SHA256())
        file, secret = (self.folder / f"{made.serial_number:x}.{kind}" for kind in ("crt", "key"))
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(file), str(secret)


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey,
                 ends: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + ends))


# ---------------------------------------------------------------- a running proxy


@dataclass
class Proxy:
    """One proxy with this configuration, running while inside `with`."""

    name: str
    folder: Path
    sites: str
    port: int

    def __enter__(self) -> "Proxy":
        where = program(self.name)
        assert where is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "configuration"
        user = "user root;\n" if os.getuid() == 0 else ""
        text = NGINX if self.name == "nginx" else CADDY
        file.write_text(text.format(folder=self.folder, sites=self.sites, user=user))
        command = {"nginx": [where, "-p", str(self.folder), "-c", str(file)],
                   "caddy": [where, "run", "--config", str(file), "--adapter", "caddyfile"]}[self.name]
        self.log = (self.folder / "output").open("w")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={
            **os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)})
        until(self.listens, 10, f"{self.name} listens")
        return self

    def listens(self) -> bool:
        """Whether it answers on its port; AssertionError if it ended instead."""
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "output").read_text() + self.sites)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()
        end = time.monotonic() + 5
        while self._is_taken() and time.monotonic() < end:
            time.sleep(0.02)

    def _is_taken(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
