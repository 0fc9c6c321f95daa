"""The tree itself: nothing of one machine, nothing of others, no host of a package registry."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-test.lock", "assets.lock")
# Written in pieces, so that this file does not hold what it looks for.
REGISTRIES = re.compile("|".join(("py" r"pi\.org", "python" r"hosted\.org", "np" r"mjs\.(org|com)", "deb" r"ian\.org",
                                  "un" r"pkg\.com", "jsdel" r"ivr\.net", "cdn" r"js\.")), re.IGNORECASE)
MACHINE = re.compile(r"(?:^|[^\w.])/(?:" + "|".join(("wo" "rk", "ro" "ot", "ho" "me/[a-z]", "Us" "ers/[a-z]", "tm" "p"))
                     + r")/[A-Za-z.]")


def files() -> Iterator[Path]:
    """Every file that is committed or would be."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT,
                            capture_output=True, check=True, text=True).stdout
    yield from sorted(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())


def texts() -> Iterator[tuple[str, int, str]]:
    """Name, line number and line of every text file."""
    for path in files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        yield from ((str(path.relative_to(ROOT)), number, line) for number, line in enumerate(lines, 1))


def found(pattern: re.Pattern[str]) -> list[str]:
    return [f"{name}:{number}" for name, number, line in texts() if pattern.search(line)]


def test_no_file_names_a_package_registry() -> None:
    assert found(REGISTRIES) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert found(MACHINE) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_with_hashes_and_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9][^\n]*(?:\n    --hash[^\n]*)*", text, re.MULTILINE)
    assert pins and all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_the_lock_holds_what_the_console_asks_for() -> None:
    asked = re.findall(r"^([a-z0-9-]+)", (ROOT / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(asked) <= pinned


def test_nothing_made_by_others_is_committed() -> None:
    names = [str(path.relative_to(ROOT)) for path in files()]
    endings = (".min.js", ".min.css", ".woff2", ".map")
    assert [name for name in names if "vendor/" in name or name.endswith(endings)] == []


def test_what_belongs_to_one_installation_is_ignored() -> None:
    paths = ["instance/console.env", ".env", ".venv/bin/python", "build/bench.json",
             "socialconsole/static/vendor/htmx.min.js", "socialconsole/static/console.css.gz"]
    ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert ignored == paths
