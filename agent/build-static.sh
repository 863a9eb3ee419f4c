#!/bin/sh
# Builds the agent as a static binary that needs nothing of the host it is sent to:
#   agent/build-static.sh [x86_64|aarch64]      -> target/agent/apim-agent-<architecture>
# Has its own target folder, so that it and ordinary builds do not undo each other's work. Idempotent.
set -eu
cd "$(dirname "$0")/.."
arch=${1:-$(uname -m)}
case $arch in
x86_64 | aarch64) ;;
*)
	echo "build-static.sh: no agent for the architecture '$arch' (x86_64 and aarch64 are known)" >&2
	exit 2
	;;
esac
target=$arch-unknown-linux-gnu
# No unwind tables: a panic aborts. Relocations packed: a third of a megabyte less.
RUSTFLAGS='-C target-feature=+crt-static -C force-unwind-tables=no -C link-arg=-Wl,-z,pack-relative-relocs' \
	cargo build --quiet --profile agent -p apim-agent --target "$target" --target-dir target/agent
built=target/agent/$target/agent/apim-agent
out=target/agent/apim-agent-$arch
# A binary that is there already keeps its time: what depends on it is not built again.
if ! cmp -s "$built" "$out"; then
	cp "$built" "$out.new"
	mv "$out.new" "$out"
fi
size=$(wc -c <"$out")
if [ "$size" -gt 5242880 ]; then
	echo "build-static.sh: warning: $out has $size bytes, and 5 MiB are the aim" >&2
fi
echo "$out ($size bytes)"
