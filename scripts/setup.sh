#!/bin/bash
# Sees to it that what `make run`, `make test` or `make check` needs is there. Installs only what is missing, says what
# it does, and is silent when there is nothing to do. Nothing is installed outside of the system's package manager,
# cargo's own folder, and the checkout.
#
#   scripts/setup.sh run|test|check
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-run}
rust_min=1.91
node_min=20.19

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_rust() {
  has cargo || fail "cargo is missing; install Rust $rust_min or newer from https://rustup.rs and open a new shell."
  local version
  version=$(cargo --version | awk '{print $2}')
  at_least "$version" "$rust_min" || fail "cargo is $version; Stentor needs $rust_min or newer: rustup update stable"
}

check_node() {
  has node && has npm || fail "node or npm is missing; install Node.js $node_min or newer from https://nodejs.org (on Debian 12 the packaged one is too old)."
  local version
  version=$(node --version | tr -d v)
  at_least "$version" "$node_min" || fail "node is $version; Stentor's web part needs $node_min or newer from https://nodejs.org"
}

# The names of the Debian packages that are missing, found by what they bring, so that other systems pass as well.
missing_packages() {
  has cc && has c++ && has make || echo build-essential
  has cmake || echo cmake
  has pkg-config || echo pkg-config
  # The compiler prints the bare name where it knows no such file.
  [ "$(cc -print-file-name=libvo-aacenc.a 2>/dev/null || echo libvo-aacenc.a)" != libvo-aacenc.a ] || echo libvo-aacenc-dev
  if [ "$purpose" = test ]; then
    has ffmpeg && has ffprobe || echo ffmpeg
    find_browser >/dev/null || echo chromium
  fi
  if [ "$purpose" != run ]; then
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || echo python3-venv
  fi
}

find_browser() {
  local name
  if [ -n "${CHROMIUM:-}" ]; then [ -x "$CHROMIUM" ] && echo "$CHROMIUM" && return; fi
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    has "$name" && command -v "$name" && return
  done
  return 1
}

install_packages() {
  local packages=("$@") as_root=()
  if [ "$(id -u)" != 0 ]; then
    if has sudo && sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    else
      fail "these packages are missing and need root: ${packages[*]}. Run: sudo apt-get install -y ${packages[*]}"
    fi
  fi
  has apt-get || fail "these are missing (named as in Debian): ${packages[*]}. Install them with your system's package manager."
  # On Ubuntu the package of this name is a snap, which cannot see temporary folders; any other browser will do.
  if [[ " ${packages[*]} " == *" chromium "* ]] && grep -qi '^ID=ubuntu' /etc/os-release 2>/dev/null; then
    fail "a browser is missing. On Ubuntu install Google Chrome (https://www.google.com/chrome) or set CHROMIUM to a Chromium's path; then run this again."
  fi
  say "installing by apt: ${packages[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -qq "${packages[@]}" >/dev/null
}

check_nextest() {
  has cargo-nextest && return
  say "cargo-nextest is missing; building it once takes some minutes"
  cargo install --locked --quiet cargo-nextest
}

check_rust
check_node
mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then install_packages "${packages[@]}"; fi
if [ "$purpose" = test ]; then
  check_nextest
  browser=$(find_browser) || fail "no Chromium or Chrome was found; set CHROMIUM to its path."
  if [ -n "${VERBOSE:-}" ]; then say "the browser is $browser"; fi
fi
