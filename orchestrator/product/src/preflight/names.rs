//! Every name of the cluster must resolve to one IPv4 address on every node before its first start:
//! names are stored in the databases and in URLs for clients, and the servers support only IPv4
//! (documentation, distributed deployment; `-Djava.net.preferIPv4Stack=true`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::{Context, Finding, Pairs};
use crate::cluster::Cluster;
use crate::hosts_file;

/// Returns the current or future content of the managed block in `/etc/hosts`.
fn block(cluster: &Cluster) -> BTreeMap<String, Ipv4Addr> {
    let lines = hosts_file::lines(cluster);
    let pairs = lines.iter().flat_map(|line| {
        let mut words = line.split(' ');
        let address = words.next().and_then(|word| word.parse::<Ipv4Addr>().ok());
        words.filter_map(move |word| Some((word.to_owned(), address?))).collect::<Vec<_>>()
    });
    pairs.collect()
}

pub(super) fn names(context: &Context<'_>, host: &str, pairs: &Pairs<'_>) -> Vec<Finding> {
    let Some(resolved) = pairs.names() else { return vec![Finding::unknown("names were not looked up")] };
    let known = block(context.cluster);
    let host = context.cluster.hosts().iter().find(|known| known.name == host);
    let is_written = host.is_some_and(|host| host.settings.hosts_file.enabled);
    let own = host.map_or("", |host| host.peer.as_str());
    let mut findings = Vec::new();
    let mut by_block = 0;
    for one in resolved {
        let name = &one.name;
        let address = known.get(name);
        if let (true, Some(address)) = (is_written, address) {
            by_block += 1;
            if let Some((number, other)) = &one.line
                && *other != address.to_string()
                // A node may resolve its own name to loopback; distributions write such a line.
                && !(name == own && other.starts_with("127."))
            {
                findings.push(Finding::fail(
                    format!("`{name}` resolves to {other} by line {number} of /etc/hosts, not to {address}"),
                    format!("remove line {number} from /etc/hosts: the first line with a name takes precedence over the managed block"),
                ));
            }
            continue;
        }
        findings.extend(by_resolver(name, name == own, &one.addresses, one.problem.as_deref(), address));
    }
    if findings.is_empty() {
        let rest = resolved.len() - by_block;
        findings.push(Finding::ok(match (by_block, rest) {
            (all, 0) => format!("{all} names, all in the managed block of /etc/hosts"),
            (0, all) => format!("{all} names, all resolved to IPv4"),
            (some, rest) => {
                format!("{some} names in the managed block of /etc/hosts, {rest} resolved to IPv4")
            }
        }));
    }
    findings
}

fn by_resolver(
    name: &str,
    is_own: bool,
    addresses: &[String],
    problem: Option<&str>,
    known: Option<&Ipv4Addr>,
) -> Option<Finding> {
    let into_block = "set its `address` so that apim-deploy writes it to /etc/hosts (`apim: {address: …}` of a host, `endpoints: {…: {address: …}}`, \
                      or `hosts_file: {extra: {NAME: ADDRESS}}`), or add it to DNS";
    let ipv4: Vec<Ipv4Addr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
    if ipv4.is_empty() {
        let why = match (addresses.is_empty(), problem) {
            (false, _) => format!("has only IPv6 addresses ({})", addresses.join(", ")),
            (true, Some(problem)) => format!("does not resolve: {problem}"),
            (true, None) => "does not resolve".to_owned(),
        };
        return Some(Finding::fail(format!("`{name}` {why}"), into_block));
    }
    if let Some(known) = known
        && !ipv4.contains(known)
        && !(is_own && ipv4.iter().all(Ipv4Addr::is_loopback))
    {
        let found = addresses.join(", ");
        return Some(Finding::fail(
            format!("`{name}` resolves to {found}, but the inventory says {known}"),
            "correct DNS, /etc/hosts or the inventory",
        ));
    }
    if !is_own && ipv4.iter().all(Ipv4Addr::is_loopback) {
        let found = addresses.join(", ");
        return Some(Finding::fail(
            format!("`{name}` resolves to {found}, this host itself"),
            "remove the line from /etc/hosts, or correct DNS",
        ));
    }
    None
}
