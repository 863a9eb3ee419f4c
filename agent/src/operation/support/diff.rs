//! Unified diffs of text files, of bounded length, with secrets hidden on both sides.
//!
//! Beyond what [`mask`] hides in any line, a file has secrets of several lines: private keys, quoted blocks.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use apim_protocol::mask;
use apim_protocol::mask::MASK;
use apim_protocol::value::Secret;
use regex::Regex;
use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{ChangeTag, DiffOp, group_diff_ops};

/// Values shorter than this are masked by their keys only: replacing them everywhere would tear words apart.
const SHORTEST: usize = 4;
/// How many lines are shown around a change.
const CONTEXT_LINES: usize = 3;
/// How long two texts are compared before the shortest diff is given up for any.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest diff, in lines.
const DIFF_LINES: usize = 400;
/// The longest line of a diff, in characters.
const LINE_CHARS: usize = 400;

const SOUNDS_SECRET: &str = r"(?:password|passwd|passphrase|secret|token|credential|private_?key|api_?key)";

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rules = [
        // key = "value", key: 'value', also within an inline table
        (
            format!(r#"(?i)([\w.\-"']*{SOUNDS_SECRET}[\w.\-"']*\s*[=:]\s*)(?:"(?:[^"\\]|\\.)*"?|'[^']*'?)"#),
            "${1}****",
        ),
        // key = value, to the end of the line
        (format!(r#"(?i)([\w.\-]*{SOUNDS_SECRET}[\w.\-]*\s*[=:]\s*)[^\s"'*].*"#), "${1}****"),
        // key = "…" alone: an encryption key
        (r#"(?i)^(\s*"?key"?\s*[=:]\s*)\S.*"#.to_owned(), "${1}****"),
        // <Password>value</Password>
        (format!(r"(?i)(<[\w:.\-]*{SOUNDS_SECRET}[^>]*>)[^<]+"), "${1}****"),
    ];
    rules.into_iter().filter_map(|(rule, to)| Regex::new(&rule).ok().map(|rule| (rule, to))).collect()
});

static OPENS_TEXT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r#"(?i)[\w.\-"']*{SOUNDS_SECRET}[\w.\-"']*\s*=\s*("""|''')"#)).ok());

/// Returns `text` with the given secrets replaced, and nothing else.
pub(crate) fn values(text: &str, secrets: &[Secret]) -> String {
    let mut known: Vec<&str> =
        secrets.iter().map(Secret::expose).filter(|s| s.chars().count() >= SHORTEST).collect();
    // A secret that is a part of another must not leave the other's rest behind.
    known.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    known.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

/// Returns the lines of `text`, masked one by one: as many as there are, so that they match the lines of `text`.
fn masked_lines(text: &str, secrets: &[Secret]) -> Vec<String> {
    let mut until: Option<String> = None;
    let whole = secrets.iter().any(|secret| secret.expose().contains('\n'));
    let hidden = if whole { hide_lines_of(text, secrets) } else { Vec::new() };
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            if hidden.get(at).copied().unwrap_or(false) {
                return MASK.to_owned();
            }
            if let Some(end) = &until {
                if line.contains(end.as_str()) {
                    until = None;
                }
                return MASK.to_owned();
            }
            if line.contains("PRIVATE KEY-----") && line.contains("-----BEGIN") {
                until = Some("-----END".to_owned());
                return MASK.to_owned();
            }
            if let Some(opening) = OPENS_TEXT.as_ref().and_then(|rule| rule.captures(line))
                && let (Some(all), Some(quotes)) = (opening.get(0), opening.get(1))
            {
                if !line.get(all.end()..).unwrap_or_default().contains(quotes.as_str()) {
                    until = Some(quotes.as_str().to_owned());
                }
                return MASK.to_owned();
            }
            let line = values(line, secrets);
            mask::line(&RULES.iter().fold(line, |line, (rule, to)| rule.replace_all(&line, *to).into_owned()))
        })
        .collect()
}

/// Says for each line of `text` whether it is a part of a secret of several lines.
fn hide_lines_of(text: &str, secrets: &[Secret]) -> Vec<bool> {
    let parts: Vec<&str> =
        secrets.iter().map(Secret::expose).filter(|s| s.contains('\n')).flat_map(str::lines).collect();
    let is_part =
        |line: &str| parts.iter().any(|part| part.trim().len() >= SHORTEST && line.contains(part.trim()));
    text.lines().map(is_part).collect()
}

/// How much of two texts a diff may show.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// All.
    All,
    /// All but these secrets and what sounds like one.
    But(&'a [Secret]),
}

/// Returns a unified diff from `old` to `new`, or `None` when no line differs.
pub(crate) fn diff(old: &str, new: &str, shown: Shown<'_>) -> Option<String> {
    let lines = |text: &str| -> Vec<String> {
        match shown {
            Shown::All => text.lines().map(str::to_owned).collect(),
            Shown::But(secrets) => masked_lines(text, secrets),
        }
    };
    let (old_shown, new_shown) = (lines(old), lines(new));
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // Compared as they are and shown masked: a changed secret is a changed line of which only the mask is seen.
    let mut out = Vec::new();
    for group in group_diff_ops(compare(&old_lines, &new_lines), CONTEXT_LINES) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (from, to) = (first.old_range().start, last.old_range().end);
        let (new_from, new_to) = (first.new_range().start, last.new_range().end);
        out.push(format!("@@ -{},{} +{},{} @@", from + 1, to - from, new_from + 1, new_to - new_from));
        for change in group.iter().flat_map(|op| op.iter_changes(&old_lines, &new_lines)) {
            let (sign, line) = match change.tag() {
                ChangeTag::Equal => (' ', change.new_index().and_then(|at| new_shown.get(at))),
                ChangeTag::Delete => ('-', change.old_index().and_then(|at| old_shown.get(at))),
                ChangeTag::Insert => ('+', change.new_index().and_then(|at| new_shown.get(at))),
            };
            out.push(format!("{sign}{}", bounded(line.map_or("", String::as_str))));
        }
    }
    if out.is_empty() {
        return None;
    }
    if out.len() > DIFF_LINES {
        let more = out.len() - DIFF_LINES;
        out.truncate(DIFF_LINES);
        out.push(format!("… and {more} lines more"));
    }
    Some(out.join("\n"))
}

/// Returns what leads from one list of lines to the other. Named by its algorithm, because a choice at run time brings them all into
/// the agent's binary, a quarter of a megabyte of them.
fn compare(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let mut hook = Compact::new(Replace::new(Capture::new()), old, new);
    let deadline = Instant::now() + PATIENCE;
    let Ok(()) = myers::diff_deadline(&mut hook, old, 0..old.len(), new, 0..new.len(), Some(deadline));
    hook.into_inner().into_inner().into_ops()
}

fn bounded(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).take(LINE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_on_both_sides_of_a_diff() {
        let old = "[db]\nhost = \"a\"\npassword = \"old-secret\"\nurl = \"jdbc://u:hunter2@h/x\"\n";
        let new = "[db]\nhost = \"b\"\npassword = \"new-secret\"\nurl = \"jdbc://u:hunter3@h/x\"\n";
        let diff = diff(old, new, Shown::But(&[Secret::new("new-secret")])).unwrap();
        assert!(diff.contains("-host = \"a\"") && diff.contains("+host = \"b\""), "{diff}");
        assert!(diff.contains("-password = ****") && diff.contains("+password = ****"), "{diff}");
        for secret in ["old-secret", "new-secret", "hunter"] {
            assert!(!diff.contains(secret), "{diff}");
        }
    }

    #[test]
    fn every_way_to_write_a_secret_is_masked() {
        for line in [
            "password = \"p w\\\"SECRET\"",
            "password = 'SECRET'",
            "keystore.password=SECRET more SECRET",
            "x = { username = \"a\", password = \"SECRET\", b = 1 }",
            "key_password: SECRET",
            "\"client_secret\": \"SECRET\",",
            "<Password>SECRET</Password>",
            "key = \"SECRET\"",
            "password = \"\"\"\nSECRET\nSECRET\"\"\"",
            "-----BEGIN RSA PRIVATE KEY-----\nSECRET\n-----END RSA PRIVATE KEY-----",
            "note about the known-value in text",
        ] {
            let secrets = [Secret::new("known-value")];
            let shown = masked_lines(line, &secrets).join("\n");
            assert!(!shown.contains("SECRET") && !shown.contains("known-value"), "{line} -> {shown}");
            assert_eq!(shown.lines().count(), line.lines().count());
        }
        let plain = "hostname = \"cp.example.com\"\nport = 9443";
        assert_eq!(masked_lines(plain, &[]).join("\n"), plain);
    }

    #[test]
    fn a_long_diff_is_cut() {
        let old: String = (0..2000).map(|n| format!("a{n}\n")).collect();
        let new: String = (0..2000).map(|n| format!("b{n}\n")).collect();
        let diff = diff(&old, &new, Shown::All).unwrap();
        assert_eq!(diff.lines().count(), DIFF_LINES + 1);
        assert!(diff.ends_with("lines more"));
    }
}
