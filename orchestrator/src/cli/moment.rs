//! Parses durations (`90s`, `10m`, `1h30m`, `2d`) and start times on the command line.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const UNITS: &str = "write a number with s, m, h or d, such as 90s, 10m or 1h30m";

/// Parses a duration: numbers with units, or a number of seconds.
///
/// # Errors
/// A message for the command line.
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
            other => return Err(format!("invalid unit of time `{other}`: {UNITS}")),
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        number.clear();
        total = part.and_then(|part| total.checked_add(part)).ok_or(UNITS)?;
    }
    // A trailing number without a unit is ambiguous.
    if number.is_empty() {
        Ok(Duration::from_secs(total))
    } else {
        Err(format!("missing unit after `{number}`: {UNITS}"))
    }
}

/// Parses a start time: a duration ago, a time with zone (`2026-11-22T05:00:00Z`), or a local time.
/// Returns Unix time in milliseconds.
///
/// # Errors
/// A message for the command line.
pub(super) fn since(text: &str) -> Result<u64, String> {
    let moment = if let Ok(moment) = text.parse::<Timestamp>() {
        moment
    } else if let Ok(local) = text.parse::<DateTime>() {
        local.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?.timestamp()
    } else {
        let ago = duration(text)
            .map_err(|why| format!("neither a time such as 2026-11-22T05:00:00Z nor a duration: {why}"))?;
        let ago = SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        Timestamp::now().checked_sub(ago).map_err(|_| "the time is out of range".to_owned())?
    };
    u64::try_from(moment.as_millisecond()).map_err(|_| "the time is before 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_or_are_seconds() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("2d"), Ok(172_800));
        for wrong in ["", "m", "10x", "10m5", "-3s", "99999999999999999999s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert!(duration("10x").unwrap_err().contains("invalid unit of time `x`"));
    }

    #[test]
    fn since_accepts_times_and_durations() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(since("2026-11-22T07:00:00+02:00"), since("2026-11-22T05:00:00Z"));
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
        assert!(now.abs_diff(since("10m").unwrap() + 600_000) < 5000);
        assert!(since("2026-11-22 05:00").is_ok());
        assert!(since("yesterday").unwrap_err().contains("neither a time"));
    }
}
