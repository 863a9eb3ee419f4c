//! Answering questions about names: what the host resolves them to, and what its `/etc/hosts` says outside a managed block.

use std::net::{IpAddr, Ipv4Addr};

use apim_protocol::observation::{Answer, Resolved};
use apim_protocol::value::AbsPath;

use crate::probe::name::{NameError, Names};
use crate::system::{Program, System};

/// How many look-ups or connections are tried at once.
pub(super) const PARALLEL: usize = 32;
/// A hosts file is read up to this size.
const HOSTS_LIMIT: u64 = 4 * 1024 * 1024;

/// Resolves each of `names`.
pub(super) fn names(system: &System, names: &[String], marker: Option<&str>) -> Answer {
    let path = AbsPath::parse("/etc/hosts");
    let hosts = path.ok().and_then(|path| system.read(&path, HOSTS_LIMIT).ok().flatten()).unwrap_or_default();
    let hosts = String::from_utf8_lossy(&hosts);
    let lines = before_block(&hosts, marker);
    let mut found = Vec::new();
    for part in names.chunks(PARALLEL) {
        let resolved: Vec<Resolved> = std::thread::scope(|scope| {
            let tries: Vec<_> = part.iter().map(|name| scope.spawn(|| resolved(system, name))).collect();
            let answers = part.iter().zip(tries).map(|(name, one)| {
                one.join().unwrap_or_else(|_| Resolved { name: name.clone(), ..Resolved::default() })
            });
            answers.collect()
        });
        found.extend(resolved);
    }
    for one in &mut found {
        one.line = line_of(&lines, &one.name);
    }
    Answer::Names(found)
}

fn resolved(system: &System, name: &str) -> Resolved {
    let (addresses, problem) = match addresses(name).or_else(|why| asked(system, name).ok_or(why)) {
        Ok(addresses) => (addresses.iter().map(ToString::to_string).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Resolved { name: name.to_owned(), addresses, problem, line: None }
}

/// Returns the addresses of `host` by `/etc/hosts` and DNS.
pub(super) fn addresses(host: &str) -> Result<Vec<IpAddr>, NameError> {
    let mut addresses = Names::default().addresses(host)?;
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// The host may know more ways than a static program does (mDNS, LDAP, its own resolver): `getent` goes them all.
fn asked(system: &System, name: &str) -> Option<Vec<IpAddr>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if system.is_rooted() || name.starts_with('-') || !name.chars().all(fits) {
        return None;
    }
    let program = Program { timeout_secs: 5, ..Program::new(["getent", "ahostsv4", name]) };
    let output = system.run(&program).ok().filter(|output| output.ended.is_success())?;
    let mut addresses: Vec<IpAddr> =
        output.stdout.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    (!addresses.is_empty()).then_some(addresses)
}

/// Returns the lines that stand before the managed block, or all where there is none, each with its number.
fn before_block<'a>(text: &'a str, marker: Option<&str>) -> Vec<(u32, &'a str)> {
    let begin = marker.map(|marker| format!("# BEGIN {marker}"));
    let is_other = |line: &&str| begin.as_deref() != Some(line.trim_end());
    (1..).zip(text.lines().take_while(is_other)).collect()
}

fn line_of(lines: &[(u32, &str)], name: &str) -> Option<(u32, String)> {
    lines.iter().find_map(|(number, line)| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address: Ipv4Addr = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then(|| (*number, address.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_before_the_block_count() {
        let text = "127.0.0.1 localhost\n127.0.1.1 gw1.example.com gw1 # own\n::1 gw2\n# BEGIN ours\n10.0.0.2 gw2\n# END ours\n10.0.0.3 gw3\n";
        let lines = before_block(text, Some("ours"));
        assert_eq!(line_of(&lines, "GW1"), Some((2, "127.0.1.1".to_owned())));
        assert_eq!(line_of(&lines, "own"), None);
        assert_eq!(line_of(&lines, "gw2"), None);
        assert_eq!(line_of(&lines, "gw3"), None);
        assert_eq!(line_of(&before_block(text, None), "gw3"), Some((7, "10.0.0.3".to_owned())));
    }
}
