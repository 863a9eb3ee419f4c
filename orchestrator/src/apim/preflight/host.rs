//! Judging the host itself: system, processors, memory, room, clock, JDK, privilege, systemd, security modules, limits, kernel.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;

use super::questions as ask;
use super::{Finding, Pairs, Scene, Seen};
use crate::apim::settings::source::Java;
use crate::apim::topology::Node;
use crate::apim::{jdk, port};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// Systems that the product is commonly run on, with the oldest version that still gets fixes for its C library and OpenSSL.
const SYSTEMS: [(&str, u32); 12] = [
    ("debian", 11),
    ("ubuntu", 20),
    ("rhel", 8),
    ("centos", 8),
    ("rocky", 8),
    ("almalinux", 8),
    ("ol", 8),
    ("sles", 15),
    ("opensuse-leap", 15),
    ("amzn", 2),
    ("fedora", 38),
    ("photon", 4),
];

pub(super) fn os(facts: Option<&Facts>) -> Vec<Finding> {
    let Some(facts) = facts.filter(|facts| !facts.os.is_empty()) else {
        return vec![Finding::unknown("it does not say what it is (/etc/os-release)")];
    };
    let found = format!("{} {}, Linux {}, {}", facts.os, facts.os_version, facts.kernel, facts.architecture);
    let number = facts.os_version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    let known = SYSTEMS.iter().find(|(name, _)| *name == facts.os);
    vec![match (known, number) {
        (Some((_, oldest)), Some(number)) if number < *oldest => {
            Finding::warn(found, format!("older than {} {oldest}: plan an upgrade", facts.os))
        }
        (Some(_), _) => Finding::ok(found),
        (None, _) => Finding::warn(
            found,
            "not among the systems that this is known to work on; `preflight: {os: off}` when you know better",
        ),
    }]
}

pub(super) fn cpu(facts: Option<&Facts>) -> Vec<Finding> {
    let Some(facts) = facts else { return vec![Finding::unknown("not known")] };
    let found = match facts.processors {
        1 => "1 processor".to_owned(),
        many => format!("{many} processors"),
    };
    // documentation, production deployment guidelines: 2 to 4 cores
    vec![match facts.processors {
        0 => Finding::unknown("not known"),
        1 => Finding::warn(found, "the product's documentation asks for 2 to 4"),
        _ => Finding::ok(found),
    }]
}

/// What a server needs beside its heap: classes, code, threads, buffers.
const BESIDE_HEAP: u64 = 512 * MIB;

pub(super) fn memory(scene: &Scene<'_>, seen: &Seen<'_>) -> Vec<Finding> {
    let Some(has) = seen.facts.map(|facts| facts.memory_bytes).filter(|bytes| *bytes > 0) else {
        return vec![Finding::unknown("not known")];
    };
    let heaps: Vec<(u64, u64)> =
        scene.cluster.nodes_on(seen.host).map(|node| node.own.heap.mebibytes()).collect();
    let largest: u64 = heaps.iter().map(|(_, most)| most * MIB).sum();
    // Each node runs a diagnostics tool, a second JVM that takes the same memory options (wso2/product-apim, startup-scripts).
    let all: u64 = heaps.iter().map(|(first, most)| (first + most) * MIB + BESIDE_HEAP).sum();
    let found = format!("{} for heaps of {}", size(has), size(largest));
    if has < largest {
        return vec![Finding::fail(found, "add memory, or give smaller heaps (`gateway: {heap: …}`)")];
    }
    if has < all {
        let why = format!(
            "with their diagnostics tools, classes and buffers the nodes may want {}: add memory, or give smaller heaps",
            size(all)
        );
        return vec![Finding::warn(found, why)];
    }
    // A machine sold with 4 GB has a little less for itself.
    if has < 4 * GIB * 9 / 10 {
        return vec![Finding::warn(found, "the product's documentation asks for 4 GB a node")];
    }
    vec![Finding::ok(found)]
}

/// What a zip is taken to be as long as nobody has seen it (those of 4.7 have 290 to 480 MB).
const ZIP: u64 = 500 * MIB;
/// Zip, unpacked release, and room to work in.
const TIMES: u64 = 3;

pub(super) fn disk(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let mut systems: BTreeMap<u64, (&str, u64, u64, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    for node in scene.cluster.nodes_on(host) {
        let (device, folder, free) = match pairs.space(&node.home.releases) {
            Some(Ok(space)) => space,
            Some(Err(why)) => {
                findings.push(Finding::unknown(why));
                continue;
            }
            None => continue,
        };
        let system = systems.entry(device).or_insert((folder, free, 0, 0));
        let is_there = matches!(pairs.entry(&node.home.release), Some(Some(_)));
        if !is_there {
            system.2 += scene.sizes.get(&node.zip).copied().unwrap_or(ZIP) * TIMES;
            system.3 += 1;
        }
    }
    for (folder, free, need, releases) in systems.into_values() {
        let found = format!("{} free at {folder}", size(free));
        findings.push(match releases {
            0 => Finding::ok(format!("{found}; every release is there")),
            _ if free < need => Finding::fail(
                format!("{found}, and {releases} to unpack need {}", size(need)),
                "make room, or choose another `install_dir`: a release needs three times its zip",
            ),
            _ => Finding::ok(format!("{found}, {} needed", size(need))),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::unknown("not known"));
    }
    findings
}

/// Clocks that differ by less are as good as equal; tokens and certificates of today bear this much.
const BORNE_MILLIS: i64 = 2_000;
/// Clocks that differ by more make tokens invalid that have just been issued.
const WRONG_MILLIS: i64 = 30_000;

pub(super) fn clock(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let (Some((_, keeper)), Some(own)) = (pairs.clock(), scene.ahead.get(host)) else {
        return vec![Finding::unknown("its clock was not read")];
    };
    let mut all: Vec<i64> = scene.ahead.values().copied().collect();
    all.sort_unstable();
    let middle = all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let from_others = own - middle;
    let remedy = "let chrony, systemd-timesyncd or ntpd keep it right on every host: tokens and certificates are only valid in their time";
    let found = |millis: i64, whom: &str| {
        let direction = if millis < 0 { "behind" } else { "ahead of" };
        format!("{:.1} s {direction} {whom}", millis.unsigned_abs() as f64 / 1000.0)
    };
    let mut findings = Vec::new();
    match from_others.abs() {
        0..=BORNE_MILLIS => {}
        apart if apart <= WRONG_MILLIS => {
            findings.push(Finding::warn(found(from_others, "the other hosts"), remedy))
        }
        _ => findings.push(Finding::fail(found(from_others, "the other hosts"), remedy)),
    }
    if own.abs() > WRONG_MILLIS && findings.is_empty() {
        findings.push(Finding::warn(
            found(*own, "this machine"),
            "put the clock of this machine, or of the hosts, right",
        ));
    }
    match keeper {
        Some(keeper) if findings.is_empty() => findings.push(Finding::ok(format!("kept right by {keeper}"))),
        None if findings.is_empty() && pairs.is_container() => {
            findings.push(Finding::ok("right; a container's clock is its machine's"));
        }
        None if findings.is_empty() => {
            findings.push(Finding::warn("right now, and nothing seems to keep it so", remedy));
        }
        _ => {}
    }
    findings
}

pub(super) fn jdk(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let judged = scene.cluster.nodes_on(host).map(|node| jdk_of(node, pairs));
    judged.collect()
}

fn jdk_of(node: &Node, pairs: &Pairs<'_>) -> Finding {
    let (lowest, highest) = node.version.series().java();
    let home = &node.java_home;
    let is_archive = matches!(node.settings.java, Some(Java::Archive(_)));
    let wanted = format!("API Manager {} needs a JDK {lowest} to {highest}", node.version);
    let remedy = format!(
        "{wanted}: install one and name it in `apim: {{java: {{home: …}}}}`, or let apim-deploy bring one with `java: {{archive: …}}`"
    );
    let told = home.join("bin/java").ok().and_then(|program| pairs.version(&program));
    match told {
        None => Finding::unknown("its version was not asked for"),
        Some((Some(version), whence)) if jdk::fits(node, version) => {
            Finding::ok(format!("{version} at {home}, told by {whence}"))
        }
        Some((Some(version), whence)) => Finding::fail(
            format!("{version} at {home}, told by {whence}; {lowest} to {highest} wanted"),
            remedy,
        ),
        Some((None, _)) if is_archive => Finding::ok(format!("will be installed at {home}")),
        Some((None, why)) => Finding::fail(format!("no JDK at {home}: {why}"), remedy),
    }
}

pub(super) fn privilege(pairs: &Pairs<'_>) -> Vec<Finding> {
    vec![match pairs.agent() {
        None => Finding::unknown("not known"),
        Some(agent) if agent.rooted => Finding::ok("not needed below a folder (`apim_agent_root`)"),
        Some(agent) if agent.uid == 0 => Finding::ok("root"),
        Some(agent) => Finding::fail(
            format!("the agent runs as uid {}, not as root", agent.uid),
            "`ansible_become: true`, with an account that may use sudo: accounts, /etc/hosts and units need it",
        ),
    }]
}

/// The oldest systemd whose units do what ours ask for; older ones pass some options over.
const SYSTEMD: u32 = 239;
/// From here on it knows credentials and every option of the sandbox.
const SYSTEMD_ALL: u32 = 247;

pub(super) fn systemd(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(agent) = pairs.agent() else { return vec![Finding::unknown("not known")] };
    let is_hardened = scene.cluster.nodes_on(host).any(|node| node.settings.hardening.sandbox);
    vec![match agent.systemd {
        _ if agent.rooted => Finding::ok("not used below a folder (`apim_agent_root`)"),
        None => Finding::warn(
            "systemd does not run this host",
            "nodes are started by their scripts then, and do not come back by themselves after a boot",
        ),
        Some(version) if version < SYSTEMD => Finding::warn(
            format!("systemd {version}"),
            format!("older than {SYSTEMD}: it passes options of our units over; upgrade the system"),
        ),
        Some(version) if is_hardened && version < SYSTEMD_ALL => Finding::warn(
            format!("systemd {version}"),
            format!(
                "older than {SYSTEMD_ALL}: it knows a part of the sandbox only (`hardening: {{sandbox: …}}`)"
            ),
        ),
        Some(version) => Finding::ok(format!("systemd {version}")),
    }]
}

/// Where the rules of distributions expect programs; services may not run what lies in people's homes.
const USUAL: [&str; 4] = ["/opt/", "/usr/", "/srv/", "/var/"];

pub(super) fn security_module(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let armour = if pairs.text(ask::APPARMOR) == Some("Y") { ", AppArmor on" } else { "" };
    let enforces = match pairs.text(ask::SELINUX) {
        Some("1") => true,
        Some(_) => return vec![Finding::ok(format!("SELinux permissive{armour}"))],
        None if armour.is_empty() => return vec![Finding::ok("neither SELinux nor AppArmor")],
        None => {
            return vec![Finding::ok("AppArmor on; it has no profile for the product unless you wrote one")];
        }
    };
    let unusual = scene
        .cluster
        .nodes_on(host)
        .flat_map(|node| [&node.home.releases, &node.java_home])
        .find(|path| enforces && !USUAL.iter().any(|usual| path.as_str().starts_with(usual)));
    let refuses = enforces
        && !super::balanced_ports(scene.cluster, host).is_empty()
        && pairs.text(ask::WEB_CONNECTS).is_some_and(|value| value.starts_with('0'));
    vec![match unusual {
        _ if refuses => Finding::warn(
            format!("SELinux enforcing{armour}, and nginx may not connect to other hosts"),
            "`setsebool -P httpd_can_network_connect on`; ports other than 80 and 443 also need `semanage port -a -t http_port_t`",
        ),
        None => Finding::ok(format!("SELinux enforcing{armour}")),
        Some(path) => Finding::warn(
            format!("SELinux enforcing{armour}, and {path} is where services may not run programs from"),
            "choose a folder below /opt, or label it: `semanage fcontext -a -t usr_t`, `bin_t` for `bin/`, then `restorecon -R`",
        ),
    }]
}

/// What the unit asks for (documentation, tuning performance: `nofile` 65535, `nproc` 20000).
const FILES: u64 = 65_535;
const PROCESSES: u64 = 20_000;

pub(super) fn limits(pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(agent) = pairs.agent() else { return vec![Finding::unknown("not known")] };
    let mut findings = Vec::new();
    let short = |what: &str, has: Option<u64>, need: u64, key: &str| {
        let has = has.filter(|has| *has < need)?;
        Some(Finding::warn(
            format!("{what}: {has}, {need} wanted"),
            format!("`{key} = {need}` or more in a file of /etc/sysctl.d, then `sysctl --system`"),
        ))
    };
    findings.extend(short("open files of a process", pairs.number(ask::NR_OPEN), FILES, "fs.nr_open"));
    findings.extend(short("threads", pairs.number(ask::THREADS_MAX), PROCESSES, "kernel.threads-max"));
    findings.extend(short("process numbers", pairs.number(ask::PID_MAX), PROCESSES, "kernel.pid_max"));
    if agent.systemd.is_none() && !agent.rooted && agent.open_files < FILES {
        findings.push(Finding::warn(
            format!("open files of what we start: {}, {FILES} wanted", agent.open_files),
            "without systemd the limits of /etc/security/limits.d hold: `* hard nofile 65535`, then log in anew",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{FILES} open files and {PROCESSES} threads are possible; the unit asks for them"
        )));
    }
    findings
}

/// Bits below which kernels before 5.6 make the JVM wait for randomness.
const ENTROPY: u64 = 256;
/// How many files all processes together should be allowed (documentation, tuning performance).
const ALL_FILES: u64 = 2_097_152;

pub(super) fn kernel(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(bits) = pairs.number(ask::ENTROPY).filter(|bits| *bits < ENTROPY) {
        findings.push(Finding::warn(
            format!("{bits} bits of randomness at hand"),
            "starts may hang waiting for it: install haveged or rng-tools, or a kernel from 5.6 on",
        ));
    }
    if let Some(files) = pairs.number(ask::FILE_MAX).filter(|files| *files < ALL_FILES) {
        findings.push(Finding::warn(
            format!("fs.file-max is {files}"),
            format!("`fs.file-max = {ALL_FILES}` or more in a file of /etc/sysctl.d, then `sysctl --system`"),
        ));
    }
    findings.extend(given_away(scene, host, pairs));
    if findings.is_empty() {
        findings.push(Finding::ok("nothing that the product stumbles over"));
    }
    findings
}

/// A port of ours in the range that outgoing connections are given may be taken by one when the node is restarted.
fn given_away(scene: &Scene<'_>, host: &str, pairs: &Pairs<'_>) -> Option<Finding> {
    if scene.cluster.nodes_on(host).any(|node| node.settings.hardening.sysctl) {
        // apply reserves them
        return None;
    }
    let mut range = pairs.text(ask::PORT_RANGE)?.split_whitespace().map(|word| word.parse::<u16>().ok());
    let (first, last) = (range.next()??, range.next()??);
    let reserved = port::in_ranges(pairs.text(ask::RESERVED).unwrap_or_default());
    let ports = scene.cluster.nodes_on(host).flat_map(|node| port::ports(node.role, node.offset));
    let mut lost: Vec<u16> = ports
        .map(|port| port.number)
        .filter(|port| (first..=last).contains(port) && !reserved.iter().any(|range| range.contains(port)))
        .collect();
    lost.sort_unstable();
    lost.dedup();
    let ranges = port::ranges(&lost);
    (!lost.is_empty()).then(|| {
        Finding::warn(
            format!("ports {ranges} may be taken by outgoing connections (net.ipv4.ip_local_port_range is {first} to {last})"),
            format!("`net.ipv4.ip_local_reserved_ports = {ranges}` in a file of /etc/sysctl.d, or `apim: {{hardening: {{sysctl: true}}}}`"),
        )
    })
}

/// Returns bytes in words.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..MIB => format!("{} KiB", bytes / 1024),
        MIB..GIB => format!("{:.0} MiB", tenths(MIB)),
        _ => format!("{:.1} GiB", tenths(GIB)),
    }
}
