//! Translates parser errors into clear messages with hints.

/// Returns message and hint for the parser's error `info` at line `at` (from 1) of `lines`.
pub(super) fn explain(info: &str, lines: &[&str], at: usize) -> (String, Option<String>) {
    let (what, hint) = in_words(info, at.checked_sub(1).and_then(|at| lines.get(at)).unwrap_or(&""));
    let above =
        lines.iter().take(at.saturating_sub(1)).enumerate().rev().find(|(_, line)| !line.trim().is_empty());
    let hint = match above {
        Some((number, line)) if info.contains("mapping values are not allowed") && lacks_colon(line) => {
            Some(format!("check whether a colon is missing at the end of line {}", number + 1))
        }
        _ => hint.map(str::to_owned),
    };
    (what, hint)
}

/// Whether a line is a single word: probably a key with a missing colon.
fn lacks_colon(line: &str) -> bool {
    let line = line.trim();
    !line.starts_with(['-', '#', '"', '\'', '{', '[']) && !line.contains([':', ' '])
}

fn in_words(info: &str, line: &str) -> (String, Option<&'static str>) {
    let has = |part: &str| info.contains(part);
    let indent = line.split(|c: char| !c.is_whitespace()).next().unwrap_or("");
    let (what, hint) = if has("tab") && !has("expected") || indent.contains('\t') {
        ("tab in the indentation", "indent with spaces; YAML does not allow tabs here")
    } else if has("mapping values are not allowed") || has("illegal placement of ':'") {
        (
            "a `key: value` is not allowed here",
            "check the indentation, and put quotes around a value that contains `: `",
        )
    } else if has("found unexpected end of stream") || has("indentation in quoted scalar") {
        ("quoted text is not closed", "add the closing quote")
    } else if has("document indicator") {
        ("document marker inside quoted text", "close the quote before it")
    } else if has("unknown escape") || has("escape code") || has("hexadecimal") {
        ("unknown escape sequence", "double the backslash, or use single quotes")
    } else if has("simple key expect") || has("did not find expected key") {
        (
            "expected `key: value`",
            "check for a missing colon and compare the indentation with the lines around it",
        )
    } else if has("expected '-' indicator") {
        ("expected a list item (`- …`)", "compare the indentation with the items before it")
    } else if has("',' or '}'") || has("',' or ']'") || has("flow") {
        ("`{…}` or `[…]` is not closed", "separate entries with commas and close the bracket")
    } else if has("unknown anchor") {
        ("alias of an undefined anchor", "define `&name` above this line, at the value that `*name` repeats")
    } else if has("block sequence entries are not allowed") {
        ("a list item is not allowed here", "put it on its own line, below its key")
    } else if has("mapping keys are not allowed") || has("invalid indentation") || has("wrongly indented") {
        ("wrong indentation", "entries of one map or list must start in the same column")
    } else if has("trailing content") {
        ("unexpected text after a closing quote", "put the whole value inside the quotes")
    } else if has("unexpected character") || has("while scanning for the next token") {
        ("a value cannot begin with this character", "put quotes around the value")
    } else if has("plain scalar cannot start") || has("':' must be followed") || has("'-' must be followed") {
        ("invalid start of a value", "put quotes around the value")
    } else if has("directive") || has("TAG") {
        ("invalid `%` directive", "inventories and playbooks do not need directives")
    } else if has("tag") || has("handle") {
        ("invalid tag", "supported tags: !vault, !env, !file and !unsafe")
    } else if has("recursion limit") {
        ("lists and maps are nested too deeply", "split the value")
    } else if has("expected node content") {
        ("expected a value", "check whether something is missing before or after this position")
    } else if has("unexpected eof") {
        ("unexpected end of file", "check whether the last value is complete")
    } else {
        return (format!("not valid YAML: {info}"), None);
    };
    (what.to_owned(), Some(hint))
}
