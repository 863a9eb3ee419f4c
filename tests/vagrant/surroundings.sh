# Sourced by tests/vagrant.sh: provides packages, a docker daemon and the base image, and removes them.
# Sets DOCKER_HOST and APIM_BOX, and for cleaning up: DAEMON (process id), STATE (its folder), ROUTE, BRIDGE, IMAGES, ROOT
# and NEW (created folders).
# shellcheck shell=bash

DAEMON='' STATE='' ROUTE='' BRIDGE='' IMAGES='' ROOT='' NEW=()

have() { command -v "$1" >/dev/null 2>&1; }
is_root_on_debian() { [ "$(id -u)" = 0 ] && have apt-get; }

# Whether a docker daemon is running. An installed docker program is not enough.
is_daemon_running() { have docker && docker info >/dev/null 2>&1; }

need_packages() {
    local missing=()
    have vagrant || missing+=(vagrant)
    have ssh || missing+=(openssh-client)
    if ! is_daemon_running; then
        have dockerd || missing+=(docker.io)
        [ -e /usr/sbin/ip ] || [ -e /sbin/ip ] || [ -e /usr/bin/ip ] || missing+=(iproute2)
        have debootstrap || missing+=(debootstrap)
        have docker || ! apt-cache show docker-cli >/dev/null 2>&1 || missing+=(docker-cli)
    fi
    # Needed only for `vagrant validate`.
    if is_root_on_debian && ! dpkg -s vagrant-libvirt >/dev/null 2>&1 && apt-cache show vagrant-libvirt >/dev/null 2>&1; then
        missing+=(vagrant-libvirt)
    fi
    ((${#missing[@]})) || return 0
    is_root_on_debian || fail "missing packages: ${missing[*]} (installed automatically as root on Debian or Ubuntu)"
    echo "installing ${missing[*]}"
    # This policy prevents that services of the packages are started.
    local policy=/usr/sbin/policy-rc.d is_created=''
    if [ ! -e $policy ]; then
        is_created=yes
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 0755 $policy
    fi
    local done=0
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qy --no-install-recommends "${missing[@]}" >"$WORK/apt.log" 2>&1 ||
        { apt-get update -q >>"$WORK/apt.log" 2>&1 && apt-get install -qy --no-install-recommends "${missing[@]}" >>"$WORK/apt.log" 2>&1; } || done=1
    [ -z "$is_created" ] || rm -f $policy
    [ $done = 0 ] || fail "apt-get could not install ${missing[*]}: $(tail -n 5 "$WORK/apt.log")"
}

need_docker() {
    if is_daemon_running; then
        echo "using the running docker daemon: $(docker info --format '{{.ServerVersion}}')"
        [ -z "$(docker ps -aq --filter name=apim-deploy-)" ] ||
            fail "this docker already runs a test cluster; remove it: cd vagrant && vagrant destroy"
        return
    fi
    is_root_on_debian || fail "no docker daemon is running (\`docker info\`); as root on Debian or Ubuntu, one is started"
    local place state
    # Created before any address, so that no packet of the subnets can leave this machine.
    ROUTE="$SUBNET $OWN_SUBNET"
    for place in $ROUTE; do ip route replace blackhole "$place" metric 4000000; done
    [ -e /sys/class/net/docker0 ] || BRIDGE=docker0
    for place in /etc/docker /etc/docker/key.json /opt/containerd /run/containerd /run/docker; do
        [ -e $place ] || NEW+=("$place")
    done
    state=$(mktemp -d /tmp/apim-vagrant-test.XXXXXX)
    export DOCKER_HOST=unix://$state/docker.sock
    STATE=$state
    dockerd --host "$DOCKER_HOST" --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/pid" \
        --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --bip "${OWN_SUBNET%.0/24}.1/24" \
        >"$WORK/dockerd.log" 2>&1 </dev/null 9>&- &
    DAEMON=$!
    local deadline=$((SECONDS + 60))
    until is_daemon_running; do
        kill -0 "$DAEMON" 2>/dev/null || fail "dockerd ended: $(tail -n 5 "$WORK/dockerd.log")"
        ((SECONDS < deadline)) || fail "dockerd does not answer: $(tail -n 5 "$WORK/dockerd.log")"
        # The polling interval.
        sleep 0.2
    done
    echo "started a docker daemon: $(docker info --format '{{.ServerVersion}}, storage {{.Driver}}, cgroups v{{.CgroupVersion}}')"
}

# Sets APIM_BOX, the base image of the machines. Without a registry, it is created here.
need_base() {
    if [ -z "$DAEMON" ] && docker pull -q debian:bookworm >/dev/null 2>&1; then
        export APIM_BOX=debian:bookworm
        echo "the base image is $APIM_BOX"
        return
    fi
    is_root_on_debian || fail "docker cannot pull debian:bookworm, and a base image can only be created as root on Debian or Ubuntu"
    local codename components=main java file
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if [ "$(. /etc/os-release && echo "$ID")" = ubuntu ]; then components=main,universe; fi
    export APIM_BOX=apim-deploy-base:$codename
    file=$WORK/base-$codename.tar
    if [ ! -e "$file" ]; then
        java=openjdk-17-jre-headless
        # Apt may have it from a source that debootstrap does not use, such as backports.
        if apt-cache madison openjdk-21-jre-headless | grep -q " $codename/main "; then java=openjdk-21-jre-headless; fi
        bootstrap "$codename" "$components" "$java" "$file"
    fi
    echo "the base image is $file, created with debootstrap"
    IMAGES=$APIM_BOX
    docker import "$file" "$APIM_BOX" >/dev/null
}

# Includes everything that node.sh and database.sh would install, since the machines have no internet access.
bootstrap() {
    local codename=$1 components=$2 java=$3 file=$4 mirror packages root=$WORK/root
    have debootstrap || fail "debootstrap is missing"
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Component: main' |
        awk -v wanted="$codename" '$2 == wanted {print $1; exit}')
    [ -n "$mirror" ] || fail "apt has no source for $codename"
    packages=systemd,systemd-sysv,dbus,openssh-server,sudo,procps,iproute2,curl,ca-certificates,mariadb-server,$java
    echo "creating a base image with debootstrap, once (some minutes): $packages"
    mkdir -p "$root"
    # In memory if there is enough, since package tools sync every file to the disk.
    if awk '/^MemAvailable/ {exit $2 < 6000000}' /proc/meminfo && mount -t tmpfs -o size=4g tmpfs "$root" 2>/dev/null; then ROOT=$root; fi
    debootstrap --variant=minbase --components="$components" --include="$packages" "$codename" "$root" "$mirror" >"$WORK/debootstrap.log" 2>&1 ||
        fail "debootstrap: $(tail -n 5 "$WORK/debootstrap.log")"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
    tar -C "$root" --numeric-owner -cf "$file.new" .
    mv "$file.new" "$file"
    drop_root
}

drop_root() {
    [ -z "${ROOT:-}" ] || umount "$ROOT" || true
    ROOT=''
    rm -rf "$WORK/root"
}

# The other providers cannot run here; Vagrant only validates their parts of the Vagrantfile.
validate_providers() {
    local cluster provider
    mkdir -p "$WORK/stub"
    printf '#!/bin/sh\necho 7.0.20r163906\n' >"$WORK/stub/VBoxManage"
    chmod 0755 "$WORK/stub/VBoxManage"
    local providers=(virtualbox docker)
    if vagrant plugin list 2>/dev/null | grep -q vagrant-libvirt; then
        providers+=(libvirt)
    else
        echo "SKIPPED libvirt: vagrant-libvirt is not installed (Debian package of that name)"
    fi
    for provider in "${providers[@]}"; do
        for cluster in single ha prod-sandbox; do
            # Docker with ha is tested below.
            [ "$provider$cluster" != dockerha ] || continue
            printf '%s, %s: ' "$provider" "$cluster"
            APIM_INVENTORY='' APIM_CLUSTER=$cluster APIM_BOX='' VAGRANT_DEFAULT_PROVIDER=$provider PATH=$WORK/stub:$PATH \
                vagrant validate || fail "vagrant validate"
        done
    done
    ! APIM_INVENTORY='' APIM_CLUSTER=huge vagrant validate >"$WORK/huge.out" 2>&1 || fail "APIM_CLUSTER=huge was accepted"
    grep -q 'known are single, ha, prod-sandbox' "$WORK/huge.out" || fail "APIM_CLUSTER=huge: $(cat "$WORK/huge.out")"
}

# Removes remaining machines and everything that was created here.
clean_up() {
    local code=$1 place group
    trap - EXIT
    set +e
    if [ "$code" != 0 ]; then printf '\nvagrant-test failed; see the files in %s\n' "$WORK" >&2; fi
    if is_daemon_running; then
        docker ps -aq --filter name=apim-deploy- | xargs -r docker rm -fv >/dev/null
        docker network ls -q --filter name=vagrant_network_$SUBNET | xargs -r docker network rm >/dev/null
        docker image ls -q --filter 'reference=apim-deploy-box' | sort -u | xargs -r docker image rm -f >/dev/null
        [ -z "$IMAGES" ] || docker image rm -f "$IMAGES" >/dev/null
    fi
    if [ -n "$DAEMON" ]; then
        kill "$DAEMON" 2>/dev/null
        wait "$DAEMON" 2>/dev/null
        awk -v below="$STATE/" 'index($2, below) == 1 {print $2}' /proc/self/mounts | sort -r | xargs -r -n 1 umount
        rm -rf "$STATE" "${NEW[@]}"
        # Docker leaves its own empty control group.
        for group in /sys/fs/cgroup/docker /sys/fs/cgroup/*/docker; do
            if [ -d "$group" ]; then find "$group" -depth -type d -exec rmdir {} +; fi
        done
    fi
    [ -z "$BRIDGE" ] || [ ! -e "/sys/class/net/$BRIDGE" ] || ip link delete "$BRIDGE"
    for place in $ROUTE; do ip route delete blackhole "$place" metric 4000000; done
    drop_root
    exit "$code"
}
