//! Bytes of a log or of a program's output as lines that can be shown: bounded, valid UTF-8, without control characters.

/// The longest line that is kept, in bytes; the rest of a longer one is dropped.
pub const LINE_LIMIT: usize = 8 * 1024;

/// Returns `bytes` as one harmless line.
///
/// Invalid UTF-8 and control characters (escape sequences of terminals among them, and those that turn the direction
/// of writing) become U+FFFD; a tab becomes a space; the line ending is dropped.
#[must_use]
pub fn harmless(bytes: &[u8]) -> String {
    let cut = bytes.get(..LINE_LIMIT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(cut);
    let line = text.trim_end_matches(['\r', '\n']);
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() || turns_direction(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns at most `limit` characters of `text`, with an ellipsis where something was cut off.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
        None => text.to_owned(),
    }
}

/// Cuts a stream of bytes into lines of bounded length.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next `bytes` and gives each line that they complete to `each`.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_LIMIT.saturating_sub(self.rest.len());
            self.rest.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if piece.ends_with(b"\n") {
                each(&harmless(&self.rest));
                self.rest.clear();
            }
        }
    }

    /// Gives what stands behind the last line ending to `each`, as a line.
    pub fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.rest.is_empty() {
            each(&harmless(&self.rest));
            self.rest.clear();
        }
    }

    /// Forgets an unfinished line.
    pub fn clear(&mut self) {
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_bad_bytes_do_no_harm() {
        assert_eq!(harmless(b"a\x1b[31mb\tc\xff\r\n"), "a\u{fffd}[31mb c\u{fffd}");
        assert_eq!(harmless("x\u{202e}y".as_bytes()), "x\u{fffd}y");
    }

    #[test]
    fn lines_are_put_together_over_pieces_and_long_ones_are_cut() {
        let mut seen = Vec::new();
        let mut lines = Lines::default();
        let mut each = |line: &str| seen.push(line.to_owned());
        lines.push(b"one\ntw", &mut each);
        lines.push(b"o\n", &mut each);
        for _ in 0..10 {
            lines.push(&[b'x'; 1000], &mut each);
        }
        lines.push(b"\nlast", &mut each);
        lines.finish(&mut each);
        assert_eq!(seen.len(), 4);
        assert_eq!(seen.first().map(String::as_str), Some("one"));
        assert_eq!(seen.get(1).map(String::as_str), Some("two"));
        assert_eq!(seen.get(2).map(String::len), Some(LINE_LIMIT));
        assert_eq!(seen.get(3).map(String::as_str), Some("last"));
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
