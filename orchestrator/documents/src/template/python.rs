//! Formats values like Python: `True`, `['a', 1]`, and an empty text for None.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// Returns the text of a value at the top level of a template.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Ok(String::new()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Invalid => Err(invalid(value)),
        _ => repr(value),
    }
}

fn repr(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Ok("None".to_owned()),
        ValueKind::Bool => Ok(if value.is_true() { "True" } else { "False" }.to_owned()),
        ValueKind::String => Ok(quoted(value.as_str().unwrap_or_default())),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Result<Vec<String>, Error> = value.try_iter()?.map(|item| repr(&item)).collect();
            Ok(format!("[{}]", items?.join(", ")))
        }
        ValueKind::Map => {
            let entry =
                |key: Value| Ok::<_, Error>(format!("{}: {}", repr(&key)?, repr(&value.get_item(&key)?)?));
            let entries: Result<Vec<String>, Error> = value.try_iter()?.map(entry).collect();
            Ok(format!("{{{}}}", entries?.join(", ")))
        }
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Invalid => Err(invalid(value)),
        _ => Ok(value.to_string()),
    }
}

/// Returns the error inside an invalid value. Iterating over the value returns it.
fn invalid(value: &Value) -> Error {
    match value.try_iter() {
        Err(error) => error,
        Ok(_) => Error::new(ErrorKind::InvalidOperation, "unavailable value"),
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c == quote => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    quoted
}
