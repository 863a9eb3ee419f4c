#!/usr/bin/env bash
# Run by `make vagrant-test` after the build: creates, tests and destroys the highly available cluster with Vagrant's docker
# provider and the stand-in distributions. All files are in target/vagrant-test; other clusters are not affected.
#
# As root on Debian or Ubuntu it installs missing packages, starts a docker daemon if none is running, and creates the base
# image with debootstrap. On other systems it needs vagrant and a running docker. At the end it removes everything that it
# created, except for the file of the base image.
set -euo pipefail
cd "$(dirname "$0")/.."
PROJECT=$PWD
WORK=$PROJECT/target/vagrant-test
# The networks of the machines and of a docker daemon started here.
SUBNET=192.168.56.0/24 OWN_SUBNET=192.168.57.0/24
# shellcheck source=tests/vagrant/surroundings.sh
. tests/vagrant/surroundings.sh

say() { printf '\n\033[1m== %s (%d s)\033[0m\n' "$*" "$SECONDS"; }
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
fail() { printf 'vagrant-test: %s\n' "$*" >&2; exit 1; }

mkdir -p "$WORK"
exec 9>"$WORK/lock"
# macOS has no flock.
! have flock || flock -n 9 || fail "another run is in progress here"
trap 'clean_up $?' EXIT
trap 'exit 130' INT TERM

say "requirements"
need_packages
need_docker
need_base

# A separate Vagrant home: other machines, boxes and plugins are not used.
export VAGRANT_CWD=$PROJECT/vagrant VAGRANT_DOTFILE_PATH=$WORK/machines VAGRANT_HOME=$WORK/home VAGRANT_CHECKPOINT_DISABLE=1
export VAGRANT_DEFAULT_PROVIDER=docker VAGRANT_NO_COLOR=1
export APIM_DIST=stand-in APIM_INVENTORY=$WORK/inventory/cluster.yaml
export PATH=$PROJECT/target/debug:$PATH
ACCESS=$WORK/vagrant/.ssh/config
rm -rf "$WORK/inventory" "$WORK/vagrant" "$WORK/machines"
mkdir -p "$WORK/inventory"
cp inventory/vagrant-ha.yaml "$APIM_INVENTORY"

# Changes the inventory, with a program for awk.
edit() { awk "$1" "$APIM_INVENTORY" >"$APIM_INVENTORY.new" && mv "$APIM_INVENTORY.new" "$APIM_INVENTORY"; }
# Starts with the previous release, to be upgraded later. Gateways of 4.5.0 need their control planes first.
edit '{print} sub(/version: 4.6.0/, "start_order: dependencies_first") {print}'
edit '{sub(/version: 4.6.0/, "version: 4.5.0"); print}'

on() { ssh -F "$ACCESS" "$1" "${@:2}" </dev/null; }
apply() { show apim-deploy apply "$APIM_INVENTORY" "$@"; }
unchanged() {
    apply --output json >"$WORK/apply.out"
    grep -q '"nothing_to_do":true' "$WORK/apply.out" || fail "an apply changed an up-to-date cluster: $WORK/apply.out"
    show apim-deploy plan "$APIM_INVENTORY" --exit-code || fail "the plan is not empty"
}
healthy_within() {
    local deadline=$((SECONDS + $1))
    until apim-deploy status "$APIM_INVENTORY" >"$WORK/status.out" 2>&1; do
        ((SECONDS < deadline)) || fail "not healthy after $1 s: $(cat "$WORK/status.out")"
        # The polling interval.
        sleep 1
    done
    cat "$WORK/status.out"
}
started() { on "$1" systemctl show -P ExecMainStartTimestampMonotonic "wso2-$2"; }

say "Vagrantfile and inventories for every provider"
if have ruby; then ruby tests/vagrant/reading_test.rb; fi
validate_providers

say "vagrant up: nine machines"
show vagrant up
show vagrant ssh gw1 -c 'hostname; systemctl is-system-running --wait' </dev/null | tr -d '\r' | tee "$WORK/ssh.out"
[ "$(tail -n 2 "$WORK/ssh.out" | tr '\n' ' ')" = 'gw1 running ' ] || fail "vagrant ssh gw1 does not reach a running machine"

say "apply: from bare machines to a healthy cluster"
apply
healthy_within 5

say "apply again: nothing to change"
unchanged

say "rolling restart"
before=$(started gw1 gateway)$(started cp2 control-plane)
apply --playbook rolling-restart.yaml
after=$(started gw1 gateway)$(started cp2 control-plane)
[ "$before" != "$after" ] || fail "nothing was restarted"
healthy_within 5

say "upgrade: another version in the inventory"
edit '{sub(/version: 4.5.0/, "version: 4.6.0"); print}'
apply
healthy_within 5
grep -q 4.6.0 "$WORK/status.out" || fail "4.6.0 is not in use"
! grep -q 4.5.0 "$WORK/status.out" || fail "4.5.0 is still in use"
unchanged

say "halt and up: the cluster becomes healthy without apply"
show vagrant halt
[ -z "$(docker ps -q --filter name=apim-deploy-)" ] || fail "machines are still running after vagrant halt"
show vagrant up
healthy_within 180
unchanged

say "a third gateway: one line in the inventory"
edit '{print} sub(/gw2: .*/, "gw3: {ansible_host: 192.168.56.23}") {print}'
show vagrant up gw3
apply
healthy_within 5
grep -q gw3 "$WORK/status.out" || fail "gw3 is not in the cluster"
unchanged

say "destroy: removes everything"
show vagrant destroy --force --parallel
[ -z "$(docker ps -aq --filter name=apim-deploy-)" ] || fail "containers remain"
[ -z "$(docker network ls -q --filter name=vagrant_network)" ] || fail "networks remain"
! grep -q '^Host [^*]' "$ACCESS" || fail "$ACCESS still contains removed machines"

say "all tests passed"
