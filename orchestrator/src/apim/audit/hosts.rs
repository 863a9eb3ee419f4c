//! What the hosts say.

use super::questions::{LIMIT, LOADED, RECYCLE, SHIPPED, USER, examine, setting};
use super::{DEPLOYMENT, Evidence, Item, SECURITY, TUNING, Testimony, evidence, not_applicable, unknown};
use crate::apim::cluster::Cluster;
use crate::apim::hardening;
use crate::apim::port;
use crate::apim::preflight::pairs::Pairs;
use crate::apim::settings::hardening::Jmx;
use crate::apim::topology::Node;

/// One host that answered.
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
            "a service account without a login, not root",
            true,
            account,
            "apply makes it; `apim: {user: …}`",
            SECURITY,
        ),
        (
            "running_user",
            "servers run as that account",
            true,
            running_user,
            "stop what was started by hand, then apply",
            SECURITY,
        ),
        (
            "modes",
            "releases, keystores and deployment.toml are private",
            true,
            modes,
            "apply puts them right",
            SECURITY,
        ),
        (
            "shipped_in_use",
            "nothing shipped is in the configuration",
            true,
            shipped,
            "own keystores and passwords in the inventory, then apply",
            SECURITY,
        ),
        (
            "jmx_ports",
            "nobody listens on the JMX ports",
            true,
            jmx,
            "`apim: {hardening: {jmx: off}}`, then apply",
            SECURITY,
        ),
        (
            "sandbox",
            "units run in the sandbox",
            is_production,
            sandbox,
            "`apim: {hardening: {sandbox: true}}`, then apply",
            DEPLOYMENT,
        ),
        (
            "limits",
            "units may open 65535 files",
            true,
            limits,
            "apply installs the unit; drop-ins of yours may lower it",
            TUNING,
        ),
        (
            "kernel",
            "kernel settings and reserved ports are in effect",
            is_production,
            kernel,
            "`apim: {hardening: {sysctl: true}}`, then apply",
            TUNING,
        ),
        (
            "tcp_tw_recycle",
            "net.ipv4.tcp_tw_recycle is off",
            true,
            recycle,
            "take it out of /etc/sysctl.conf: it breaks clients behind NAT",
            TUNING,
        ),
        (
            "clock",
            "something keeps the clock right",
            false,
            clock,
            "chrony, systemd-timesyncd or ntpd",
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
        None => unknown(host.name, "not looked up"),
        Some(None) => unknown(host.name, format!("there is no account {user} yet")),
        Some(Some(account)) => {
            let has_no_login = ["nologin", "false"].iter().any(|end| account.shell.ends_with(end));
            let found = format!("{user}: uid {}, shell {}", account.uid, account.shell);
            evidence(Some(host.name), account.uid != 0 && has_no_login, found)
        }
    }]
}

fn running_user(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let Some(listeners) = host.pairs.listeners() else { return vec![unknown(host.name, "not told")] };
    let judged = host.nodes.iter().enumerate().map(|(place, node)| {
        match listeners.iter().find(|one| one.own == Some(place)) {
            None => not_applicable(Some(host.name), format!("{} does not run", node.words())),
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
                None => found.push(unknown(host.name, format!("{path} was not looked at"))),
                Some(None) => found.push(unknown(host.name, format!("{path} is not there yet"))),
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
            None => unknown(host.name, format!("{path} was not looked at")),
            Some([]) => unknown(host.name, format!("{path} is not there yet")),
            Some(held) => {
                let named = SHIPPED.iter().zip(held).filter(|(_, held)| **held).map(|((_, what), _)| *what);
                let named: Vec<&str> = named.collect();
                let text = match named.is_empty() {
                    true => format!("{path} names nothing shipped"),
                    false => format!("{path} names {}", named.join(", ")),
                };
                evidence(Some(host.name), named.is_empty(), text)
            }
        }
    });
    judged.collect()
}

fn jmx(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let Some(listeners) = host.pairs.listeners() else { return vec![unknown(host.name, "not told")] };
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
            (true, _) => evidence(Some(host.name), true, format!("{}: nobody on {ports:?}", node.words())),
            // The stubs lead to the loopback address; the ports themselves stay open and lead nowhere.
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
            .filter(|(property, wish)| unit.get(*property).map(String::as_str) != Some(wish))
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
        None => unknown(host.name, format!("{} was not looked at", node.unit)),
        Some(unit) if unit.is_empty() => not_applicable(Some(host.name), "systemd does not run this host"),
        Some(unit) if unit.get(LOADED).is_some_and(|state| state != "loaded") => {
            unknown(host.name, format!("{} is not installed yet", node.unit))
        }
        Some(unit) => {
            let (holds, text) = judge(node, unit);
            evidence(Some(host.name), holds, text)
        }
    });
    judged.collect()
}

fn kernel(cluster: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    let wished = hardening::sysctl(cluster, host.name);
    if wished.is_empty() {
        return vec![evidence(Some(host.name), false, "not managed (`hardening: {sysctl: …}`)")];
    }
    let neat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for (key, wish) in &wished {
        match host.pairs.text(&setting(key)) {
            None => absent.push(key.as_str()),
            Some(is) if neat(is) == neat(wish) => {}
            Some(is) => wrong.push(format!("{key} is {}", neat(is))),
        }
    }
    let mut found = Vec::new();
    if !wrong.is_empty() {
        found.push(evidence(Some(host.name), false, wrong.join(", ")));
    } else if absent.len() < wished.len() {
        found.push(evidence(
            Some(host.name),
            true,
            format!("{} settings as wished", wished.len() - absent.len()),
        ));
    }
    if !absent.is_empty() {
        let text = format!("not there, a container has them from its machine: {}", absent.join(", "));
        found.push(not_applicable(Some(host.name), text));
    }
    found
}

fn recycle(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    vec![match host.pairs.text(&setting(RECYCLE)) {
        None => evidence(Some(host.name), true, "this kernel has it no more"),
        Some(value) => evidence(Some(host.name), value == "0", format!("{RECYCLE} is {value}")),
    }]
}

fn clock(_: &Cluster, host: &Host<'_>) -> Vec<Evidence> {
    vec![match host.pairs.clock() {
        None => unknown(host.name, "not read"),
        Some((_, Some(keeper))) => evidence(Some(host.name), true, keeper),
        Some((_, None)) => evidence(Some(host.name), false, "no process that is known to"),
    }]
}
