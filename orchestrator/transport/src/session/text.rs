//! Sanitizes the output of hosts: bounded, and without characters that a terminal would interpret.

/// Returns `text` with escape sequences removed and control characters replaced, truncated after
/// `limit` bytes.
///
/// Line feeds and tabs are kept. Characters that change the writing direction are replaced too:
/// they could change how a line reads.
#[must_use]
pub fn neutral(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() >= limit {
            out.push('…');
            break;
        }
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {}
            '\x1b' if chars.peek() == Some(&'[') => {
                // A control sequence ends with the first byte from `@` to `~`.
                chars.next();
                while chars.next_if(|c| ('\x20'..='\x3f').contains(c)).is_some() {}
                chars.next_if(|c| ('\x40'..='\x7e').contains(c));
            }
            c if c.is_control() || turns_direction(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Returns whether [`neutral`] would return `text` unchanged.
#[must_use]
pub fn is_neutral(text: &str, limit: usize) -> bool {
    text.len() <= limit
        && !text.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || turns_direction(c))
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns bytes from a host as indented lines: [`neutral`] and trimmed, each after a line feed.
#[must_use]
pub fn quoted(bytes: &[u8], limit: usize) -> String {
    let text = neutral(&String::from_utf8_lossy(bytes), limit);
    let mut out = String::new();
    for line in text.trim().lines() {
        out.push_str("\n    ");
        out.push_str(line);
    }
    out
}

/// Returns bytes from a host as one line: [`neutral`], with white space collapsed, truncated after
/// `limit` bytes.
#[must_use]
pub fn one_line(bytes: &[u8], limit: usize) -> String {
    let text = neutral(&String::from_utf8_lossy(bytes), limit);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The last bytes of a stream; earlier bytes are counted but not kept.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Tail {
    /// Maximum number of bytes kept.
    pub const LIMIT: usize = 32 * 1024;

    /// Appends bytes of the stream.
    pub fn push(&mut self, more: &[u8]) {
        let more_kept = more.get(more.len().saturating_sub(Self::LIMIT)..).unwrap_or(more);
        let room = Self::LIMIT - more_kept.len();
        let over = self.bytes.len().saturating_sub(room);
        self.bytes.drain(..over);
        self.dropped += (over + more.len() - more_kept.len()) as u64;
        self.bytes.extend_from_slice(more_kept);
    }

    /// Returns the kept bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the kept bytes as text.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Returns the kept bytes as indented lines, or an empty string if there was no output.
    #[must_use]
    pub fn quoted(&self) -> String {
        let mut out = String::new();
        if self.dropped > 0 {
            out.push_str(&format!("\n    … ({} bytes omitted)", self.dropped));
        }
        out.push_str(&quoted(&self.bytes, Self::LIMIT));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_and_characters_are_removed() {
        assert_eq!(
            neutral("\x1b[31mred\x1b[0m\r\n\x07bell\x1b]0;title\x07", 1000),
            "red\n\u{fffd}bell\u{fffd}]0;title\u{fffd}"
        );
        assert_eq!(neutral("a\u{202e}b", 1000), "a\u{fffd}b");
    }

    #[test]
    fn long_text_is_truncated_at_a_character() {
        assert_eq!(neutral("äöüß", 3), "äö…");
    }

    #[test]
    fn tail_keeps_the_end_and_counts_the_rest() {
        let mut tail = Tail::default();
        tail.push(&vec![b'a'; Tail::LIMIT]);
        tail.push(b"end");
        assert_eq!(tail.bytes().len(), Tail::LIMIT);
        assert!(tail.bytes().ends_with(b"aend"));
        assert!(tail.quoted().starts_with("\n    … (3 bytes omitted)"));
        tail.push(&vec![b'b'; 3 * Tail::LIMIT]);
        assert!(tail.bytes().iter().all(|b| *b == b'b'));
    }
}
