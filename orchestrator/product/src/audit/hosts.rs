//! Checks of the hosts.

use super::model::{
    Check, DEPLOYMENT, Evidence, HostAnswers, Item, Required, SECURITY, TUNING, evidence, not_applicable,
    unknown,
};
use super::questions::{LIMIT, LOADED, RECYCLE, SHIPPED, USER, examine, setting};
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

const CHECKS: [Check<Judge>; 10] = [
    Check {
        name: "account",
        what: "the service account is not root and has no login shell",
        required: Required::Yes,
        judge: account,
        remedy: "apply creates it; set `apim: {user: …}`",
        source: SECURITY,
    },
    Check {
        name: "running_user",
        what: "servers run as that account",
        required: Required::Yes,
        judge: running_user,
        remedy: "stop manually started servers, then apply",
        source: SECURITY,
    },
    Check {
        name: "modes",
        what: "releases, keystores and deployment.toml are private",
        required: Required::Yes,
        judge: modes,
        remedy: "apply corrects the permissions",
        source: SECURITY,
    },
    Check {
        name: "shipped_in_use",
        what: "no shipped defaults in the configuration",
        required: Required::Yes,
        judge: shipped,
        remedy: "set custom keystores and passwords in the inventory, then apply",
        source: SECURITY,
    },
    Check {
        name: "jmx_ports",
        what: "the JMX ports are closed",
        required: Required::Yes,
        judge: jmx,
        remedy: "set `apim: {hardening: {jmx: off}}`, then apply",
        source: SECURITY,
    },
    Check {
        name: "sandbox",
        what: "units run in the sandbox",
        required: Required::InProduction,
        judge: sandbox,
        remedy: "set `apim: {hardening: {sandbox: true}}`, then apply",
        source: DEPLOYMENT,
    },
    Check {
        name: "limits",
        what: "units may open 65535 files",
        required: Required::Yes,
        judge: limits,
        remedy: "apply installs the unit; check your drop-ins for a lower limit",
        source: TUNING,
    },
    Check {
        name: "kernel",
        what: "kernel settings and reserved ports are in effect",
        required: Required::InProduction,
        judge: kernel,
        remedy: "set `apim: {hardening: {sysctl: true}}`, then apply",
        source: TUNING,
    },
    Check {
        name: "tcp_tw_recycle",
        what: "net.ipv4.tcp_tw_recycle is off",
        required: Required::Yes,
        judge: recycle,
        remedy: "remove it from /etc/sysctl.conf: it breaks clients behind NAT",
        source: TUNING,
    },
    Check {
        name: "clock",
        what: "the clock is synchronized",
        required: Required::No,
        judge: clock,
        remedy: "install chrony, systemd-timesyncd or ntpd",
        source: DEPLOYMENT,
    },
];

pub(super) fn items(cluster: &Cluster, seen: &[HostAnswers<'_>]) -> Vec<Item> {
    let hosts: Vec<Result<Host<'_>, Evidence>> = seen
        .iter()
        .map(|HostAnswers { host, answers }| match answers {
            Ok(answers) => Ok(Host {
                name: host,
                nodes: cluster.nodes_on(host).collect(),
                pairs: Pairs::new(examine(cluster, host).questions, answers),
            }),
            Err(failure) => Err(unknown(host, failure.what.clone())),
        })
        .collect();
    let item = |check: &Check<Judge>| {
        let evidence = hosts.iter().flat_map(|host| match host {
            Ok(host) => (check.judge)(cluster, host),
            Err(evidence) => vec![evidence.clone()],
        });
        check.item(cluster, evidence.collect())
    };
    CHECKS.iter().map(item).collect()
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
