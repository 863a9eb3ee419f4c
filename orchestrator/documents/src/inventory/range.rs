//! Host names: ranges such as `gw[01:20].example.com` and `db-[a:f]`, ports after names, allowed
//! characters.

/// The maximum number of hosts of one range.
const MAX_HOSTS: usize = 10_000;

/// Why a host pattern is invalid. The error follows "invalid host `x`: ".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RangeError {
    #[error("unbalanced `[` or `]`")]
    Unbalanced,
    #[error("unclosed `[`")]
    Unclosed,
    #[error("more than {MAX_HOSTS} hosts")]
    TooMany,
    #[error("`{name}` {why}")]
    Name { name: String, why: &'static str },
    #[error("invalid port `{0}`")]
    Port(String),
    #[error("invalid range `[{0}]`; write [begin:end] or [begin:end:step]")]
    Form(String),
    #[error("the range `[{0}]` has no end")]
    NoEnd(String),
    #[error("invalid range step `{0}`")]
    Step(String),
    #[error("the range `[{0}]` is descending")]
    Descending(String),
    #[error("invalid range `[{0}]`: both ends must be numbers or letters")]
    Mixed(String),
    #[error("both ends of `[{0}]` must have the same number of digits")]
    Digits(String),
}

/// Returns the names that `pattern` expands to, and the port after it.
pub(super) fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), RangeError> {
    if pattern.matches('[').count() != pattern.matches(']').count() {
        return Err(RangeError::Unbalanced);
    }
    let (name, port) = split_port(pattern)?;
    let mut names = vec![String::new()];
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('[') {
        let (range, tail) = tail.split_once(']').ok_or(RangeError::Unclosed)?;
        let items = items(range)?;
        if names.len() * items.len() > MAX_HOSTS {
            return Err(RangeError::TooMany);
        }
        names = names
            .iter()
            .flat_map(|name| items.iter().map(move |item| format!("{name}{head}{item}")))
            .collect();
        rest = tail;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    match names.iter().find_map(|name| check(name).err().map(|why| (name, why))) {
        Some((name, why)) => Err(RangeError::Name { name: name.clone(), why }),
        None => Ok((names, port)),
    }
}

/// `name:2222`, `[2001:db8::1]:2222`; a plain IPv6 address has no port.
fn split_port(pattern: &str) -> Result<(&str, Option<u16>), RangeError> {
    let number = |text: &str| {
        text.parse().ok().filter(|port| *port > 0).ok_or_else(|| RangeError::Port(text.to_owned()))
    };
    if let Some((address, port)) = pattern.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"))
        && address.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return Ok((address, Some(number(port)?)));
    }
    if pattern.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((pattern, None));
    }
    match pattern.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => Ok((name, Some(number(port)?))),
        _ => Ok((pattern, None)),
    }
}

fn items(range: &str) -> Result<Vec<String>, RangeError> {
    let mut bounds = range.split(':');
    let (Some(first), Some(last), step, None) = (bounds.next(), bounds.next(), bounds.next(), bounds.next())
    else {
        return Err(RangeError::Form(range.to_owned()));
    };
    let first = if first.is_empty() { "0" } else { first };
    if last.is_empty() {
        return Err(RangeError::NoEnd(range.to_owned()));
    }
    let step: usize = match step {
        None => 1,
        Some(step) => {
            step.parse().ok().filter(|step| *step > 0).ok_or_else(|| RangeError::Step(step.to_owned()))?
        }
    };
    let letter = |text: &str| {
        let mut letters = ('a'..='z').chain('A'..='Z');
        text.chars().next().filter(|_| text.len() == 1).and_then(|c| letters.position(|letter| letter == c))
    };
    if let (Some(low), Some(high)) = (letter(first), letter(last)) {
        if low > high {
            return Err(RangeError::Descending(range.to_owned()));
        }
        let letters = ('a'..='z').chain('A'..='Z');
        return Ok(letters.skip(low).take(high - low + 1).step_by(step).map(String::from).collect());
    }
    let (Ok(low), Ok(high)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return Err(RangeError::Mixed(range.to_owned()));
    };
    if low > high {
        return Err(RangeError::Descending(range.to_owned()));
    }
    let width = if first.starts_with('0') && first.len() > 1 {
        if first.len() != last.len() {
            return Err(RangeError::Digits(range.to_owned()));
        }
        first.len()
    } else {
        0
    };
    if (high - low) / step >= MAX_HOSTS {
        return Err(RangeError::TooMany);
    }
    Ok((low..=high).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// Checks a host name: it becomes part of commands, paths and file names. The error completes "the
/// host `x` …".
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > 253 {
        return Err("is longer than 253 characters");
    }
    if name.starts_with(['-', '.']) {
        return Err("must not start with `-` or `.`");
    }
    if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')) {
        return Err("must contain only letters, digits and - _ . :");
    }
    Ok(())
}

/// Checks a group name. The error completes "the group name `x` …".
pub(super) fn check_group(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.starts_with(['-', '.']) {
        return Err("must not start with `-` or `.`");
    }
    if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Err("must contain only letters, digits and - _ .");
    }
    Ok(())
}
