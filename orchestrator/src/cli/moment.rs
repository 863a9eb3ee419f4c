//! Times on the command line: how long (`90s`, `10m`, `1h30m`, `2d`).

use std::time::Duration;

const UNITS: &str = "write a number with s, m, h or d, such as 90s, 10m or 1h30m";

/// Reads how long: numbers with units, or a number of seconds.
///
/// # Errors
/// In words for the command line.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UNITS.to_owned());
    }
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut total, mut number) = (0_u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ if number.is_empty() => return Err(UNITS.to_owned()),
            other => return Err(format!("`{other}` is no unit of time: {UNITS}")),
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        number.clear();
        total = part.and_then(|part| total.checked_add(part)).ok_or(UNITS)?;
    }
    // A number at the end without its unit may mean anything.
    if number.is_empty() {
        Ok(Duration::from_secs(total))
    } else {
        Err(format!("`{number}` lacks its unit: {UNITS}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("2d"), Ok(172_800));
        for wrong in ["", "m", "10x", "10m5", "-3s", "99999999999999999999s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert!(duration("10x").unwrap_err().contains("`x` is no unit"));
    }
}
