//! The time stamp in a line of a log: `2026-05-29 10:48:55,007` and its kin, `29/May/2026:10:48:55 +0000`, `1780051735.123456`.

/// So far into a line a time stamp is looked for, in bytes.
const WITHIN: usize = 160;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Returns the moment that `line` was written, in milliseconds since 1970. A stamp without a zone is of a clock that is `zone_secs` ahead of UTC.
#[must_use]
pub fn find(line: &str, zone_secs: i64) -> Option<u64> {
    let bytes = line.as_bytes();
    let bytes = bytes.get(..WITHIN).unwrap_or(bytes);
    (0..bytes.len()).find_map(|at| {
        // A stamp does not begin in the middle of a number.
        if at > 0 && bytes.get(at - 1).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let rest = bytes.get(at..)?;
        if !rest.first()?.is_ascii_digit() {
            return None;
        }
        sortable(rest, zone_secs).or_else(|| of_access_log(rest)).or_else(|| seconds(rest, at))
    })
}

/// Returns how far ahead of UTC a clock is whose zone is written as `+0200`.
#[must_use]
pub fn zone_secs(zone: &str) -> Option<i64> {
    let bytes = zone.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    Some(sign * (number(bytes, 1, 2)? * 3600 + number(bytes, 3, 2)? * 60))
}

fn number(bytes: &[u8], at: usize, digits: usize) -> Option<i64> {
    bytes
        .get(at..at + digits)?
        .iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn is(bytes: &[u8], at: usize, any: &[u8]) -> bool {
    bytes.get(at).is_some_and(|byte| any.contains(byte))
}

/// `YYYY-MM-DD HH:MM:SS`, with milliseconds behind `,` or `.`, and with `Z`, `+02:00` or `+0200` right behind that.
fn sortable(bytes: &[u8], zone: i64) -> Option<u64> {
    if !(is(bytes, 4, b"-")
        && is(bytes, 7, b"-")
        && is(bytes, 10, b" T")
        && is(bytes, 13, b":")
        && is(bytes, 16, b":"))
    {
        return None;
    }
    let date = (number(bytes, 0, 4)?, number(bytes, 5, 2)?, number(bytes, 8, 2)?);
    let time = (number(bytes, 11, 2)?, number(bytes, 14, 2)?, number(bytes, 17, 2)?);
    let (mut end, mut millis) = (19, 0);
    if is(bytes, 19, b",.") {
        let digits = bytes.iter().skip(20).take_while(|byte| byte.is_ascii_digit()).count();
        let shown = digits.min(3);
        millis = number(bytes, 20, shown)? * [1000, 100, 10, 1].get(shown).copied().unwrap_or(1);
        end = 20 + digits;
    }
    let zone = match bytes.get(end)? {
        b'Z' => 0,
        b'+' | b'-' => {
            let digits: Vec<u8> =
                bytes.iter().skip(end).filter(|byte| **byte != b':').take(5).copied().collect();
            std::str::from_utf8(&digits).ok().and_then(zone_secs).unwrap_or(zone)
        }
        _ => zone,
    };
    moment(date, time, zone)?.checked_mul(1000)?.checked_add(u64::try_from(millis).ok()?)
}

/// `DD/Mon/YYYY:HH:MM:SS +zzzz`
fn of_access_log(bytes: &[u8]) -> Option<u64> {
    if !(is(bytes, 2, b"/") && is(bytes, 6, b"/") && is(bytes, 11, b":") && is(bytes, 20, b" ")) {
        return None;
    }
    let name = bytes.get(3..6)?;
    let month = i64::try_from(MONTHS.iter().position(|known| known.as_slice() == name)?).ok()? + 1;
    let date = (number(bytes, 7, 4)?, month, number(bytes, 0, 2)?);
    let time = (number(bytes, 12, 2)?, number(bytes, 15, 2)?, number(bytes, 18, 2)?);
    let zone = std::str::from_utf8(bytes.get(21..26)?).ok().and_then(zone_secs)?;
    moment(date, time, zone)?.checked_mul(1000)
}

/// Seconds since 1970 with their fraction, at the beginning of a line.
fn seconds(bytes: &[u8], at: usize) -> Option<u64> {
    if at > 0 || !is(bytes, 10, b".") || !is(bytes, 17, b" ") {
        return None;
    }
    let millis = number(bytes, 0, 10)? * 1000 + number(bytes, 11, 3)?;
    u64::try_from(millis).ok()
}

/// Seconds since 1970, by the rule that four centuries have 146,097 days.
fn moment(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
    zone: i64,
) -> Option<u64> {
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    // The year begins in March, so that a leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468;
    fits.then(|| u64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second - zone).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_every_kind_are_found() {
        let at = Some(1_780_051_735_007);
        for line in [
            "TID: [-1234] [] [2026-05-29 10:48:55,007]  INFO {x.Y} - started",
            "[2026-05-29 10:48:55.007] x",
            "2026-05-29T12:48:55.007+02:00 x",
            "2026-05-29T10:48:55.0071234Z x",
            "1780051735.007999 host java[1]: x",
        ] {
            assert_eq!(find(line, 0), at, "{line}");
        }
        let access = "10.0.0.1 - admin [29/May/2026:12:48:55 +0200] \"GET / HTTP/1.1\" 200";
        assert_eq!(find(access, 0), Some(1_780_051_735_000));
        assert_eq!(find("[2026-05-29 12:48:55,007] x", 7200), at);
        assert_eq!(find("2024-02-29 00:00:00,000 x", 0), Some(1_709_164_800_000));
        assert_eq!(find("1970-01-01 00:00:00,000 x", 0), Some(0));
    }

    #[test]
    fn other_text_has_no_stamp() {
        for line in [
            "\tat org.x.Y.z(Y.java:123)",
            "Caused by: x",
            "",
            "2026-13-29 10:48:55,007 x",
            "2026-05-29 10:48",
            "12026-05-29 10:48:55,007 x",
            "99/Foo/2026:10:48:55 +0000 x",
            "9999999999",
            "größe 2026-0ä-29",
        ] {
            assert_eq!(find(line, 0), None, "{line}");
        }
    }

    #[test]
    fn zones_are_seconds() {
        assert_eq!(zone_secs("+0530"), Some(19_800));
        assert_eq!(zone_secs("-0100"), Some(-3600));
        assert_eq!(zone_secs("UTC"), None);
    }
}
