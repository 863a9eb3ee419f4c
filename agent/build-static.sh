#!/bin/sh
# Builds the agent as a static binary without dependencies on the host:
#   agent/build-static.sh [x86_64|aarch64]      -> target/agent/apim-agent-<architecture>
# Uses its own target folder, so that it and ordinary builds do not invalidate each other. Idempotent.
set -eu
cd "$(dirname "$0")/.."
arch=${1:-$(uname -m)}
case $arch in
x86_64 | aarch64) ;;
*)
	echo "build-static.sh: unsupported architecture '$arch' (supported: x86_64, aarch64)" >&2
	exit 2
	;;
esac
target=$arch-unknown-linux-gnu
# No unwind tables: a panic aborts. Packed relocations save a third of a megabyte.
RUSTFLAGS='-C target-feature=+crt-static -C force-unwind-tables=no -C link-arg=-Wl,-z,pack-relative-relocs' \
	cargo build --quiet --profile agent -p apim-agent --target "$target" --target-dir target/agent
built=target/agent/$target/agent/apim-agent
out=target/agent/apim-agent-$arch
# An unchanged binary keeps its modification time, so dependents are not rebuilt.
if ! cmp -s "$built" "$out"; then
	cp "$built" "$out.new"
	mv "$out.new" "$out"
fi
size=$(wc -c <"$out")
if [ "$size" -gt 5242880 ]; then
	echo "build-static.sh: warning: $out has $size bytes, more than the limit of 5 MiB" >&2
fi
echo "$out ($size bytes)"
