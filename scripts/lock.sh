#!/bin/sh
# Compile the locks: every package pinned with its hashes, for every system and Python from 3.11 on, no host names.
# uv is only needed here, so it lives in a throw-away environment.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
[ -x build/uv/bin/uv ] || { "${PYTHON:-python3}" -m venv build/uv && build/uv/bin/python -m pip install --quiet uv; }
# Trust what the system trusts; without it uv brings its own list and fails behind a company's proxy.
UV_SYSTEM_CERTS=1
UV_CUSTOM_COMPILE_COMMAND="make lock"
export UV_SYSTEM_CERTS UV_CUSTOM_COMPILE_COMMAND

compile() {
    build/uv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
        --no-emit-index-url --no-emit-find-links "$@"
}
compile requirements.in --output-file requirements.lock
compile requirements-test.in --output-file requirements-test.lock
compile assets.in --no-deps --output-file assets.lock
