//! Checks of the hosts.

use super::questions::{LIMIT, LOADED, RECYCLE, SHIPPED, USER, examine, setting};
use super::{DEPLOYMENT, Evidence, Item, SECURITY, TUNING, Testimony, evidence, not_applicable, unknown};
use crate::cluster::Cluster;
use crate::hardening;
use crate::port;
use crate::preflight::pairs::Pairs;
use crate::settings::hardening::Jmx;
use crate::topology::Node;

/// A host with its answers.
struct Host<'a> {
    name: &'a str,
    nodes: Vec<&'a Node>,
    pairs: Pairs<'a>,
}

type Judge = for<'a> fn(&Cluster, &Host<'a>) -> Vec<Evidence>;

pub(super) fn items(cluster: &Cluster, seen: &[Testimony<'_>]) -> Vec<Item> {
    let is_production = cluster.nodes().iter().any(|node| node.settings.hardening.production);
    let rows: [(&'static str, &'static str, bool, Judge, &'static str, &'static str); 10] = [
        (
            "account",
            "the service account is not root and has no login shell",
            true,
            account,
            "apply creates it; set `apim: {user: …}`",
            SECURITY,
        ),
        (
            "running_user",
            "servers run as that account",
            true,
            running_user,
            "stop manually started servers, then apply",
            SECURITY,
        ),
        (
            "modes",
            "releases, keystores and deployment.toml are private",
            true,
            modes,
            "apply corrects the permissions",
            SECURITY,
        ),
        (
            "shipped_in_use",
            "no shipped defaults in the configuration",
            true,
            shipped,
            "set custom keystores and passwords in the inventory, then apply",
            SECURITY,
        ),
        (
            "jmx_ports",
            "the JMX ports are closed",
            true,
            jmx,
            "set `apim: {hardening: {jmx: off}}`, then apply",
            SECURITY,
        ),
        (
            "sandbox",
            "units run in the sandbox",
            is_production,
            sandbox,
            "set `apim: {hardening: {sandbox: true}}`, then apply",
            DEPLOYMENT,
        ),
        (
            "limits",
            "units may open 65535 files",
            true,
            limits,
            "apply installs the unit; check your drop-ins for a lower limit",
            TUNING,
        ),
        (
            "kernel",
            "kernel settings and reserved ports are in effect",
            is_production,
            kernel,
            "set `apim: {hardening: {sysctl: true}}`, then apply",
            TUNING,
        ),
        (
            "tcp_tw_recycle",
            "net.ipv4.tcp_tw_recycle is off",
            true,
            recycle,
            "remove it from /etc/sysctl.conf: it breaks clients behind NAT",
            TUNING,
        ),
        (
            "clock",
            "the clock is synchronized",
            false,
            clock,
            "install chrony, systemd-timesyncd or ntpd",
            DEPLOYMENT,
        ),
    ];
    let hosts: Vec<Result<Host<'_>, Evidence>> = seen
        .iter()
        .map(|(name, answers)| match answers {
            Ok(answers) => Ok(Host {
                name,
                nodes: cluster.nodes_on(name).collect(),
                pairs: Pairs::new(examine(cluster, name).questions, answers),
            }),
            Err(why) => Err(unknown(name, why.clone())),
        })
        .collect();
    let item = |(name, what, required, judge, remedy, source): (_, _, _, Judge, _, _)| {
        let evidence = hosts.iter().flat_map(|host| match host {
            Ok(host) => judge(cluster, host),
            Err(evidence) => vec![evidence.clone()],
        });
        Item { name, what, required, evidence: evidence.collect(), remedy, source }
    };
    rows.into_iter().map(item).collect()
}

fn account(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let Some(user) = host.nodes.first().map(|node| node.settings.user.as_str()) else { return Vec::new() };
    vec![match host.pairs.account(user) {
        None => unknown(host.name, "not queried"),
        Some(None) => unknown(host.name, format!("account {user} does not exist yet")),
        Some(Some(account)) => {
            let has_no_login = ["nologin", "false"].iter().any(|end| account.shell.ends_with(end));
            let found = format!("{user}: uid {}, shell {}", account.uid, account.shell);
            evidence(Some(host.name), account.uid != 0 && has_no_login, found)
        }
    }]
}

fn running_user(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let Some(listeners) = host.pairs.listeners() else { return vec![unknown(host.name, "not reported")] };
    let judged = host.nodes.iter().enumerate().map(|(place, node)| {
        match listeners.iter().find(|one| one.own == Some(place)) {
            None => not_applicable(Some(host.name), format!("{} is not running", node.words())),
            Some(one) => {
                let pid = one.pid.map(|pid| format!("pid {pid} ")).unwrap_or_default();
                let found = format!("{}: {pid}runs as {}", node.words(), one.account);
                evidence(Some(host.name), one.account == node.settings.user, found)
            }
        }
    });
    judged.collect()
}

fn modes(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let mut found = Vec::new();
    for node in &host.nodes {
        let places =
            [(&node.home.release, 0o027), (&node.home.deployment_toml, 0o077), (&node.home.security, 0o077)];
        for (path, forbidden) in places {
            match host.pairs.entry(path) {
                None => found.push(unknown(host.name, format!("{path} was not checked"))),
                Some(None) => found.push(unknown(host.name, format!("{path} does not exist yet"))),
                Some(Some(entry)) => {
                    let is_private = entry.mode & forbidden == 0 && entry.owner == node.settings.user;
                    let text = format!("{path}: {:04o} {}:{}", entry.mode, entry.owner, entry.group);
                    found.push(evidence(Some(host.name), is_private, text));
                }
            }
        }
    }
    found
}

fn shipped(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let judged = host.nodes.iter().map(|node| {
        let path = &node.home.deployment_toml;
        match host.pairs.holds(path) {
            None => unknown(host.name, format!("{path} was not checked")),
            Some([]) => unknown(host.name, format!("{path} does not exist yet")),
            Some(held) => {
                let named = SHIPPED.iter().zip(held).filter(|(_, held)| **held).map(|((_, what), _)| *what);
                let named: Vec<&str> = named.collect();
                let text = match named.is_empty() {
                    true => format!("{path} contains no shipped defaults"),
                    false => format!("{path} contains {}", named.join(", ")),
                };
                evidence(Some(host.name), named.is_empty(), text)
            }
        }
    });
    judged.collect()
}

fn jmx(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let Some(listeners) = host.pairs.listeners() else { return vec![unknown(host.name, "not reported")] };
    let judged = host.nodes.iter().enumerate().map(|(place, node)| {
        let ports = [node.port(port::JMX_REGISTRY), node.port(port::JMX_SERVER)];
        let there: Vec<String> = listeners
            .iter()
            .filter(|one| {
                one.own == Some(place) && ports.contains(&one.port) && !one.address.starts_with("127.")
            })
            .map(|one| format!("{}:{}", one.address, one.port))
            .collect();
        match (there.is_empty(), node.settings.hardening.jmx) {
            (true, _) => {
                evidence(Some(host.name), true, format!("{}: ports {ports:?} are closed", node.words()))
            }
            // RMI stubs point to the loopback address. The ports stay open but are unusable from
            // other hosts.
            (false, Jmx::Local) => evidence(Some(host.name), true, format!("{}: local only", node.words())),
            (false, _) => {
                evidence(Some(host.name), false, format!("{} listens on {}", node.words(), there.join(", ")))
            }
        }
    });
    judged.collect()
}

fn sandbox(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    units(host, |node, unit| {
        let lacks: Vec<&str> = hardening::SANDBOX_PROPERTIES
            .iter()
            .filter(|(property, value)| unit.get(*property).map(String::as_str) != Some(value))
            .map(|(property, _)| *property)
            .collect();
        match lacks.is_empty() {
            true => (true, format!("{}: in the sandbox", node.unit)),
            false => (false, format!("{} lacks {}", node.unit, lacks.join(", "))),
        }
    })
}

fn limits(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    units(host, |node, unit| {
        let limit = unit.get(LIMIT).map_or("", String::as_str);
        let user = unit.get(USER).map_or("", String::as_str);
        let fits = limit == "infinity" || limit.parse::<u64>().is_ok_and(|files| files >= 65_535);
        (fits, format!("{}: {LIMIT}={limit}, {USER}={user}", node.unit))
    })
}

fn units(
    host: &Host<'_>,
    judge: impl Fn(&Node, &std::collections::BTreeMap<String, String>) -> (bool, String),
) -> Vec<Evidence> {
    let judged = host.nodes.iter().map(|node| match host.pairs.unit(&node.unit) {
        None => unknown(host.name, format!("{} was not checked", node.unit)),
        Some(unit) if unit.is_empty() => {
            not_applicable(Some(host.name), "systemd is not running on this host")
        }
        Some(unit) if unit.get(LOADED).is_some_and(|state| state != "loaded") => {
            unknown(host.name, format!("{} is not installed yet", node.unit))
        }
        Some(unit) => {
            let (passed, text) = judge(node, unit);
            evidence(Some(host.name), passed, text)
        }
    });
    judged.collect()
}

fn kernel(cluster: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let desired = hardening::sysctl(cluster, host.name);
    if desired.is_empty() {
        return vec![evidence(Some(host.name), false, "not managed (`hardening: {sysctl: …}`)")];
    }
    let neat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for (key, value) in &desired {
        match host.pairs.text(&setting(key)) {
            None => absent.push(key.as_str()),
            Some(is) if neat(is) == neat(value) => {}
            Some(is) => wrong.push(format!("{key} is {}", neat(is))),
        }
    }
    let mut found = Vec::new();
    if !wrong.is_empty() {
        found.push(evidence(Some(host.name), false, wrong.join(", ")));
    } else if absent.len() < desired.len() {
        found.push(evidence(
            Some(host.name),
            true,
            format!("{} settings are correct", desired.len() - absent.len()),
        ));
    }
    if !absent.is_empty() {
        let text = format!("not available, a container inherits them from its host: {}", absent.join(", "));
        found.push(not_applicable(Some(host.name), text));
    }
    found
}

fn recycle(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    vec![match host.pairs.text(&setting(RECYCLE)) {
        None => evidence(Some(host.name), true, "removed from this kernel"),
        Some(value) => evidence(Some(host.name), value == "0", format!("{RECYCLE} is {value}")),
    }]
}

fn clock(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    vec![match host.pairs.clock() {
        None => unknown(host.name, "not read"),
        Some((_, Some(keeper))) => evidence(Some(host.name), true, keeper),
        Some((_, None)) => evidence(Some(host.name), false, "no time sync daemon found"),
    }]
}
