#!/bin/sh
# Bring .venv up to date with the locks: `set-up.sh run` for the console, `set-up.sh test` for the proofs as well.
# What was installed is written into a stamp; as long as it is the same, nothing is called and no network is needed.
set -eu
cd "$(dirname "$0")/.."
part=$1
venv=.venv

say() { printf '%s\n' "$*"; }

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" && { echo "$PYTHON"; return; }
        say "PYTHON=$PYTHON is missing or older than 3.11. Name another one, such as PYTHON=python3.12." >&2
        exit 1
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    say "Python 3.11 or newer is needed and was not found. Install it, or name it: make $part PYTHON=/path/to/python3" >&2
    exit 1
}

# The folder is part of the stamp: scripts in a virtual environment hold its path, so a moved one is made anew.
stamp() {
    say "folder $(pwd)"
    "$venv/bin/python" -c 'import sys; print("python", sys.version.split()[0])'
    cat pyproject.toml requirements.in "$@"
}

up_to_date() {
    name=$1; shift
    [ -f "$venv/$name.stamp" ] && stamp "$@" | cmp -s - "$venv/$name.stamp"
}

make_venv() {
    if [ -f "$venv/run.stamp" ] && [ "$(head -n 1 "$venv/run.stamp")" != "folder $(pwd)" ]; then rm -rf "$venv"; fi
    if [ -x "$venv/bin/python" ] && new_enough "$venv/bin/python"; then return; fi
    python=$(find_python)
    say "Making the virtual environment ($("$python" -V))"
    rm -rf "$venv"
    "$python" -m venv "$venv" || {
        rm -rf "$venv"
        say "The virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    }
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

install() {
    pip install -qq --require-hashes "$@" || {
        say "The packages could not be installed; the lines above say why. A first start needs the network." >&2
        exit 1
    }
}

make_venv
if ! up_to_date run requirements.lock; then
    say "Installing what the console runs on"
    rm -f "$venv/run.stamp"
    install -r requirements.lock
    # The build backend is in the lock; building apart from it would fetch another one without hashes.
    pip install -qq --no-deps --no-build-isolation -e .
    stamp requirements.lock >"$venv/run.stamp"
fi
if [ ! -s socialconsole/static/vendor/htmx.min.js ] || ! up_to_date assets assets.lock; then
    say "Fetching htmx"
    "$venv/bin/python" scripts/assets.py
    stamp assets.lock >"$venv/assets.stamp"
fi
if [ "$part" = test ] && ! up_to_date test requirements.lock requirements-test.lock; then
    say "Installing what the tests need"
    rm -f "$venv/test.stamp"
    install -r requirements.lock -r requirements-test.lock
    stamp requirements.lock requirements-test.lock >"$venv/test.stamp"
fi
