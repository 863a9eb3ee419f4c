#!/usr/bin/env bash
# Run by `make demo` after the build: deploys the cluster, shows its status, and applies again without changes.
set -euo pipefail
cd "$(dirname "$0")/.."
LAB=target/debug/lab
INVENTORY=inventory/demo.yaml
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

if ! why=$($LAB check 2>&1); then
    say "the machine lab cannot run here: $why"
    echo "Instead: the same cluster as processes on loopback addresses, over real SSH. No systemd, no real database."
    exec $LAB rehearse
fi

# The digests of the stand-ins differ by machine, since they are built here.
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

say "the machine lab: nine machines with systemd, OpenSSH and their own addresses; MariaDB on one of them"
$LAB install
$LAB down
$LAB up --topology ha

export PATH="$PWD/target/debug:$PATH"
say "first apply: from bare machines to a healthy cluster"
show apim-deploy apply $INVENTORY
say "status of the cluster"
show apim-deploy status $INVENTORY
say "second apply: nothing to change"
show apim-deploy apply $INVENTORY

say "what to try next (the lab keeps running)"
cat <<TEXT
  export PATH=$PWD/target/debug:\$PATH
  lab status                                     the machines
  lab ssh gw1                                    log in to a machine
  lab kill gw1; apim-deploy status $INVENTORY    kill a machine, and show the status
  lab boot gw1; apim-deploy apply $INVENTORY     boot it, and repair it
  apim-deploy plan $INVENTORY --diff             after editing that file
  apim-deploy render $INVENTORY --out rendered   write all files to a folder
  make lab-down                                  stop and remove the lab
TEXT
