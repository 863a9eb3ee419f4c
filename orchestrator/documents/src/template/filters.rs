//! Filters and tests of Ansible that the engine lacks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use regex::Regex;

pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("bool", to_bool);
    env.add_filter("to_json", |value: &Value| json(value).map(|json| spaced(&json)));
    env.add_filter("tojson", |value: &Value| json(value).map(|json| spaced(&json)));
    env.add_filter("to_nice_json", nice_json);
    env.add_filter("from_json", from_json);
    env.add_filter("b64encode", |text: String| STANDARD.encode(text));
    env.add_filter("b64decode", b64decode);
    env.add_filter("basename", |path: String| path.rsplit('/').next().unwrap_or_default().to_owned());
    env.add_filter("dirname", |path: String| {
        path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
    });
    env.add_filter("quote", |text: String| {
        shlex::try_quote(&text).map(|q| q.into_owned()).unwrap_or_default()
    });
    env.add_filter("regex_replace", regex_replace);
    env.add_filter("regex_search", regex_search);
    env.add_filter("ternary", |value: &Value, yes: Value, no: Value| if value.is_true() { yes } else { no });
    env.add_filter("combine", combine);
    env.add_filter("mandatory", |value: Value| value);
    env.add_filter("dict2items", dict2items);
    env.add_filter("flatten", |value: &Value| flatten(value));
    env.add_filter("union", |a: &Value, b: &Value| set(a, b, |_, _| true, true));
    env.add_filter("difference", |a: &Value, b: &Value| set(a, b, |item, b| !b.contains(item), false));
    env.add_filter("intersect", |a: &Value, b: &Value| set(a, b, |item, b| b.contains(item), false));
    env.add_test("match", |text: String, pattern: String| finds(&format!("^(?:{pattern})"), &text));
    env.add_test("search", |text: String, pattern: String| finds(&pattern, &text));
    env.add_test("regex", |text: String, pattern: String| finds(&pattern, &text));
    env.add_test("contains", |list: &Value, item: &Value| {
        Ok::<_, Error>(list.try_iter()?.any(|other| other == *item))
    });
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

fn regex(pattern: &str) -> Result<Regex, Error> {
    Regex::new(pattern).map_err(|_| wrong(format!("invalid regular expression `{pattern}`")))
}

fn finds(pattern: &str, text: &str) -> Result<bool, Error> {
    Ok(regex(pattern)?.is_match(text))
}

fn to_bool(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "1" | "true"),
        None => value.kind() == ValueKind::Bool && value.is_true() || value.as_i64() == Some(1),
    }
}

fn json(value: &Value) -> Result<serde_json::Value, Error> {
    use serde_json::Value as Json;
    Ok(match value.kind() {
        ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => match value.as_i64().filter(|_| value.is_integer()) {
            Some(number) => number.into(),
            None => f64::try_from(value.clone())?.into(),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter()?.map(|item| json(&item)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter()? {
                let text = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                map.insert(text, json(&value.get_item(&key)?)?);
            }
            Json::Object(map)
        }
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        _ => Json::String(super::python::text(value)?),
    })
}

/// Formats like Python's `json.dumps`, with a space after commas and colons.
fn spaced(value: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let entry =
                |(key, value): (&String, &Json)| format!("{}: {}", Json::from(key.as_str()), spaced(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn nice_json(value: &Value) -> Result<String, Error> {
    let json = json(value)?;
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, format);
    serde::Serialize::serialize(&json, &mut writer).map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(text).map_err(|_| wrong("not UTF-8 text"))
}

fn from_json(text: String) -> Result<Value, Error> {
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(format!("invalid JSON: line {}", error.line())))?;
    Ok(from(&json))
}

fn from(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::from(number),
            None => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, value)| (key.clone(), from(value)))),
    }
}

fn b64decode(text: String) -> Result<String, Error> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong("invalid base64"))?;
    String::from_utf8(bytes).map_err(|_| wrong("the decoded base64 is not UTF-8 text"))
}

fn regex_replace(text: String, pattern: String, with: Option<String>, _: Kwargs) -> Result<String, Error> {
    // Python writes `\1` where the regex crate writes `${1}`.
    let with = regex(r"\\(\d|g<(\w+)>)")?
        .replace_all(&with.unwrap_or_default().replace('$', "$$"), |found: &regex::Captures<'_>| {
            let group = found.get(2).or(found.get(1)).map_or("0", |m| m.as_str());
            format!("${{{group}}}")
        })
        .into_owned();
    Ok(regex(&pattern)?.replace_all(&text, with.as_str()).into_owned())
}

fn regex_search(text: String, pattern: String) -> Result<Value, Error> {
    Ok(regex(&pattern)?.find(&text).map_or(Value::from(()), |found| Value::from(found.as_str())))
}

fn entries(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect()
}

fn combine(first: &Value, others: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let recursive = options.get::<Option<bool>>("recursive")?.unwrap_or(false);
    options.assert_all_used()?;
    others.iter().try_fold(first.clone(), |all, other| combined(&all, other, recursive))
}

fn combined(first: &Value, second: &Value, recursive: bool) -> Result<Value, Error> {
    let mut all = entries(first)?;
    for (key, value) in entries(second)? {
        match all.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) if recursive && old.kind() == ValueKind::Map && value.kind() == ValueKind::Map => {
                *old = combined(old, &value, true)?;
            }
            Some((_, old)) => *old = value,
            None => all.push((key, value)),
        }
    }
    Ok(Value::from_pairs(all))
}

fn dict2items(value: &Value) -> Result<Value, Error> {
    let item = |(key, value)| Value::from_pairs([("key", key), ("value", value)]);
    Ok(Value::from(entries(value)?.into_iter().map(item).collect::<Vec<_>>()))
}

fn flatten(value: &Value) -> Result<Vec<Value>, Error> {
    let mut flat = Vec::new();
    for item in value.try_iter()? {
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) {
            flat.extend(flatten(&item)?);
        } else if !item.is_none() {
            flat.push(item);
        }
    }
    Ok(flat)
}

fn set(a: &Value, b: &Value, keep: fn(&Value, &[Value]) -> bool, both: bool) -> Result<Vec<Value>, Error> {
    let b: Vec<Value> = b.try_iter()?.collect();
    let a: Vec<Value> = a.try_iter()?.collect();
    let all = a.into_iter().chain(if both { b.clone() } else { Vec::new() });
    let mut kept: Vec<Value> = Vec::new();
    for item in all {
        if keep(&item, &b) && !kept.contains(&item) {
            kept.push(item);
        }
    }
    Ok(kept)
}
