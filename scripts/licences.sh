#!/bin/sh
# Licences and sources of every dependency against deny.toml. Advisories need a database from the network and change
# without a change here, so they are apart: cargo deny check advisories
set -eu
cd "$(dirname "$0")/.."
if ! command -v cargo-deny >/dev/null 2>&1; then
  echo "licences: SKIPPED, cargo-deny is not installed (cargo install --locked cargo-deny)"
  exit 0
fi
cargo deny --locked --all-features check licenses bans sources
