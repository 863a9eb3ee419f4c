//! Times on the command line: how long (`90s`, `10m`, `1h30m`, `2d`), and since when.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

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

/// Reads since when: so long ago, a moment with its zone (`2026-11-22T05:00:00Z`), or one of this machine's clock. Returns
/// milliseconds since 1970.
///
/// # Errors
/// In words for the command line.
pub(super) fn since(text: &str) -> Result<u64, String> {
    let moment = if let Ok(moment) = text.parse::<Timestamp>() {
        moment
    } else if let Ok(local) = text.parse::<DateTime>() {
        local.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?.timestamp()
    } else {
        let ago = duration(text)
            .map_err(|why| format!("it is no moment such as 2026-11-22T05:00:00Z, and no time: {why}"))?;
        let ago = SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        Timestamp::now().checked_sub(ago).map_err(|_| "that is before all time".to_owned())?
    };
    u64::try_from(moment.as_millisecond()).map_err(|_| "that is before 1970".to_owned())
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

    #[test]
    fn since_is_a_moment_or_so_long_ago() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(since("2026-11-22T07:00:00+02:00"), since("2026-11-22T05:00:00Z"));
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
        assert!(now.abs_diff(since("10m").unwrap() + 600_000) < 5000);
        assert!(since("2026-11-22 05:00").is_ok());
        assert!(since("yesterday").unwrap_err().contains("no moment"));
    }
}
