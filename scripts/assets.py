"""Fetch htmx: download the wheel that assets.lock pins by hash and take its one file into `static/vendor/`.

Nothing of others is committed, no JavaScript tool is needed, and pip checks the hash.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "django_htmx/static/django_htmx/htmx-4.min.js"
TARGET = ROOT / "socialconsole" / "static" / "vendor" / "htmx.min.js"


def download(folder: Path) -> Path:
    """The wheel of assets.lock, fetched into `folder`; raises CalledProcessError if pip could not."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    options = ["-qq", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, "download", *options, "-r", str(ROOT / "assets.lock"), "-d", str(folder)], check=True)
    return next(folder.glob("*.whl"))


def main() -> int:
    """Put the file in its place; 0 if it worked."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheel = download(Path(folder))
        except subprocess.CalledProcessError:
            print("htmx could not be fetched; the lines above say why. A first start needs the network.",
                  file=sys.stderr)
            return 1
        content = zipfile.ZipFile(wheel).read(INSIDE)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    part = TARGET.with_suffix(".part")
    part.write_bytes(content)
    part.replace(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
