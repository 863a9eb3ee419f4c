#!/usr/bin/env bash
# Runs all checks after the build: format, lints, docs, tests. Tests of the machine lab run one at a time, in parallel with
# all others.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n== %s\n' "$*"; }

say "format, lints, docs"
make --no-print-directory lint

filter=()
say "machine lab"
if why=$(target/debug/lab check 2>&1); then
    if target/debug/lab status >/dev/null 2>&1; then
        echo "a lab is running on this machine: stopping it, since the tests start their own"
        target/debug/lab down
    fi
    target/debug/lab install
    # Tests that cannot run now fail instead of counting as passed.
    export APIM_LAB=required
    echo "it runs here"
else
    echo "SKIPPED, all of its tests: $why"
    filter=(-E 'not (binary(e2e) & test(/^machine::/))')
fi

say "tests"
cargo nextest run --workspace "${filter[@]}"
