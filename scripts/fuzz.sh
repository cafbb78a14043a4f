#!/bin/sh
# Runs every fuzz target for the given number of seconds, one after the other. The first crash ends it; the input that
# crashed is left under fuzz/artifacts.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-600}
[ -d fuzz ] || { echo "There are no fuzz targets: the folder fuzz/ is missing." >&2; exit 1; }
if ! command -v cargo-fuzz >/dev/null 2>&1; then
  echo "cargo-fuzz is missing; run: cargo install --locked cargo-fuzz" >&2
  exit 1
fi
# cargo-fuzz needs a compiler with unstable flags: nightly where there is one, else the stable one told to allow them.
if cargo +nightly --version >/dev/null 2>&1; then
  toolchain=+nightly
else
  toolchain=
  export RUSTC_BOOTSTRAP=1
fi
# The workspace's target folder is not used: sanitised objects would only evict the others.
unset CARGO_TARGET_DIR
# shellcheck disable=SC2086 # an empty toolchain must vanish
for target in $(cargo $toolchain fuzz list); do
  echo "fuzz: $target for $seconds s"
  cargo $toolchain fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384
done
