"""The files of `static/`: read once at start, compressed once, served under an address that names their content.

An address never changes its content, so a browser keeps the file for good and asks for nothing on the next visit.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request, url_for

from .access import requires

STATIC = Path(__file__).parent / "static"
A_YEAR = 31_536_000
bp = Blueprint("assets", __name__)


@dataclass(frozen=True)
class Asset:
    """One file: its content, the same compressed, its type, and the hash that its address carries."""

    plain: bytes
    packed: bytes
    kind: str
    digest: str


def read(folder: Path = STATIC) -> dict[str, Asset]:
    """All files of a folder by their path within it."""
    return {path.relative_to(folder).as_posix(): _asset(path)
            for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")}


def _asset(path: Path) -> Asset:
    plain = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return Asset(plain, gzip.compress(plain, 9, mtime=0), kind, hashlib.sha256(plain).hexdigest()[:12])


def init_app(app: Flask) -> None:
    """Read the files; add their route and `asset(name)` for templates."""
    app.extensions["assets"] = read()
    app.register_blueprint(bp)
    app.jinja_env.globals["asset"] = asset


def asset(name: str) -> str:
    """The address of a file of `static/`. Raises KeyError if there is none."""
    return url_for("assets.file", digest=current_app.extensions["assets"][name].digest, name=name)


@bp.get("/static/<digest>/<path:name>")
@requires("public")
def file(digest: str, name: str) -> Response:
    """One file. An address of an older release gets the present file, but may not be kept."""
    found: Asset | None = current_app.extensions["assets"].get(name)
    if found is None:
        abort(404)
    packs = request.accept_encodings.quality("gzip") > 0 and len(found.packed) < len(found.plain)
    answer = Response(found.packed if packs else found.plain, content_type=found.kind)
    if packs:
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Vary"] = "Accept-Encoding"
    current = digest == found.digest
    answer.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable" if current else "no-cache"
    return answer
