//! Splits a SQL script into statements like the vendors' command line clients, without interpreting
//! the statements.

/// SQL dialect of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// MySQL and MariaDB: backslash escapes, `#` comments, `DELIMITER`.
    Mysql,
    /// PostgreSQL: dollar quotes, nested comments.
    Postgresql,
}

/// One statement, without its delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// SQL text without the delimiter.
    pub(super) text: String,
    /// Line of the script on which the statement begins.
    pub(super) line: usize,
}

impl Statement {
    /// Returns the first `count` words in upper case, which identify the kind of statement.
    pub(super) fn words(&self, count: usize) -> String {
        let text = bare(&self.text);
        text.split(|c: char| c.is_whitespace() || c == '(' || c == ';')
            .filter(|word| !word.is_empty())
            .take(count)
            .map(str::to_ascii_uppercase)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A quote or comment that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unterminated {what} that begins on line {line}")]
pub(super) struct Unterminated {
    what: &'static str,
    line: usize,
}

/// Splits `script` into statements; comments between them are dropped.
///
/// # Errors
/// When a quote or a comment is not closed.
pub(super) fn split(script: &str, dialect: Dialect) -> Result<Vec<Statement>, Unterminated> {
    let mut splitter =
        Splitter { rest: script.trim_start_matches('\u{feff}'), line: 1, dialect, delimiter: ";".to_owned() };
    let mut statements = Vec::new();
    let mut text = String::new();
    let mut begun = 1;
    while !splitter.rest.is_empty() {
        if text.trim().is_empty() {
            text.clear();
            begun = splitter.line;
            if splitter.take_delimiter_line() {
                continue;
            }
        }
        if splitter.rest.starts_with(&splitter.delimiter) {
            splitter.take(splitter.delimiter.len());
            push(&mut statements, &mut text, begun);
            continue;
        }
        let (piece, is_comment) = splitter.piece()?;
        if is_comment && text.trim().is_empty() {
            continue;
        }
        text.push_str(piece);
    }
    push(&mut statements, &mut text, begun);
    Ok(statements)
}

fn push(statements: &mut Vec<Statement>, text: &mut String, line: usize) {
    let statement = text.trim();
    if !bare(statement).is_empty() {
        statements.push(Statement { text: statement.to_owned(), line });
    }
    text.clear();
}

/// Returns `text` from its first word on.
fn bare(text: &str) -> &str {
    let mut text = text.trim_start();
    loop {
        let after = if text.starts_with("--") || text.starts_with('#') {
            text.split_once('\n').map_or("", |(_, after)| after)
        } else if text.starts_with("/*") && !text.starts_with("/*!") {
            text.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return text;
        };
        text = after.trim_start();
    }
}

struct Splitter<'a> {
    rest: &'a str,
    line: usize,
    dialect: Dialect,
    delimiter: String,
}

impl<'a> Splitter<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    /// Consumes a line such as `DELIMITER $$`, which is a command of the client.
    fn take_delimiter_line(&mut self) -> bool {
        let trimmed = self.rest.trim_start();
        let word = trimmed.get(..9).unwrap_or_default();
        let is_word = word.eq_ignore_ascii_case("delimiter")
            && trimmed.get(9..).is_some_and(|after| after.starts_with([' ', '\t']));
        if self.dialect != Dialect::Mysql || !is_word {
            return false;
        }
        let blank = self.rest.len() - trimmed.len();
        let length = trimmed.find('\n').unwrap_or(trimmed.len());
        let line = self.take(blank + length);
        if let Some(delimiter) = line.split_whitespace().nth(1) {
            delimiter.clone_into(&mut self.delimiter);
        }
        true
    }

    /// Consumes the next token: a quote, a comment, a word, or one character. The flag is set for a
    /// comment.
    fn piece(&mut self) -> Result<(&'a str, bool), Unterminated> {
        let rest = self.rest;
        let mysql = self.dialect == Dialect::Mysql;
        let first = rest.chars().next().unwrap_or(' ');
        let is_line_comment = match first {
            // In MySQL, two dashes begin a comment only before white space.
            '-' => rest.starts_with("--") && (!mysql || rest.chars().nth(2).is_none_or(char::is_whitespace)),
            '#' => mysql,
            _ => false,
        };
        if is_line_comment {
            let length = rest.find('\n').unwrap_or(rest.len());
            return Ok((self.take(length), true));
        }
        if rest.starts_with("/*") {
            let end =
                if mysql { rest.get(2..).and_then(|r| r.find("*/")).map(|at| at + 4) } else { nested(rest) };
            let length = end.ok_or(Unterminated { what: "comment", line: self.line })?;
            // MySQL executes these comments.
            let is_run = mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!"));
            return Ok((self.take(length), !is_run));
        }
        let length = match first {
            '\'' | '"' | '`' => quoted(rest, first, mysql && first != '`')
                .ok_or(Unterminated { what: "quote", line: self.line })?,
            '$' if !mysql => match dollar_tag(rest) {
                Some(tag) => {
                    let body = rest.get(tag.len()..).unwrap_or_default();
                    let end = body.find(tag).ok_or(Unterminated { what: "dollar quote", line: self.line })?;
                    end + 2 * tag.len()
                }
                None => 1,
            },
            'E' | 'e' if !mysql && rest.chars().nth(1) == Some('\'') => {
                let quote = rest.get(1..).unwrap_or_default();
                1 + quoted(quote, '\'', true).ok_or(Unterminated { what: "quote", line: self.line })?
            }
            c if c.is_alphanumeric() || c == '_' => self.word(),
            c => c.len_utf8(),
        };
        Ok((self.take(length), false))
    }

    /// Returns the length of the word at the current position.
    fn word(&self) -> usize {
        let is_word =
            |c: char| c.is_alphanumeric() || c == '_' || (c == '$' && !self.delimiter.contains('$'));
        self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len()).max(1)
    }
}

/// Returns the length of the quote at the beginning of `text`.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && escapes {
            characters.next();
        } else if c == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return Some(at + quote.len_utf8());
            }
        }
    }
    None
}

/// Returns the `$tag$` at the beginning of `text`, if any.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text.get(1..)?.find('$')? + 2;
    let tag = text.get(..end)?;
    let name = tag.trim_matches('$');
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    (name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(tag)
}

/// Returns the length of the comment at the beginning of `text`, which may contain nested comments.
fn nested(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

#[cfg(test)]
mod tests;
