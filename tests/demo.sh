#!/usr/bin/env bash
# What `make demo` shows, after `make` has built it: the cluster comes up, stands, and a second apply changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
LAB=target/debug/lab
INVENTORY=inventory/demo.yaml
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

if ! why=$($LAB check 2>&1); then
    say "no machine lab here: $why"
    echo "Instead: the same cluster as processes on loopback addresses, over real SSH. No systemd, no real database."
    exec $LAB rehearse
fi

# The stand-ins are built on this machine, so their digests are this machine's own.
digest() { awk -v file="$1" '$2 == file {print $1}' target/distributions/SHA256SUMS; }
mkdir -p inventory/group_vars
cat > inventory/group_vars/demo.yaml <<YAML
# Written by make demo: the digests of the stand-in distributions that were built on this machine.
apim:
  distributions:
    sha256:
      control_plane: $(digest wso2am-acp-4.6.0.zip)
      gateway: $(digest wso2am-universal-gw-4.6.0.zip)
      traffic_manager: $(digest wso2am-tm-4.6.0.zip)
  java:
    archive:
      sha256: $(digest jdk-stand-in.tar.gz)
  databases:
    driver:
      sha256: $(digest mysql-connector-j.jar)
YAML

say "the machine lab: nine machines with systemd, OpenSSH and addresses of their own, a real MariaDB on one"
$LAB install
$LAB down
$LAB up --topology ha

export PATH="$PWD/target/debug:$PATH"
say "first apply: from bare machines to a healthy cluster"
show apim-deploy apply $INVENTORY
say "how the cluster stands"
show apim-deploy status $INVENTORY
say "second apply: nothing to change"
show apim-deploy apply $INVENTORY

say "what to try next (the lab stays up)"
cat <<TEXT
  export PATH=$PWD/target/debug:\$PATH
  lab status                                     the machines
  lab ssh gw1                                    log in to one
  lab kill gw1; apim-deploy status $INVENTORY    pull a plug, and look
  lab boot gw1; apim-deploy apply $INVENTORY     bring it back
  apim-deploy plan $INVENTORY --diff             after you have edited that file
  apim-deploy render $INVENTORY --out rendered   every file that would be placed
  make lab-down                                  take the lab away
TEXT
