#!/bin/sh
# Spelling, by typos: the one on the path, else the one in e2e/.venv, which is made here.
set -eu
cd "$(dirname "$0")/.."
typos=$(command -v typos || true)
if [ -z "$typos" ]; then
  e2e/setup.sh >/dev/null
  typos=e2e/.venv/bin/typos
fi
"$typos" --config typos.toml
echo "spelling: ok"
