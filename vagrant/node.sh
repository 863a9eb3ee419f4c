#!/bin/sh
# Prepares a machine for apim-deploy: installs a Java runtime as /usr/lib/jvm/apim, the inventory's
# apim.java.home.
#   node.sh              on a running virtual machine
#   node.sh container    while the docker provider's image is built: also systemd, sshd and an account
# For Debian, Ubuntu, Rocky and similar. Idempotent; a second run needs no network.
set -eu
kind=${1:-machine}

# The newest Java that all releases from 4.5 accept, otherwise an older one that the distribution has.
javas='21 17'

have() { command -v "$1" >/dev/null 2>&1; }

install_packages() {
  if have apt-get; then
    export DEBIAN_FRONTEND=noninteractive
    [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -600 2>/dev/null | head -n 1)" ] || apt-get update -q
    apt-get install -qy --no-install-recommends "$@"
  else
    dnf -qy install "$@"
  fi
}

if [ "$kind" = container ]; then
  if have apt-get; then packages='systemd systemd-sysv dbus openssh-server sudo procps iproute2 curl ca-certificates'
  else packages='systemd dbus openssh-server openssh-clients sudo procps-ng iproute passwd hostname'; fi
  for program in sshd sudo ps ip systemctl dbus-daemon; do
    # shellcheck disable=SC2086  # a list of packages
    if ! PATH=$PATH:/usr/sbin:/usr/lib/systemd have "$program"; then install_packages $packages; break; fi
  done
fi

have ps || if have apt-get; then install_packages procps; else install_packages procps-ng; fi
if ! have java; then
  for java in $javas; do
    if have apt-get; then package=openjdk-$java-jre-headless; else package=java-$java-openjdk-headless; fi
    if install_packages "$package"; then break; fi
  done
fi
java=$(readlink -f "$(command -v java)")
ln -sfn "${java%/bin/java}" /usr/lib/jvm/apim

# No firewall on the test network: the cluster uses many ports.
if [ "$kind" = machine ] && systemctl is-active -q firewalld; then systemctl disable -q --now firewalld; fi

if [ "$kind" = container ]; then
  id vagrant >/dev/null 2>&1 || useradd --create-home --user-group --shell /bin/bash vagrant
  # Not locked, and without a password: sshd of some distributions rejects locked accounts even with a
  # key.
  usermod -p '*' vagrant
  printf 'vagrant ALL=(ALL:ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/vagrant
  chmod 0440 /etc/sudoers.d/vagrant
  # Every machine creates its own host keys and machine-id.
  rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
  : >/etc/machine-id
  # Mask unused terminals, the per-login manager, and units that set up hardware and kernel, which belong
  # to the docker host.
  for unit in getty.target console-getty.service user@.service systemd-networkd.service systemd-firstboot.service tmp.mount \
    systemd-udevd.service systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-modules-load.service systemd-sysctl.service systemd-remount-fs.service dev-hugepages.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
  done
  # Base images have it so that no service starts while they are built.
  rm -f /usr/sbin/policy-rc.d
  for unit in mariadb apt-daily.timer apt-daily-upgrade.timer; do systemctl disable "$unit" >/dev/null 2>&1 || true; done
  systemctl enable ssh >/dev/null 2>&1 || systemctl enable sshd
  systemctl set-default multi-user.target >/dev/null 2>&1
fi
