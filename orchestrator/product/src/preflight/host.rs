//! Checks of the host itself: OS, CPU, memory, disk, clock, JDK, privileges, systemd, security
//! modules, limits, kernel.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;

use super::paths;
use super::{Context, Finding, Pairs, Seen};
use crate::settings::source::Java;
use crate::topology::Node;
use crate::{jdk, port};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// Supported distributions, with the oldest version that still gets fixes for its C library and
/// OpenSSL.
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
        return vec![Finding::unknown("unknown system (no /etc/os-release)")];
    };
    let found = format!("{} {}, Linux {}, {}", facts.os, facts.os_version, facts.kernel, facts.architecture);
    let number = facts.os_version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    let known = SYSTEMS.iter().find(|(name, _)| *name == facts.os);
    vec![match (known, number) {
        (Some((_, oldest)), Some(number)) if number < *oldest => {
            Finding::warn(found, format!("older than {} {oldest}: plan an upgrade", facts.os))
        }
        (Some(_), _) => Finding::ok(found),
        (None, _) => Finding::warn(found, "untested system; disable this check with `preflight: {os: off}`"),
    }]
}

pub(super) fn cpu(facts: Option<&Facts>) -> Vec<Finding> {
    let Some(facts) = facts else { return vec![Finding::unknown("unknown")] };
    let found = match facts.processors {
        1 => "1 processor".to_owned(),
        many => format!("{many} processors"),
    };
    // documentation, production deployment guidelines: 2 to 4 cores
    vec![match facts.processors {
        0 => Finding::unknown("unknown"),
        1 => Finding::warn(found, "the product's documentation recommends 2 to 4"),
        _ => Finding::ok(found),
    }]
}

/// What a server needs besides its heap: classes, code, threads, buffers.
const BESIDE_HEAP: u64 = 512 * MIB;

pub(super) fn memory(context: &Context<'_>, seen: &Seen<'_>) -> Vec<Finding> {
    let Some(has) = seen.facts.map(|facts| facts.memory_bytes).filter(|bytes| *bytes > 0) else {
        return vec![Finding::unknown("unknown")];
    };
    let heaps: Vec<(u64, u64)> =
        context.cluster.nodes_on(seen.host).map(|node| node.own.heap.mebibytes()).collect();
    let largest: u64 = heaps.iter().map(|(_, most)| most * MIB).sum();
    // Each node runs a diagnostics tool, a second JVM with the same memory options
    // (wso2/product-apim, startup-scripts).
    let all: u64 = heaps.iter().map(|(first, most)| (first + most) * MIB + BESIDE_HEAP).sum();
    let found = format!("{} for heaps of {}", size(has), size(largest));
    if has < largest {
        return vec![Finding::fail(found, "add memory, or configure smaller heaps (`gateway: {heap: …}`)")];
    }
    if has < all {
        let why = format!(
            "with diagnostics tools, classes and buffers the nodes may need {}: add memory, or configure smaller heaps",
            size(all)
        );
        return vec![Finding::warn(found, why)];
    }
    // A machine with nominally 4 GB has slightly less usable memory.
    if has < 4 * GIB * 9 / 10 {
        return vec![Finding::warn(found, "the product's documentation recommends 4 GB per node")];
    }
    vec![Finding::ok(found)]
}

/// The assumed size of a zip that is not downloaded yet (those of 4.7 have 290 to 480 MB).
const ZIP: u64 = 500 * MIB;
/// Disk space in zip sizes: the zip, the unpacked release, and working space.
const TIMES: u64 = 3;

pub(super) fn disk(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let mut systems: BTreeMap<u64, (&str, u64, u64, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    for node in context.cluster.nodes_on(host) {
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
            system.2 += context.sizes.get(&node.zip).copied().unwrap_or(ZIP) * TIMES;
            system.3 += 1;
        }
    }
    for (folder, free, need, releases) in systems.into_values() {
        let found = format!("{} free at {folder}", size(free));
        findings.push(match releases {
            0 => Finding::ok(format!("{found}; all releases are installed")),
            _ if free < need => Finding::fail(
                format!("{found}, and {releases} releases to unpack need {}", size(need)),
                "free disk space, or choose another `install_dir`: a release needs three times the size of its zip",
            ),
            _ => Finding::ok(format!("{found}, {} needed", size(need))),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::unknown("unknown"));
    }
    findings
}

/// Smaller clock differences are ignored; tokens and certificates tolerate them.
const BORNE_MILLIS: i64 = 2_000;
/// With larger clock differences newly issued tokens are invalid.
const WRONG_MILLIS: i64 = 30_000;

pub(super) fn clock(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let (Some((_, keeper)), Some(own)) = (pairs.clock(), context.ahead.get(host)) else {
        return vec![Finding::unknown("its clock was not read")];
    };
    let mut all: Vec<i64> = context.ahead.values().copied().collect();
    all.sort_unstable();
    let middle = all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    let from_others = own - middle;
    let remedy = "run chrony, systemd-timesyncd or ntpd on every host: the validity of tokens and certificates depends on the clock";
    let found = |millis: i64, reference: &str| {
        let direction = if millis < 0 { "behind" } else { "ahead of" };
        format!("{:.1} s {direction} {reference}", millis.unsigned_abs() as f64 / 1000.0)
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
            "correct the clock of this machine or of the hosts",
        ));
    }
    match keeper {
        Some(keeper) if findings.is_empty() => {
            findings.push(Finding::ok(format!("synchronized by {keeper}")))
        }
        None if findings.is_empty() && pairs.is_container() => {
            findings.push(Finding::ok("correct; containers use the clock of their host"));
        }
        None if findings.is_empty() => {
            findings.push(Finding::warn("correct now, but no time sync daemon found", remedy));
        }
        _ => {}
    }
    findings
}

pub(super) fn jdk(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let judged = context.cluster.nodes_on(host).map(|node| jdk_of(node, pairs));
    judged.collect()
}

fn jdk_of(node: &Node, pairs: &Pairs<'_>) -> Finding {
    let (lowest, highest) = node.version.series().java();
    let home = &node.java_home;
    let is_archive = matches!(node.settings.java, Some(Java::Archive(_)));
    let needed = format!("API Manager {} needs a JDK {lowest} to {highest}", node.version);
    let remedy = format!(
        "{needed}: install one and set `apim: {{java: {{home: …}}}}`, or let apim-deploy install one with `java: {{archive: …}}`"
    );
    let version = home.join("bin/java").ok().and_then(|program| pairs.version(&program));
    match version {
        None => Finding::unknown("its version was not queried"),
        Some((Some(version), source)) if jdk::fits(node, version) => {
            Finding::ok(format!("{version} at {home}, from {source}"))
        }
        Some((Some(version), source)) => {
            Finding::fail(format!("{version} at {home}, from {source}; needs {lowest} to {highest}"), remedy)
        }
        Some((None, _)) if is_archive => Finding::ok(format!("will be installed at {home}")),
        Some((None, why)) => Finding::fail(format!("no JDK at {home}: {why}"), remedy),
    }
}

pub(super) fn privilege(pairs: &Pairs<'_>) -> Vec<Finding> {
    vec![match pairs.agent() {
        None => Finding::unknown("unknown"),
        Some(agent) if agent.rooted => Finding::ok("not needed with `apim_agent_root`"),
        Some(agent) if agent.uid == 0 => Finding::ok("root"),
        Some(agent) => Finding::fail(
            format!("the agent runs as uid {}, not as root", agent.uid),
            "set `ansible_become: true` for an account with sudo: required for accounts, /etc/hosts and units",
        ),
    }]
}

/// The oldest systemd with all options of the units, except sandbox options; older ones ignore
/// some.
const SYSTEMD: u32 = 239;
/// The oldest systemd with credentials and all sandbox options.
const SYSTEMD_ALL: u32 = 247;

pub(super) fn systemd(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(agent) = pairs.agent() else { return vec![Finding::unknown("unknown")] };
    let is_hardened = context.cluster.nodes_on(host).any(|node| node.settings.hardening.sandbox);
    vec![match agent.systemd {
        _ if agent.rooted => Finding::ok("not used with `apim_agent_root`"),
        None => Finding::warn(
            "systemd is not running on this host",
            "nodes are started by scripts and do not restart after a reboot",
        ),
        Some(version) if version < SYSTEMD => Finding::warn(
            format!("systemd {version}"),
            format!("older than {SYSTEMD}: it ignores some options of the units; upgrade the system"),
        ),
        Some(version) if is_hardened && version < SYSTEMD_ALL => Finding::warn(
            format!("systemd {version}"),
            format!(
                "older than {SYSTEMD_ALL}: it supports only a part of the sandbox (`hardening: {{sandbox: …}}`)"
            ),
        ),
        Some(version) => Finding::ok(format!("systemd {version}")),
    }]
}

/// Folders where security policies of distributions allow services to run programs; home folders
/// are not allowed.
const USUAL: [&str; 4] = ["/opt/", "/usr/", "/srv/", "/var/"];

pub(super) fn security_module(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let armour = if pairs.text(paths::APPARMOR) == Some("Y") { ", AppArmor on" } else { "" };
    let enforces = match pairs.text(paths::SELINUX) {
        Some("1") => true,
        Some(_) => return vec![Finding::ok(format!("SELinux permissive{armour}"))],
        None if armour.is_empty() => return vec![Finding::ok("no SELinux or AppArmor")],
        None => {
            return vec![Finding::ok("AppArmor on; it has no default profile for the product")];
        }
    };
    let unusual = context
        .cluster
        .nodes_on(host)
        .flat_map(|node| [&node.home.releases, &node.java_home])
        .find(|path| enforces && !USUAL.iter().any(|usual| path.as_str().starts_with(usual)));
    let refuses = enforces
        && !crate::load_balancer::managed_ports(context.cluster, host).is_empty()
        && pairs.text(paths::WEB_CONNECTS).is_some_and(|value| value.starts_with('0'));
    vec![match unusual {
        _ if refuses => Finding::warn(
            format!("SELinux enforcing{armour}, and nginx is not allowed to connect to other hosts"),
            "`setsebool -P httpd_can_network_connect on`; ports other than 80 and 443 also need `semanage port -a -t http_port_t`",
        ),
        None => Finding::ok(format!("SELinux enforcing{armour}")),
        Some(path) => Finding::warn(
            format!("SELinux enforcing{armour}, and services are not allowed to run programs in {path}"),
            "choose a folder below /opt, or label it: `semanage fcontext -a -t usr_t`, `bin_t` for `bin/`, then `restorecon -R`",
        ),
    }]
}

/// The limits in the unit (documentation, tuning performance: `nofile` 65535, `nproc` 20000).
const FILES: u64 = 65_535;
const PROCESSES: u64 = 20_000;

pub(super) fn limits(pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(agent) = pairs.agent() else { return vec![Finding::unknown("unknown")] };
    let mut findings = Vec::new();
    let short = |what: &str, has: Option<u64>, need: u64, key: &str| {
        let has = has.filter(|has| *has < need)?;
        Some(Finding::warn(
            format!("{what}: {has}, needs {need}"),
            format!("`{key} = {need}` or more in a file of /etc/sysctl.d, then `sysctl --system`"),
        ))
    };
    findings.extend(short("open files of a process", pairs.number(paths::NR_OPEN), FILES, "fs.nr_open"));
    findings.extend(short("threads", pairs.number(paths::THREADS_MAX), PROCESSES, "kernel.threads-max"));
    findings.extend(short("process numbers", pairs.number(paths::PID_MAX), PROCESSES, "kernel.pid_max"));
    if agent.systemd.is_none() && !agent.rooted && agent.open_files < FILES {
        findings.push(Finding::warn(
            format!("open files of started processes: {}, needs {FILES}", agent.open_files),
            "without systemd the limits in /etc/security/limits.d apply: set `* hard nofile 65535`, then log in again",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(format!(
            "{FILES} open files and {PROCESSES} threads are possible; the unit requests them"
        )));
    }
    findings
}

/// With less entropy, in bits, kernels before 5.6 block the JVM.
const ENTROPY: u64 = 256;
/// The recommended limit of open files for all processes together (documentation, tuning
/// performance).
const ALL_FILES: u64 = 2_097_152;

pub(super) fn kernel(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(bits) = pairs.number(paths::ENTROPY).filter(|bits| *bits < ENTROPY) {
        findings.push(Finding::warn(
            format!("{bits} bits of entropy available"),
            "starts may block: install haveged or rng-tools, or kernel 5.6 or later",
        ));
    }
    if let Some(files) = pairs.number(paths::FILE_MAX).filter(|files| *files < ALL_FILES) {
        findings.push(Finding::warn(
            format!("fs.file-max is {files}"),
            format!("`fs.file-max = {ALL_FILES}` or more in a file of /etc/sysctl.d, then `sysctl --system`"),
        ));
    }
    findings.extend(given_away(context, host, pairs));
    if findings.is_empty() {
        findings.push(Finding::ok("ok"));
    }
    findings
}

/// A node's port inside the ephemeral range may be taken by an outgoing connection while the node
/// restarts.
fn given_away(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Option<Finding> {
    if context.cluster.nodes_on(host).any(|node| node.settings.hardening.sysctl) {
        // apply reserves them
        return None;
    }
    let mut range = pairs.text(paths::PORT_RANGE)?.split_whitespace().map(|word| word.parse::<u16>().ok());
    let (first, last) = (range.next()??, range.next()??);
    let reserved = port::in_ranges(pairs.text(paths::RESERVED).unwrap_or_default());
    let ports = context.cluster.nodes_on(host).flat_map(|node| port::ports(node.role, node.offset));
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

/// Returns a byte count for display.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        0..MIB => format!("{} KiB", bytes / 1024),
        MIB..GIB => format!("{:.0} MiB", tenths(MIB)),
        _ => format!("{:.1} GiB", tenths(GIB)),
    }
}
