//! Reads known_hosts files, with all of OpenSSH's line formats: hashed names, `[name]:port`,
//! wildcards, negation, `@revoked`, `@cert-authority`. Module `learn` writes them.
//!
//! Format: sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use russh::keys::{HashAlg, PublicKey, parse_public_key_base64};

use super::error::SettingError;

/// Meaning of the key on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A host key.
    Host,
    /// A certificate authority for host certificates.
    Authority,
    /// A key that must not be accepted.
    Revoked,
}

/// A line that matches the host.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) meaning: Meaning,
    pub(super) key: PublicKey,
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

impl Known {
    /// Returns the key's fingerprint in OpenSSH's format.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(&self.key)
    }
}

/// Returns a key's fingerprint in OpenSSH's format (`SHA256:…`).
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The known_hosts files of a run, read once.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    files: Vec<(Arc<Path>, String)>,
}

impl KnownHosts {
    /// Reads `files`; a missing file counts as empty.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, SettingError> {
        let mut known = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => {
                    known.files.push((file.as_path().into(), String::from_utf8_lossy(&bytes).into_owned()));
                }
                Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound) => {}
                Err(source) => return Err(SettingError::ReadKnownHosts { file: file.clone(), source }),
            }
        }
        Ok(known)
    }

    /// Returns every line for `name`, in the format of [`name_of`].
    pub(super) fn lines_for(&self, name: &str) -> Vec<Known> {
        let mut found = Vec::new();
        for (file, text) in &self.files {
            for (index, line) in text.lines().enumerate() {
                if let Some((meaning, key)) = read_line(line, name) {
                    found.push(Known { meaning, key, file: Arc::clone(file), line: index + 1 });
                }
            }
        }
        found
    }
}

/// Returns the name of a host in known_hosts files: the name itself, or `[name]:port` for a port
/// other than 22.
pub(super) fn name_of(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Parses `line`; returns `None` if it does not match `name` or has no supported key.
fn read_line(line: &str, name: &str) -> Option<(Meaning, PublicKey)> {
    let mut fields = line.split_whitespace();
    let mut first = fields.next().filter(|first| !first.starts_with('#'))?;
    let meaning = match first {
        "@revoked" => Meaning::Revoked,
        "@cert-authority" => Meaning::Authority,
        _ => Meaning::Host,
    };
    if meaning != Meaning::Host {
        first = fields.next()?;
    }
    if !names(first, name) {
        return None;
    }
    fields.next()?;
    Some((meaning, parse_public_key_base64(fields.next()?).ok()?))
}

/// Returns whether the first field of a line, hashed or a list of patterns, matches `name`.
fn names(field: &str, name: &str) -> bool {
    if let Some(hashed) = field.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    list_matches(field.split(','), name)
}

/// Returns whether a list of patterns matches `name`; a match of a pattern negated with `!`
/// excludes it.
pub(super) fn list_matches<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, name) => return false,
            Some(_) => {}
            None => matched |= matches(pattern, name),
        }
    }
    matched
}

fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, digest) = hashed.split_once('|')?;
    let mut mac = Hmac::<sha1_known_hosts::Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(digest).ok()?).is_ok())
}

/// Returns whether `text` matches a pattern with `*` and `?`, ignoring case.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase().into_bytes(), text.to_lowercase().into_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                star = Some((p + 1, t));
                p += 1;
            }
            (Some(wanted), Some(byte)) if *wanted == b'?' || wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn known(text: &str) -> KnownHosts {
        KnownHosts { files: vec![(Path::new("/kh").into(), text.to_owned())] }
    }

    fn found(text: &str, name: &str) -> Vec<(Meaning, usize)> {
        known(text).lines_for(name).iter().map(|line| (line.meaning, line.line)).collect()
    }

    #[test]
    fn names_ports_wildcards_and_negation() {
        let text = format!(
            "# a comment\n\ngw1,10.0.0.5 ssh-ed25519 {A} note of it\n[gw1]:2222\tssh-ed25519\t{B}\n*.example.com,!bad.example.com ssh-ed25519 {A}\n"
        );
        assert_eq!(found(&text, "gw1"), [(Meaning::Host, 3)]);
        assert_eq!(found(&text, "10.0.0.5"), [(Meaning::Host, 3)]);
        assert_eq!(found(&text, &name_of("GW1", 2222)), [(Meaning::Host, 4)]);
        assert_eq!(found(&text, "a.example.com"), [(Meaning::Host, 5)]);
        assert_eq!(found(&text, "bad.example.com"), []);
        assert_eq!(found(&text, "gw11"), []);
    }

    #[test]
    fn marked_lines_keep_their_meaning() {
        let text = format!("@revoked * ssh-ed25519 {B}\n@cert-authority *.example.com ssh-ed25519 {A}\n");
        assert_eq!(found(&text, "x.example.com"), [(Meaning::Revoked, 1), (Meaning::Authority, 2)]);
        assert_eq!(found(&text, "elsewhere"), [(Meaning::Revoked, 1)]);
    }

    #[test]
    fn hashed_names_are_found() {
        // The format of `ssh-keygen -H`.
        let salt = STANDARD.encode([7_u8; 20]);
        let mut mac = Hmac::<sha1_known_hosts::Sha1>::new_from_slice(&[7; 20]).unwrap();
        mac.update(b"[gw1]:2222");
        let digest = STANDARD.encode(mac.finalize().into_bytes());
        let text = format!("|1|{salt}|{digest} ssh-ed25519 {A}\n|1|broken ssh-ed25519 {A}\n");
        assert_eq!(found(&text, "[gw1]:2222"), [(Meaning::Host, 1)]);
        assert_eq!(found(&text, "gw1"), []);
    }

    #[test]
    fn broken_lines_are_skipped() {
        assert_eq!(found("gw1\ngw1 ssh-ed25519\ngw1 ssh-ed25519 %%%\n@revoked\n", "gw1"), []);
    }

    #[test]
    fn wildcard_matching_backtracks() {
        assert!(matches("*a*b", "xaxbxab") && matches("?w*", "GW1") && matches("*", ""));
        assert!(!matches("*a*b", "xaxbxa") && !matches("gw?", "gw"));
    }
}
