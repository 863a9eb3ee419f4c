//! Resolves plain scalars by YAML 1.1, as PyYAML (and therefore Ansible) does.

use super::node::Kind;

/// Returns the value of a plain (unquoted) scalar.
#[must_use]
pub fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Kind::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Kind::Bool(false),
        _ => {}
    }
    let looks_numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if looks_numeric && let Some(kind) = int(text).or_else(|| float(text)) {
        return kind;
    }
    self::text(text.to_owned())
}

/// Returns a text value, marked as a template if it looks like one.
#[must_use]
pub(super) fn text(text: String) -> Kind {
    let templated = looks_templated(&text);
    Kind::Text { text, templated }
}

/// Returns whether a text contains template delimiters.
#[must_use]
pub fn looks_templated(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn all(text: &str, fits: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(fits)
}

/// `0b…`, octal with a leading 0, decimal, `0x…`, and base 60 (`22:30`); underscores anywhere after
/// the first digit.
fn int(text: &str) -> Option<Kind> {
    let (negative, digits) = signed(text);
    let radix = if let Some(binary) = digits.strip_prefix("0b") {
        all(binary, |c| matches!(c, '0' | '1' | '_')).then_some((binary, 2))
    } else if let Some(hex) = digits.strip_prefix("0x") {
        all(hex, |c| c.is_ascii_hexdigit() || c == '_').then_some((hex, 16))
    } else if digits == "0" {
        Some((digits, 10))
    } else if let Some(octal) = digits.strip_prefix('0') {
        all(octal, |c| matches!(c, '0'..='7' | '_')).then_some((octal, 8))
    } else if digits.contains(':') {
        return sixties(digits).map(|n| Kind::Int(if negative { -n } else { n }));
    } else {
        (digits.starts_with(|c: char| c.is_ascii_digit()) && all(digits, |c| c.is_ascii_digit() || c == '_'))
            .then_some((digits, 10))
    };
    let (digits, radix) = radix?;
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.is_empty() {
        return None;
    }
    let signed = if negative { format!("-{plain}") } else { plain };
    match i64::from_str_radix(&signed, radix) {
        Ok(number) => Some(Kind::Int(number)),
        // Python integers are unbounded. A number that does not fit is kept as text.
        Err(_) => Some(Kind::Float(signed.parse().unwrap_or(f64::INFINITY), text.to_owned())),
    }
}

fn sixties(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| matches!(c, '1'..='9')) || !all(first, |c| c.is_ascii_digit() || c == '_')
    {
        return None;
    }
    let mut total: i64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        let fits = all(part, |c| c.is_ascii_digit()) && part.len() <= 2;
        let number: i64 = part.parse().ok().filter(|n| fits && *n < 60)?;
        total = total.checked_mul(60)?.checked_add(number)?;
    }
    Some(total)
}

/// A float needs a decimal point, and its exponent needs a sign: `1e3` is a text.
fn float(text: &str) -> Option<Kind> {
    let (negative, rest) = signed(text);
    let sign = if negative { -1.0 } else { 1.0 };
    let float = |number: f64| Some(Kind::Float(number, text.to_owned()));
    match rest {
        ".inf" | ".Inf" | ".INF" => return float(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if rest == text => return float(f64::NAN),
        _ => {}
    }
    let (whole, after) = rest.split_once('.')?;
    let digits = |c: char| c.is_ascii_digit() || c == '_';
    if whole.is_empty() && (rest != text || !after.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    let is_valid = whole.is_empty() || whole.starts_with(|c: char| c.is_ascii_digit()) && all(whole, digits);
    if !is_valid {
        return None;
    }
    let (fraction, exponent) = match after.find(['e', 'E']) {
        Some(at) => (after.get(..at)?, after.get(at + 1..)),
        None => (after, None),
    };
    if !fraction.chars().all(digits) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if !all(digits, |c| c.is_ascii_digit()) {
            return None;
        }
    }
    text.replace('_', "").parse().ok().and_then(float)
}
