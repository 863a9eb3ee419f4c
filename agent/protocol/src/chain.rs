//! Lines that hold together: each is a JSON object that names the digest of the line before it, so that a line which is changed, taken out
//! or put in is found. The rest of a line is not interpreted here. (A process that can write the file can rewrite all of it: a chain shows slips
//! and edits, not a determined forger.)

use serde::Deserialize;

use crate::value::Sha256;

/// The first place where lines do not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} does not follow from the one before it: one of them was changed, taken out or put in")]
pub struct Broken {
    /// The number of the line, from 1.
    pub line: usize,
}

/// What is read of a line here.
#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    before: Option<Sha256>,
}

/// Returns what the next line names.
#[must_use]
pub fn digest(line: &[u8]) -> Sha256 {
    Sha256::of(line)
}

/// Says whether a line names one before it.
#[must_use]
pub fn is_linked(line: &[u8]) -> bool {
    serde_json::from_slice(line).is_ok_and(|Link { before }| before.is_some())
}

/// Makes sure that `lines` (without their ends) hold together. What the first one names is not known here: older lines may have been
/// discarded. A line that is not an object was torn when its writer died; the next one names it anyway. Leading lines that name
/// nothing are from before there were chains.
///
/// # Errors
/// At the first line that does not follow from the one before it.
pub fn verify<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<(), Broken> {
    let mut former: Option<Sha256> = None;
    let mut is_linked = false;
    for (at, line) in lines.enumerate() {
        let broken = Broken { line: at + 1 };
        if let Ok(Link { before }) = serde_json::from_slice(line) {
            match before {
                Some(before) if former.is_some_and(|former| former != before) => return Err(broken),
                Some(_) => is_linked = true,
                None if is_linked => return Err(broken),
                None => {}
            }
        }
        former = Some(digest(line));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(texts: &[&str]) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for text in texts {
            let before = lines.last().map(|line| format!(r#""before":"{}","#, digest(line.as_bytes())));
            lines.push(format!(r#"{{{}"text":"{text}"}}"#, before.unwrap_or_default()));
        }
        lines
    }

    fn check(lines: &[String]) -> Result<(), usize> {
        verify(lines.iter().map(String::as_bytes)).map_err(|broken| broken.line)
    }

    #[test]
    fn an_edit_a_gap_and_a_line_too_many_are_found_where_they_are() {
        let lines = chain(&["a", "b", "c", "d"]);
        assert_eq!(check(&lines), Ok(()));
        assert_eq!(check(&lines[2..]), Ok(()), "older lines may be gone");
        let mut edited = lines.clone();
        edited[1] = edited[1].replace("\"b\"", "\"x\"");
        assert_eq!(check(&edited), Err(3));
        let mut gap = lines.clone();
        gap.remove(2);
        assert_eq!(check(&gap), Err(3));
        let mut more = lines.clone();
        more.insert(2, r#"{"text":"x"}"#.to_owned());
        assert_eq!(check(&more), Err(3));
        let mut swapped = lines;
        swapped.swap(1, 2);
        assert_eq!(check(&swapped), Err(2));
    }

    #[test]
    fn a_torn_line_and_lines_from_before_chains_break_nothing() {
        let mut lines = vec![r#"{"text":"old"}"#.to_owned(), r#"{"text":"older"}"#.to_owned()];
        let torn = r#"{"text":"to"#.to_owned();
        lines.push(format!(r#"{{"before":"{}"}}"#, digest(lines[1].as_bytes())));
        lines.push(torn.clone());
        lines.push(format!(r#"{{"before":"{}"}}"#, digest(torn.as_bytes())));
        assert_eq!(check(&lines), Ok(()));
        lines[3] = r#"{"text":"tor"#.to_owned();
        assert_eq!(check(&lines), Err(5));
    }
}
