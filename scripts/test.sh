#!/bin/sh
# Find a browser, PostgreSQL, nginx and Caddy, then check style, types and behaviour. All three are run even if one fails, so that one run tells all.
set -u
cd "$(dirname "$0")/.."
python=.venv/bin/python
export CHROMIUM="${CHROMIUM:-}"

own_browser() {
    "$python" - <<'PY' 2>/dev/null
import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    folder = os.path.dirname(playwright.chromium.executable_path)
# The full browser or its headless shell, whichever was installed.
root = os.path.dirname(os.path.dirname(folder))
names = os.listdir(root) if os.path.isdir(root) else []
sys.exit(not any(name.startswith("chromium") for name in names))
PY
}

find_browser() {
    [ -n "$CHROMIUM" ] && return 0
    for candidate in chromium chromium-browser google-chrome; do
        CHROMIUM=$(command -v "$candidate") && return 0
    done
    CHROMIUM=
    own_browser
}

install_browser() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing a browser for the tests (apt-get install chromium)"
        apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null \
            && find_browser && return 0
    fi
    echo "Fetching a browser for the tests (playwright install)"
    "$python" -m playwright install --only-shell chromium >/dev/null && find_browser
}

has_postgresql() {
    [ -z "$("$python" -c 'from tests import postgres; print(postgres.why_not())')" ]
}

install_postgresql() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "Installing PostgreSQL for the tests (apt-get install postgresql)"
    # Debian would start a server of its own at once; whether that works is nothing to us.
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null 2>&1
    has_postgresql
}

lacking_proxies() {
    "$python" -c 'from tests.proxies import proxies; print(*(name for name in proxies.NAMES if proxies.why_not(name)))'
}

install_proxies() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "Installing $1 for the tests (apt-get install $1)"
    # Debian would start servers of its own at once; whether that works is nothing to us.
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $1 >/dev/null 2>&1
    [ -z "$(lacking_proxies)" ]
}

if [ -n "$CHROMIUM" ] && [ ! -x "$CHROMIUM" ]; then
    echo "CHROMIUM=$CHROMIUM is no program that can be started. Name another one, or leave it out." >&2
    exit 1
fi
tests=
if [ "${BROWSER:-1}" = 0 ] && [ -z "${CI:-}" ]; then
    echo "BROWSER=0: the browser tests are left out, so the pages are not proved in a browser."
    tests="not browser"
elif ! find_browser && ! install_browser; then
    echo "The browser tests need Chromium, which was not found and could not be installed." >&2
    echo "Install it (Debian: apt-get install chromium), name it (CHROMIUM=/path), or leave them out (BROWSER=0)." >&2
    exit 1
fi
if ! has_postgresql && ! install_postgresql; then
    "$python" -c 'from tests import postgres; print(postgres.why_not())' >&2
    [ -z "${CI:-}" ] || exit 1
fi
lacking=$(lacking_proxies)
if [ -n "$lacking" ] && ! install_proxies "$lacking"; then
    echo "Not found: $(lacking_proxies). Nothing is proved behind it. Install it (Debian: apt-get install nginx caddy)." >&2
    [ -z "${CI:-}" ] || exit 1
fi

status=0
"$python" -m ruff check . || status=1
"$python" -m mypy || status=1
"$python" -m pytest -q -m "$tests" || status=1
exit $status
