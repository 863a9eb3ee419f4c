//! Reads load balancer hooks after their templates were rendered for a node.

use std::collections::BTreeMap;

use apim_protocol::value::Secret;

use super::read::{Section, Spanned, is_web_address, text_of};
use crate::cluster::FileReader;
use crate::hook::{Action, Call, Hook, HttpCall, Program};
use crate::yaml::{Kind, Mistakes, Node};

/// Default timeout of a hook.
const TIMEOUT_SECS: u64 = 30;
/// Default number of retries.
const RETRIES: u32 = 2;
/// Maximum length of the displayed name of a hook, in characters.
const WORDS: usize = 60;
/// Prefix of the variables that apim-deploy sets.
const PREFIX: &str = "APIM_";

/// A hook, and the pattern of the hosts that it runs on, if set.
pub type Read = (Hook, Option<Spanned<String>>);

/// Context for reading the hooks of one node.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// The action that calls the hooks.
    pub action: Action,
    /// Facts about the node, passed to commands as environment variables.
    pub facts: &'a BTreeMap<String, String>,
    /// Reads files on the control machine.
    pub files: &'a dyn FileReader,
}

impl Reading<'_> {
    /// Reads one hook, or a list of them.
    pub fn hooks(&self, node: &Node, mistakes: &mut Mistakes) -> Vec<Read> {
        let what = format!("apim.load_balancer.{}", self.action.word());
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Null => &[],
            _ => std::slice::from_ref(node),
        };
        items.iter().filter_map(|item| self.hook(Section::new(item, what.clone(), mistakes))).collect()
    }

    fn hook(&self, mut section: Section<'_, '_>) -> Option<Read> {
        let has_command = section.place("command").is_some();
        let name = section.text("name").map(|name| one_line(&name.value, WORDS));
        let call = match (has_command, section.place("http").is_some()) {
            (true, true) => {
                let what = format!("`{}` sets both `command` and `http`", section.what());
                let span = section.span().clone();
                section.mistakes.add_hint(&span, what, "split it into a list of two hooks");
                let _both = (section.take("command"), section.take("http"));
                None
            }
            (true, false) => self.command(&mut section),
            (false, true) => section.section("http").and_then(|part| self.http(part)),
            (false, false) => {
                section.missing("command", "`command: [program, argument, …]`, or `http: {url: …}`");
                None
            }
        };
        let on = if has_command { section.text("hosts") } else { None };
        let timeout_secs = section.number("timeout_secs", 1..=3600);
        let retries = section.number("retries", 0..=10);
        let contains = section.text("contains").map(|text| text.value);
        section.finish();
        let call = call?;
        let words = name.unwrap_or_else(|| shown(&call));
        let hook = Hook {
            words,
            call,
            contains,
            timeout_secs: timeout_secs.and_then(|n| u64::try_from(n).ok()).unwrap_or(TIMEOUT_SECS),
            retries: retries.and_then(|n| u32::try_from(n).ok()).unwrap_or(RETRIES),
        };
        Some((hook, on))
    }

    fn command(&self, section: &mut Section<'_, '_>) -> Option<Call> {
        let what = section.path("command");
        let node = section.take("command")?;
        let Kind::List(items) = &node.kind else {
            let what = format!("`{what}` must be a list, not {}", node.describe());
            let hint = "`[program, argument, …]`; it does not run in a shell: use `[sh, -c, \"…\"]` for that";
            section.mistakes.add_hint(&node.span, what, hint);
            return None;
        };
        let known = section.mistakes.0.len();
        let mut argv = Vec::new();
        for item in items {
            if matches!(item.kind, Kind::Secret(_)) {
                let text = format!(
                    "`{what}` must not contain a secret: every user of its machine can read a program's arguments"
                );
                section.mistakes.add_hint(&item.span, text, "pass it with `environment` or `stdin`");
            } else if let Some(text) = text_of(item, &what, section.mistakes) {
                argv.push(text.value);
            }
        }
        if argv.first().is_none_or(String::is_empty) && section.mistakes.0.len() == known {
            section.mistakes.add(&node.span, format!("`{what}`: the program is missing"));
        }
        let environment = environment(section);
        let stdin = section.secret("stdin").map(|text| text.value);
        let is_sound = section.mistakes.0.len() == known;
        is_sound
            .then(|| Call::Command(Program { argv, on: None, facts: self.facts.clone(), environment, stdin }))
    }

    fn http(&self, mut section: Section<'_, '_>) -> Option<Call> {
        let known = section.mistakes.0.len();
        let url = section.text("url");
        match &url {
            Some(url) if !is_web_address(url) => {
                // The value is not shown: it may contain credentials.
                let what = format!("`{}` is not a valid URL", section.path("url"));
                section.mistakes.add_hint(&url.span, what, "`https://NAME[:PORT]/PATH`, without credentials");
            }
            Some(_) => {}
            None => section.missing("url", "`https://NAME[:PORT]/PATH`"),
        }
        const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
        let usual = if self.action == Action::Drained { "GET" } else { "POST" };
        let method = section.word("method", &METHODS.map(|method| (method, method))).unwrap_or(usual);
        let mut headers = headers(&mut section);
        let mut body = section.secret("body").map(|text| text.value);
        let place = section.place("json");
        if let Some(node) = section.take("json") {
            if let (Some(_), Some(place)) = (&body, &place) {
                let what = format!("`{}` and `body` are both set", section.path("json"));
                section.mistakes.add_hint(place, what, "remove one of them");
            }
            body = Some(Secret::new(json(node).to_string()));
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                headers.push(("Content-Type".to_owned(), Secret::new("application/json")));
            }
        }
        let expect = statuses(&mut section);
        let (user, password) = (section.text("user"), section.secret("password"));
        let login = match (user, password) {
            (Some(user), Some(password)) => Some((user.value, password.value)),
            (Some(_), None) => {
                section.missing("password", "such as `!vault` or `!env NAME`");
                None
            }
            (None, Some(_)) => {
                section.missing("user", "the user name for `password`");
                None
            }
            (None, None) => None,
        };
        let ca = section.text("ca_file").and_then(|file| match self.files.read(&file.value, &file.span) {
            Ok(bytes) if bytes.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----") => {
                Some(bytes.into())
            }
            Ok(_) => {
                let what =
                    format!("`{}`: `{}` does not contain a certificate", section.path("ca_file"), file.value);
                section.mistakes.add_hint(&file.span, what, "PEM: `-----BEGIN CERTIFICATE-----`");
                None
            }
            Err(why) => {
                section.mistakes.add(&file.span, format!("`{}`: {why}", section.path("ca_file")));
                None
            }
        });
        let is_sound = section.mistakes.0.len() == known;
        section.finish();
        let url = url?.value;
        let call = HttpCall { method: method.to_owned(), url, headers, body, expect, login, ca };
        is_sound.then(|| Call::Http(Box::new(call)))
    }
}

/// Returns the displayed name of a hook without `name`.
fn shown(call: &Call) -> String {
    match call {
        Call::Command(program) => one_line(&program.argv.join(" "), WORDS),
        // The query is not shown: it may contain an API key.
        Call::Http(http) => one_line(
            &format!("{} {}", http.method, http.url.split('?').next().unwrap_or_default()),
            2 * WORDS,
        ),
    }
}

fn one_line(text: &str, longest: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= longest {
        return line;
    }
    let cut: String = line.chars().take(longest).collect();
    format!("{cut}…")
}

/// Reads the user's environment variables of a command.
fn environment(section: &mut Section<'_, '_>) -> BTreeMap<String, Secret> {
    let what = section.path("environment");
    let mut read = BTreeMap::new();
    for (name, value) in map(section, "environment") {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.value.chars().all(is_name) || name.value.starts_with(|c: char| c.is_ascii_digit()) {
            section.mistakes.add(&name.span, format!("`{what}`: invalid variable name `{}`", name.value));
        } else if name.value.starts_with(PREFIX) {
            let text = format!(
                "`{what}`: `{}` cannot be set: variables with the prefix `{PREFIX}` are reserved",
                name.value
            );
            section.mistakes.add(&name.span, text);
        } else {
            read.insert(name.value, value);
        }
    }
    read
}

fn headers(section: &mut Section<'_, '_>) -> Vec<(String, Secret)> {
    let what = section.path("headers");
    let mut read = Vec::new();
    for (name, value) in map(section, "headers") {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.value.is_empty() || !name.value.chars().all(is_token) {
            section.mistakes.add(&name.span, format!("`{what}`: invalid header name `{}`", name.value));
        } else if value.expose().chars().any(|c| c.is_control() || !c.is_ascii()) {
            let text = format!(
                "`{what}.{}` contains a control character or non-ASCII text, which a header cannot carry",
                name.value
            );
            section.mistakes.add(&name.span, text);
        } else {
            read.push((name.value, value));
        }
    }
    read
}

/// Reads a map of strings that are not displayed.
fn map(section: &mut Section<'_, '_>, key: &'static str) -> Vec<(Spanned<String>, Secret)> {
    let what = section.path(key);
    let Some(node) = section.take(key) else { return Vec::new() };
    let Kind::Map(entries) = &node.kind else {
        section.mistakes.add(&node.span, format!("`{what}` must be a map, not {}", node.describe()));
        return Vec::new();
    };
    let mut read = Vec::new();
    for (name, value) in entries {
        let text = match &value.kind {
            Kind::Secret(secret) => Some(secret.clone()),
            _ => text_of(value, &format!("{what}.{}", name.text), section.mistakes)
                .map(|text| Secret::new(text.value)),
        };
        read.extend(text.map(|text| (Spanned::new(name.text.clone(), name.span.clone()), text)));
    }
    read
}

fn statuses(section: &mut Section<'_, '_>) -> Vec<u16> {
    let what = section.path("expect");
    let Some(node) = section.take("expect") else { return Vec::new() };
    let mut read = Vec::new();
    for item in node.items().unwrap_or(std::slice::from_ref(node)) {
        match item.kind {
            Kind::Int(number @ 100..=599) => read.extend(u16::try_from(number)),
            _ => section.mistakes.add_hint(
                &item.span,
                format!("`{what}` takes HTTP status codes"),
                "such as [200, 204]",
            ),
        }
    }
    read
}

fn json(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.kind {
        // Sealed values were opened during rendering.
        Kind::Null | Kind::Sealed(_) => Value::Null,
        Kind::Bool(truth) => Value::Bool(*truth),
        Kind::Int(number) => Value::from(*number),
        Kind::Float(number, text) => {
            serde_json::Number::from_f64(*number).map_or_else(|| Value::from(text.as_str()), Value::Number)
        }
        Kind::Text { text, .. } => Value::from(text.as_str()),
        Kind::Secret(secret) => Value::from(secret.expose()),
        Kind::List(items) => Value::Array(items.iter().map(json).collect()),
        Kind::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), json(value))).collect())
        }
    }
}
