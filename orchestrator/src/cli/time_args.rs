//! Parses durations (`90s`, `10m`, `1h30m`, `2d`) and start times on the command line.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const UNITS: &str = "write a number with s, m, h or d, such as 90s, 10m or 1h30m";

/// Why a duration is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DurationError {
    /// Not a number with units, or too large.
    #[error("{UNITS}")]
    Invalid,
    /// An unknown unit.
    #[error("invalid unit of time `{0}`: {UNITS}")]
    Unit(char),
    /// A number without a unit after a number with one.
    #[error("missing unit after `{0}`: {UNITS}")]
    MissingUnit(String),
}

/// Why a start time is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SinceError {
    /// Neither a time nor a duration.
    #[error("neither a time such as 2026-11-22T05:00:00Z nor a duration: {0}")]
    Neither(DurationError),
    /// A local time that does not exist, or a time too far away.
    #[error("the time is out of range")]
    OutOfRange,
    /// A time before 1970.
    #[error("the time is before 1970")]
    TooEarly,
}

/// Parses a duration: numbers with units, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DurationError::Invalid);
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
            _ if number.is_empty() => return Err(DurationError::Invalid),
            other => return Err(DurationError::Unit(other)),
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        number.clear();
        total = part.and_then(|part| total.checked_add(part)).ok_or(DurationError::Invalid)?;
    }
    // A trailing number without a unit is ambiguous.
    if number.is_empty() { Ok(Duration::from_secs(total)) } else { Err(DurationError::MissingUnit(number)) }
}

/// Parses a start time: a duration ago, a time with zone (`2026-11-22T05:00:00Z`), or a local time.
/// Returns Unix time in milliseconds.
pub(super) fn since(text: &str) -> Result<u64, SinceError> {
    let moment = if let Ok(moment) = text.parse::<Timestamp>() {
        moment
    } else if let Ok(local) = text.parse::<DateTime>() {
        local.to_zoned(TimeZone::system()).map_err(|_| SinceError::OutOfRange)?.timestamp()
    } else {
        let ago = duration(text).map_err(SinceError::Neither)?;
        let ago = SignedDuration::try_from(ago).map_err(|_| SinceError::OutOfRange)?;
        Timestamp::now().checked_sub(ago).map_err(|_| SinceError::OutOfRange)?
    };
    u64::try_from(moment.as_millisecond()).map_err(|_| SinceError::TooEarly)
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
        assert!(duration("10x").unwrap_err().to_string().contains("invalid unit of time `x`"));
    }

    #[test]
    fn since_accepts_times_and_durations() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(1000));
        assert_eq!(since("2026-11-22T07:00:00+02:00"), since("2026-11-22T05:00:00Z"));
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
        assert!(now.abs_diff(since("10m").unwrap() + 600_000) < 5000);
        assert!(since("2026-11-22 05:00").is_ok());
        assert!(since("yesterday").unwrap_err().to_string().contains("neither a time"));
    }
}
