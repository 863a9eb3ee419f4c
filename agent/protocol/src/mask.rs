//! Hiding secrets in text that people will read: log lines, differences of files, output of programs.
//!
//! Known secrets are replaced wherever they stand; beyond that the value of every key that sounds like one is hidden.
//! It is better to hide a harmless value than to show a harmful one.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::value::Secret;

/// What replaces a secret.
pub const MASK: &str = "****";

/// Known secrets shorter than this are not looked for in text: they would hide half of it, and prove nothing.
const SHORTEST: usize = 4;

/// Shorter ones than this are hidden only where they stand by themselves: `admin` in quotes, but not within `super_admin`.
const ANYWHERE: usize = 8;

/// Words that make a key sound like a secret, compared without case and without `-`, `_` and `.`.
const SUSPECT: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "apikey",
    "privatekey",
    "encryptionkey",
    "authorization",
    "accesskey",
    "cookie",
];

/// Says whether the value of a key with this name should not be shown.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).collect();
    let plain = plain.to_ascii_lowercase();
    SUSPECT.iter().any(|word| plain.contains(word))
        || plain == "pass"
        || plain == "pwd"
        || plain.ends_with("pwd")
}

/// Returns `line` with the values of suspicious keys hidden: `password=x`, `"token": "x"`, `secret: x`, `Bearer x`, `//user:x@host`.
#[must_use]
pub fn line(line: &str) -> String {
    let hidden = USER
        .as_ref()
        .map_or_else(|| line.to_owned(), |user| user.replace_all(line, "${1}****@").into_owned());
    let hidden =
        SCHEME.as_ref().map_or(hidden.clone(), |scheme| scheme.replace_all(&hidden, "${1}****").into_owned());
    pairs(&hidden)
}

/// Hides the values of suspicious keys. What stands behind another key may hold pairs itself: `Exception: password=x`.
fn pairs(text: &str) -> String {
    let Some(pair) = PAIR.as_ref() else { return MASK.to_owned() };
    pair.replace_all(text, |found: &Captures<'_>| {
        let part = |at| found.get(at).map_or("", |part| part.as_str());
        let (key, between, value) = (part(1), part(2), part(3));
        if is_secret_key(key) {
            let quote = value
                .chars()
                .next()
                .filter(|c| matches!(c, '"' | '\''))
                .map(String::from)
                .unwrap_or_default();
            format!("{key}{between}{quote}{MASK}{quote}")
        } else {
            format!("{key}{between}{}", pairs(value))
        }
    })
    .into_owned()
}

/// Returns `text` with `value` hidden wherever it does not stand within a longer word.
fn replace_whole(text: &str, value: &str) -> String {
    let within = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(value) {
        hidden.push_str(before);
        let is_part = within(hidden.chars().next_back()) || within(after.chars().next());
        hidden.push_str(if is_part { value } else { MASK });
        rest = after;
    }
    hidden.push_str(rest);
    hidden
}

/// Returns `text` with every one of `secrets` replaced, and each line masked as [`line()`] does.
#[must_use]
pub fn text(text: &str, secrets: &[Secret]) -> String {
    let mut hidden = text.to_owned();
    for secret in secrets {
        let value = secret.expose();
        if value.len() >= ANYWHERE {
            hidden = hidden.replace(value, MASK);
        } else if value.len() >= SHORTEST {
            hidden = replace_whole(&hidden, value);
        }
    }
    let lines: Vec<String> = hidden.split('\n').map(line).collect();
    lines.join("\n")
}

/// `//user:password@`
static USER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(//[^/\s:@]*:)[^/\s@]+@").ok());

/// `Bearer abc`, `Basic abc`
static SCHEME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{8,}").ok());

/// A key, what stands between, and a value: in quotes, or up to a blank or a separator.
static PAIR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"([A-Za-z0-9_.-]+)("?'?\s*[=:]\s*(?:Bearer\s+|Basic\s+)?)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&<>"'}\])]+)"#,
    )
    .ok()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_suspicious_keys_are_hidden_and_others_stay() {
        for (shown, wanted) in [
            ("password = \"hunter2 and more\"", "password = \"****\""),
            ("user=admin password=hunter2, host=db", "user=admin password=****, host=db"),
            ("key_password='a b' alias=x", "key_password='****' alias=x"),
            (r#"{"access_token": "abc", "n": 1}"#, r#"{"access_token": "****", "n": 1}"#),
            ("keystore.tls.key-password: changeit", "keystore.tls.key-password: ****"),
            ("Authorization: Basic YWRtaW46YWRtaW4=", "Authorization: Basic ****"),
            ("jdbc:mysql://root:hunter2@db:3306/x", "jdbc:mysql://root:****@db:3306/x"),
            ("java.lang.Exception: password=hunter2", "java.lang.Exception: password=****"),
            ("opts: \"a=b password=hunter2\"", "opts: \"a=b password=****\""),
            ("sent Bearer eyJhbGciOiJSUzI1NiJ9.e30.sig", "sent Bearer ****"),
            ("Started in 12 sec, port: 9443", "Started in 12 sec, port: 9443"),
            (
                "Keystore was tampered with, or password was incorrect",
                "Keystore was tampered with, or password was incorrect",
            ),
        ] {
            assert_eq!(line(shown), wanted);
        }
    }

    #[test]
    fn known_secrets_are_hidden_wherever_they_stand() {
        let secrets = [Secret::new("s3cr3t!"), Secret::new("x")];
        assert_eq!(text("a s3cr3t! b\nexact s3cr3t!", &secrets), "a **** b\nexact ****");
    }

    #[test]
    fn a_short_secret_hides_no_part_of_a_longer_word() {
        let secrets = [Secret::new("admin")];
        assert_eq!(text("[super_admin]\nadmin: \"admin\"", &secrets), "[super_admin]\n****: \"****\"");
    }

    #[test]
    fn every_pattern_is_valid() {
        assert!(USER.is_some() && SCHEME.is_some() && PAIR.is_some());
    }
}
