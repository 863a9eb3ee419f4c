#!/usr/bin/env bash
# Runs everything that is tested, after `make` has built it: format, lints, docs, then the tests, those of the machine lab
# one after the other beside all others.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n== %s\n' "$*"; }

say "format, lints, docs"
make --no-print-directory lint

filter=()
say "machine lab"
if why=$(target/debug/lab check 2>&1); then
    if target/debug/lab status >/dev/null 2>&1; then
        echo "a lab is up on this machine: it is taken down, the tests bring up their own"
        target/debug/lab down
    fi
    target/debug/lab install
    echo "it runs here"
else
    echo "SKIPPED, all of its tests: $why"
    filter=(-E 'not (binary(e2e) & test(/^machine::/))')
fi

say "tests"
cargo nextest run --workspace "${filter[@]}"
