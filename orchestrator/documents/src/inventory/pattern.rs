//! Ansible's host patterns: `a:b`, `a,b`, `!x`, `&y`, globs, `group[0]`, `group[1:]`, `~regex`,
//! `all`.
//!
//! Unlike in Ansible, a name that matches nothing is an error, because it is usually a typo.

use std::collections::HashSet;

use regex::Regex;

use super::model::{Host, Inventory};
use apim_product::yaml::{Mistakes, Span, nearest};

/// Returns the hosts that match `pattern`, in inventory order for each part. `span` is the position
/// of the pattern.
///
/// # Errors
/// * a part matches no host or group of the inventory
/// * a part has invalid syntax
pub fn select<'a>(inventory: &'a Inventory, pattern: &str, span: &Span) -> Result<Vec<&'a Host>, Mistakes> {
    let mut mistakes = Mistakes::default();
    let (mut with, mut both, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for part in split(pattern) {
        match part.split_at_checked(1) {
            Some(("!", rest)) => without.push(rest.to_owned()),
            Some(("&", rest)) => both.push(rest.to_owned()),
            _ => with.push(part),
        }
    }
    if with.is_empty() && both.is_empty() && without.is_empty() {
        mistakes.add(span, "empty host pattern");
        return Err(mistakes);
    }
    if with.is_empty() {
        with.push("all".to_owned());
    }
    let mut pick = |part: &String| match one(inventory, part) {
        Ok(hosts) => hosts,
        Err((what, hint)) => {
            mistakes.add_hint(span, what, hint);
            Vec::new()
        }
    };
    let mut hosts: Vec<&Host> = Vec::new();
    let mut picked = HashSet::new();
    for host in with.iter().flat_map(&mut pick) {
        if picked.insert(host.name.0.as_str()) {
            hosts.push(host);
        }
    }
    for part in &both {
        let names: HashSet<&str> = pick(part).into_iter().map(|host| host.name.0.as_str()).collect();
        hosts.retain(|host| names.contains(host.name.0.as_str()));
    }
    for part in &without {
        let names: HashSet<&str> = pick(part).into_iter().map(|host| host.name.0.as_str()).collect();
        hosts.retain(|host| !names.contains(host.name.0.as_str()));
    }
    if mistakes.0.is_empty() { Ok(hosts) } else { Err(mistakes) }
}

/// Splits at commas. Without a comma, splits at colons and spaces outside brackets.
fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<String> = if pattern.contains(',') {
        pattern.split(',').map(str::to_owned).collect()
    } else if pattern.trim().parse::<std::net::Ipv6Addr>().is_ok() {
        vec![pattern.to_owned()]
    } else {
        let mut depth = 0_usize;
        let outside = |c: char| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && (c == ':' || c.is_whitespace())
        };
        pattern.split(outside).map(str::to_owned).collect()
    };
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

type Wrong = (String, String);

fn one<'a>(inventory: &'a Inventory, part: &str) -> Result<Vec<&'a Host>, Wrong> {
    if let Some(host) = inventory.host(part) {
        return Ok(vec![host]);
    }
    let (name, subscript) = match part.starts_with('~') {
        true => (part, None),
        false => subscript(part)?,
    };
    let hosts = matching(inventory, name)?;
    match subscript {
        None => Ok(hosts),
        Some(Subscript::One(at)) => {
            let at = if at < 0 { hosts.len().checked_add_signed(at) } else { usize::try_from(at).ok() };
            match at.and_then(|at| hosts.get(at)) {
                Some(host) => Ok(vec![host]),
                None if hosts.is_empty() => Ok(hosts),
                None => Err((
                    format!("`{part}` is out of range: `{name}` has {} hosts", hosts.len()),
                    "the first host is [0], the last one is [-1]".to_owned(),
                )),
            }
        }
        // Both ends are included, unlike in Python.
        Some(Subscript::Slice(from, to)) => {
            let count = to.map_or(hosts.len(), |to| to + 1).saturating_sub(from);
            Ok(hosts.into_iter().skip(from).take(count).collect())
        }
    }
}

enum Subscript {
    One(isize),
    Slice(usize, Option<usize>),
}

fn subscript(part: &str) -> Result<(&str, Option<Subscript>), Wrong> {
    let Some((name, inside)) = part.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) else {
        return Ok((part, None));
    };
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let plain = inside.strip_prefix('-').unwrap_or(inside);
    if name.is_empty() {
        return Ok((part, None));
    }
    if is_number(plain) {
        let at = inside
            .parse()
            .map_err(|_| (format!("`[{inside}]` is too large"), "the first host is [0]".to_owned()))?;
        return Ok((name, Some(Subscript::One(at))));
    }
    match inside.split_once(':') {
        Some((from, to)) if is_number(from) && (to.is_empty() || is_number(to)) => {
            let from = from.parse().unwrap_or(usize::MAX);
            Ok((name, Some(Subscript::Slice(from, to.parse().ok()))))
        }
        // Not a subscript: a glob such as `gw[12]x`, or a character class at the end.
        _ => Ok((part, None)),
    }
}

fn matching<'a>(inventory: &'a Inventory, name: &str) -> Result<Vec<&'a Host>, Wrong> {
    if let Some(group) = inventory.group(name) {
        return Ok(inventory.hosts_of(&group.name));
    }
    let special = name.starts_with('~') || name.contains(['.', '?', '*', '[']);
    if !special {
        return if inventory.known_groups.contains(&name) {
            Ok(Vec::new())
        } else {
            Err(unknown(inventory, name))
        };
    }
    let regex = regex(name).ok_or_else(|| {
        (
            format!("invalid host pattern `{name}`"),
            "a regular expression starts with ~, a glob supports * ? [ab]".to_owned(),
        )
    })?;
    let mut hosts = Vec::new();
    let mut named = false;
    for group in inventory.groups.iter().filter(|group| regex.is_match(&group.name)) {
        named = true;
        hosts.extend(inventory.hosts_of(&group.name));
    }
    hosts.extend(inventory.hosts.iter().filter(|host| regex.is_match(&host.name.0)));
    if hosts.is_empty() && !named {
        return Err(unknown(inventory, name));
    }
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.name.0.as_str()));
    Ok(hosts)
}

fn unknown(inventory: &Inventory, name: &str) -> Wrong {
    let groups = inventory.groups.iter().map(|group| group.name.as_str());
    let known = groups.chain(inventory.hosts.iter().map(|host| host.name.0.as_str()));
    let known = known.chain(inventory.known_groups.iter().copied());
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let groups =
                inventory.groups.iter().map(|group| group.name.as_str()).filter(|name| *name != "ungrouped");
            format!("known groups: {}", groups.collect::<Vec<_>>().join(", "))
        }
    };
    (format!("unknown host or group `{name}`"), hint)
}

/// A `~regex` is anchored at the start, a glob at both ends.
fn regex(name: &str) -> Option<Regex> {
    if let Some(regex) = name.strip_prefix('~') {
        return Regex::new(&format!("^(?:{regex})")).ok();
    }
    let mut pattern = String::from("^");
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '[' => match rest.as_str().split_once(']') {
                Some((inside, tail)) if !inside.is_empty() => {
                    let (not, inside) = inside.strip_prefix('!').map_or(("", inside), |inside| ("^", inside));
                    pattern.push_str(&format!("[{not}{}]", inside.replace('\\', "\\\\").replace('[', "\\[")));
                    rest = tail.chars();
                }
                _ => pattern.push_str("\\["),
            },
            c => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    Regex::new(&pattern).ok()
}
