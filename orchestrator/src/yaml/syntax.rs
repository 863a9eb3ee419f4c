//! The parser's complaints in plain words, with what to do.

/// Returns what is wrong and what to do, for the parser's message `info`, which stands at line `at` (from 1) of `lines`.
pub(super) fn explain(info: &str, lines: &[&str], at: usize) -> (String, Option<String>) {
    let (what, hint) = in_words(info, at.checked_sub(1).and_then(|at| lines.get(at)).unwrap_or(&""));
    let above =
        lines.iter().take(at.saturating_sub(1)).enumerate().rev().find(|(_, line)| !line.trim().is_empty());
    let hint = match above {
        Some((number, line)) if info.contains("mapping values are not allowed") && lacks_colon(line) => {
            Some(format!("is a colon missing at the end of line {}?", number + 1))
        }
        _ => hint.map(str::to_owned),
    };
    (what, hint)
}

/// Whether a line is one word, as a key whose colon was forgotten is.
fn lacks_colon(line: &str) -> bool {
    let line = line.trim();
    !line.starts_with(['-', '#', '"', '\'', '{', '[']) && !line.contains([':', ' '])
}

fn in_words(info: &str, line: &str) -> (String, Option<&'static str>) {
    let has = |part: &str| info.contains(part);
    let indent = line.split(|c: char| !c.is_whitespace()).next().unwrap_or("");
    let (what, hint) = if has("tab") && !has("expected") || indent.contains('\t') {
        ("a tab in the indentation", "indent with spaces; YAML does not take tabs there")
    } else if has("mapping values are not allowed") || has("illegal placement of ':'") {
        (
            "a `key: value` is not allowed here",
            "check the indentation, and put quotes around a value that holds `: `",
        )
    } else if has("found unexpected end of stream") || has("indentation in quoted scalar") {
        ("a quoted text is never closed", "add the closing quote")
    } else if has("document indicator") {
        ("a document marker inside a quoted text", "close the quote before it")
    } else if has("unknown escape") || has("escape code") || has("hexadecimal") {
        ("an escape that YAML does not know", "double the backslash, or use single quotes")
    } else if has("simple key expect") || has("did not find expected key") {
        (
            "a `key: value` was expected here",
            "is a colon missing, or is the line indented unlike its neighbours?",
        )
    } else if has("expected '-' indicator") {
        ("a list item (`- …`) was expected here", "is the line indented unlike the items before it?")
    } else if has("',' or '}'") || has("',' or ']'") || has("flow") {
        ("a `{…}` or `[…]` is not closed properly", "put a comma between entries and close the bracket")
    } else if has("unknown anchor") {
        (
            "this alias names no anchor",
            "write `&name` at the value that `*name` is to repeat, above this line",
        )
    } else if has("block sequence entries are not allowed") {
        ("a list item is not allowed here", "put it on its own line, below its key")
    } else if has("mapping keys are not allowed") || has("invalid indentation") || has("wrongly indented") {
        ("this line is indented wrongly", "entries of one map or list begin in the same column")
    } else if has("trailing content") {
        ("something stands behind a closed quote", "put the whole value inside the quotes")
    } else if has("unexpected character") || has("while scanning for the next token") {
        ("a value cannot begin with this character", "put quotes around the value")
    } else if has("plain scalar cannot start") || has("':' must be followed") || has("'-' must be followed") {
        ("a value cannot begin like this", "put quotes around the value")
    } else if has("directive") || has("TAG") {
        ("a wrong `%` line", "an inventory or a playbook needs none")
    } else if has("tag") || has("handle") {
        ("a wrong tag", "the tags here are !vault, !env, !file and !unsafe")
    } else if has("recursion limit") {
        ("lists and maps are nested too deeply", "split the value")
    } else if has("expected node content") {
        ("a value was expected here", "is something missing before or behind this place?")
    } else if has("unexpected eof") {
        ("the file ends too early", "is the last value complete?")
    } else {
        return (format!("not valid YAML: {info}"), None);
    };
    (what.to_owned(), Some(hint))
}
