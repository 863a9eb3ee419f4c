//! Lines of a log put together to entries: a line with a time stamp, and those without one that follow it, such as a stack trace.

use apim_protocol::observation::LogEntry;

use crate::probe::stamp;

/// The longest entry, in bytes; what is longer is reported in parts.
pub const ENTRY_LIMIT: usize = 32 * 1024;

/// Puts lines together.
#[derive(Debug)]
pub struct Entries {
    zone_secs: i64,
    open: Option<LogEntry>,
}

impl Entries {
    /// Returns an empty one, for a log whose clock is so far ahead of UTC.
    #[must_use]
    pub const fn new(zone_secs: i64) -> Self {
        Self { zone_secs, open: None }
    }

    /// Takes the next line; returns the entry that it shows to be over.
    pub fn push(&mut self, line: &str) -> Option<LogEntry> {
        let at = stamp::find(line, self.zone_secs);
        if let (None, Some(open)) = (at, &mut self.open) {
            if open.text.len() + line.len() < ENTRY_LIMIT {
                open.text.push('\n');
                open.text.push_str(line);
                return None;
            }
            let at = open.at;
            return self.open.replace(LogEntry { at, text: line.to_owned() });
        }
        self.open.replace(LogEntry { at, text: line.to_owned() })
    }

    /// Returns the entry that no further line may belong to.
    pub fn finish(&mut self) -> Option<LogEntry> {
        self.open.take()
    }

    /// Says whether an entry is still open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_stamp_belong_to_the_one_before() {
        let mut entries = Entries::new(0);
        let lines = [
            "rest of something",
            "[2026-05-29 10:48:55,007] ERROR {X} - it broke",
            "java.lang.Exception: x",
            " at a.b.C",
            "[2026-05-29 10:48:56,000]  INFO {X} - next",
        ];
        let mut seen: Vec<LogEntry> = lines.iter().filter_map(|line| entries.push(line)).collect();
        seen.extend(entries.finish());
        let shown: Vec<(bool, usize)> =
            seen.iter().map(|entry| (entry.at.is_some(), entry.text.lines().count())).collect();
        assert_eq!(shown, [(false, 1), (true, 3), (true, 1)]);
        assert!(!entries.is_open());
    }

    #[test]
    fn endless_entry_is_reported_in_parts() {
        let mut entries = Entries::new(0);
        let mut parts: Vec<LogEntry> = Vec::new();
        parts.extend(entries.push("2026-05-29 10:48:55,007 begins"));
        for _ in 0..100 {
            parts.extend(entries.push(&"x".repeat(1000)));
        }
        parts.extend(entries.finish());
        assert!(parts.len() >= 3 && parts.iter().all(|part| part.text.len() <= ENTRY_LIMIT));
        assert!(parts.iter().all(|part| part.at == parts[0].at && part.at.is_some()));
    }
}
