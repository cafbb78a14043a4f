# The one door. CI runs exactly `make check test` (.ci/run).
#
#   make run     build what is missing, then start a server with a demo stream: open http://127.0.0.1:8080/
#   make test    unit, integration and end-to-end tests (ffmpeg and Chromium play what the server sends)
#   make check   format, lints, types, sizes of files, spelling, licences
#   make fuzz    every fuzz target for FUZZ_SECONDS (600) each
#   make bench   the benchmarks
#   make web     the pages and the SDK for browsers
#
# ARGS goes to the server: make run ARGS=--lan

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:

CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
FUZZ_SECONDS ?= 600
NPM_CI := npm ci --no-audit --no-fund
# Not npm ci: it refuses a lock file that lacks the packages of other platforms, and Biome's are not on every mirror of
# the registry. This installs the locked versions as well, checks them against the lock, and leaves it as it is.
NPM_LOCKED := npm install --no-save --no-audit --no-fund

WEB_SOURCES := $(shell find web -type d \( -name node_modules -o -name dist \) -prune -o -type f -print 2>/dev/null)

.PHONY: run test unit web-test e2e check rust-check web-check bench fuzz web setup setup-test setup-check

# An optimised build, although its first time takes longer: people judge a live server by its delay, and audio
# transcoding without optimisation would not keep up on a small machine.
run: setup web
	cargo build --release --locked --package stentor-server --bin stentor
	exec "$(CARGO_TARGET_DIR)/release/stentor" dev $(ARGS)

# Order matters only for people: what fails fast comes first.
test: web-test unit e2e

unit: setup-test web
	cargo nextest run --workspace --locked --profile "$$([ -n "$${CI:-}" ] && echo ci || echo default)"

web-test: setup-test web
	cd web && npm test

# The server under test is the one that `unit` built: the same profile, the same features.
e2e: unit e2e/node_modules/.package-lock.json
	e2e/setup.sh
	cargo build --locked --package stentor-load
	cd e2e && STENTOR_BIN="$(abspath $(CARGO_TARGET_DIR))/debug/stentor" npm test

check: setup-check rust-check web-check
	scripts/file-sizes.sh
	scripts/spelling.sh
	scripts/licences.sh

rust-check: web
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

web-check: web
	cd web && npm run check && npm run size

web: setup web/dist/index.html

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && $(NPM_LOCKED)
	touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build
	touch $@

e2e/node_modules/.package-lock.json: e2e/package.json e2e/package-lock.json
	cd e2e && $(NPM_CI)
	touch $@

bench: setup
	bench/run

fuzz:
	scripts/fuzz.sh "$(FUZZ_SECONDS)"

setup:
	scripts/setup.sh run

setup-test:
	scripts/setup.sh test

setup-check:
	scripts/setup.sh check
