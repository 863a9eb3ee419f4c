//! Names of hosts: ranges such as `gw[01:20].example.com` and `db-[a:f]`, ports behind names, what a name may hold.

/// The most hosts that one name may stand for.
const MOST: usize = 10_000;

/// Returns the names that `pattern` stands for, and the port behind it.
pub(super) fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), String> {
    if pattern.matches('[').count() != pattern.matches(']').count() {
        return Err("a `[` or `]` is alone".to_owned());
    }
    let (name, port) = split_port(pattern)?;
    let mut names = vec![String::new()];
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('[') {
        let (range, tail) = tail.split_once(']').ok_or("a `[` is not closed")?;
        let items = items(range)?;
        if names.len() * items.len() > MOST {
            return Err(format!("it stands for more than {MOST} hosts"));
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
        Some((name, why)) => Err(format!("`{name}` {why}")),
        None => Ok((names, port)),
    }
}

/// `name:2222`, `[2001:db8::1]:2222`; a plain IPv6 address has no port.
fn split_port(pattern: &str) -> Result<(&str, Option<u16>), String> {
    let number =
        |text: &str| text.parse().ok().filter(|port| *port > 0).ok_or(format!("`{text}` is no port"));
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

fn items(range: &str) -> Result<Vec<String>, String> {
    let mut bounds = range.split(':');
    let (Some(first), Some(last), step, None) = (bounds.next(), bounds.next(), bounds.next(), bounds.next())
    else {
        return Err(format!("`[{range}]` is no range; write [begin:end] or [begin:end:step]"));
    };
    let first = if first.is_empty() { "0" } else { first };
    if last.is_empty() {
        return Err(format!("the range `[{range}]` needs an end"));
    }
    let step: usize = match step {
        None => 1,
        Some(step) => {
            step.parse().ok().filter(|step| *step > 0).ok_or(format!("`{step}` is no step of a range"))?
        }
    };
    let letter = |text: &str| {
        let mut letters = ('a'..='z').chain('A'..='Z');
        text.chars().next().filter(|_| text.len() == 1).and_then(|c| letters.position(|letter| letter == c))
    };
    if let (Some(low), Some(high)) = (letter(first), letter(last)) {
        if low > high {
            return Err(format!("the range `[{range}]` runs backwards"));
        }
        let letters = ('a'..='z').chain('A'..='Z');
        return Ok(letters.skip(low).take(high - low + 1).step_by(step).map(String::from).collect());
    }
    let (Ok(low), Ok(high)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return Err(format!("`[{range}]` is no range of numbers or letters"));
    };
    if low > high {
        return Err(format!("the range `[{range}]` runs backwards"));
    }
    let width = if first.starts_with('0') && first.len() > 1 {
        if first.len() != last.len() {
            return Err(format!("both ends of `[{range}]` must have as many digits"));
        }
        first.len()
    } else {
        0
    };
    if (high - low) / step >= MOST {
        return Err(format!("it stands for more than {MOST} hosts"));
    }
    Ok((low..=high).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// Says what is wrong with a host's name, if anything is: it becomes part of commands, paths and file names.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > 253 {
        return Err("is longer than 253 characters");
    }
    if name.starts_with(['-', '.']) {
        return Err("must not begin with `-` or `.`");
    }
    if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')) {
        return Err("may hold letters, digits and - _ . : only");
    }
    Ok(())
}

/// Says what is wrong with a group's name, if anything is.
pub(super) fn check_group(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.starts_with(['-', '.']) {
        return Err("must not begin with `-` or `.`");
    }
    if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Err("may hold letters, digits and - _ . only");
    }
    Ok(())
}
