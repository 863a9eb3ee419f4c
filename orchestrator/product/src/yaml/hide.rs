//! Detects source lines that must not be shown because they may contain a secret.

/// Key names that contain one of these words are treated as secret.
const WORDS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private_key",
    "apikey",
    "api_key",
    "keypass",
    "storepass",
    "pwd",
];

/// Returns whether the value of `key` is probably a secret, judged by the name. Similar names count
/// too, because the value of a misspelled key is still a secret.
#[must_use]
pub fn sounds_secret(key: &str) -> bool {
    let key = key.trim().trim_matches(['"', '\'']).to_ascii_lowercase().replace('-', "_");
    if WORDS.iter().any(|word| key.contains(word)) {
        return !key.ends_with("_file") && !key.ends_with("_path");
    }
    if key.ends_with("encryption_key") || strsim::jaro_winkler(&key, "encryption_key") > 0.95 {
        return true;
    }
    key.split(['_', '.']).any(|part| {
        part == "pass" || part.len() >= 5 && WORDS.iter().any(|word| strsim::jaro_winkler(part, word) > 0.88)
    })
}

/// Keys of maps that contain a password. A scalar in place of the map may be that password.
const MAPS: [&str; 3] = ["admin", "apim_db", "shared_db"];

/// Returns whether line `number` (from 1) of `text` may contain a secret.
pub(super) fn may_hold_secret(text: &str, number: usize) -> bool {
    let lines: Vec<&str> = text.lines().take(number).collect();
    let Some((line, above)) = lines.split_last() else { return false };
    if reveals(line) {
        return true;
    }
    // A value may continue below its key: check each line that this one is nested under.
    let mut indent = width(line);
    for outer in above.iter().rev().filter(|line| !line.trim().is_empty()) {
        let (next, opens) = (width(outer), outer.contains("!vault") || secret_key(outer));
        let same_level = next == indent && !outer.trim_start().starts_with('-');
        if next < indent {
            indent = next;
            if opens || (!line.contains(':') && is_map_key(outer)) {
                return true;
            }
        } else if same_level && outer.trim_end().ends_with(':') && opens && indent > 0 {
            return false;
        }
        if indent == 0 {
            break;
        }
    }
    false
}

fn width(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

fn reveals(line: &str) -> bool {
    line.contains("$ANSIBLE_VAULT")
        || line.contains("!vault")
        || names_account(line)
        || secret_key(line)
        || text_for_map(line)
}

/// `admin: hunter2`, where a map is expected.
fn text_for_map(line: &str) -> bool {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(':') {
        let value = after.trim_start();
        let is_text = !value.is_empty() && !value.starts_with(['{', '#']);
        if is_text && is_map_key(before) {
            return true;
        }
        rest = after;
    }
    false
}

/// Whether the last word of `text`, without its colon, is a key of [`MAPS`].
fn is_map_key(text: &str) -> bool {
    let text = text.split(" #").next().unwrap_or(text).trim_end().trim_end_matches(':').trim_end();
    let key = text.rsplit([' ', '{', ',', '[']).next().unwrap_or("").trim_matches(['"', '\'']);
    MAPS.contains(&key)
}

/// `scheme://user:password@host`
fn names_account(line: &str) -> bool {
    line.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '"', '\'']).next().unwrap_or("");
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// Whether the line has a secret-like key that is followed by a value or a block.
fn secret_key(line: &str) -> bool {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once([':', '=']) {
        let key = before.rsplit([' ', '{', ',', '[']).find(|part| !part.trim().is_empty()).unwrap_or("");
        if sounds_secret(key) {
            return true;
        }
        rest = after;
    }
    false
}
