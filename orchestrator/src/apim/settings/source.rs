//! `apim.distributions` and `apim.java`: where files come from, and the digests they must have.

use std::collections::BTreeMap;

use apim_protocol::value::{AbsPath, Sha256};

use super::read::{At, Section, digest_of, is_plain, one_of, text_of};
use crate::apim::release::Version;
use crate::apim::role::Role;
use crate::yaml::{Kind, Mistakes, Span};

/// Who fetches a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fetch {
    /// The control machine, once; the hosts get it over their session.
    #[default]
    Push,
    /// Each host, from the URL.
    Pull,
}

const FETCH_WORDS: [(&str, Fetch); 2] = [("push", Fetch::Push), ("pull", Fetch::Pull)];

/// `apim.distributions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributions {
    /// A URL or local folder; `{version}` stands for the version, `{file}` for the zip's name (else it is added at the end).
    pub source: Option<At<String>>,
    /// Digests, by role or by file name.
    pub sha256: BTreeMap<String, Sha256>,
    /// Where the digests stand.
    pub span: Span,
    /// Who fetches.
    pub fetch: Fetch,
    /// A proxy URL for downloads.
    pub proxy: Option<String>,
}

impl Distributions {
    pub(super) fn absent(span: Span) -> Self {
        Self { source: None, sha256: BTreeMap::new(), span, fetch: Fetch::Push, proxy: None }
    }

    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut read = Self::absent(section.span().clone());
        read.source = section.text("source");
        if let Some(source) = &read.source {
            check_source(source, &section.path("source"), &["{version}", "{file}"], section.mistakes);
        }
        read.fetch = section.word("fetch", &FETCH_WORDS).unwrap_or_default();
        read.proxy = section.text("proxy").and_then(|text| {
            let fits = text.value.starts_with("http://")
                || text.value.starts_with("https://")
                || text.value.starts_with("socks5");
            if !fits {
                // Not shown: it may hold an account.
                let what = "`apim.distributions.proxy` is no proxy URL";
                section.mistakes.add_hint(&text.span, what, "such as http://proxy.example.com:3128");
            }
            fits.then_some(text.value)
        });
        if let Some(node) = section.take("sha256") {
            read.span = node.span.clone();
            match &node.kind {
                Kind::Map(entries) => {
                    for (key, value) in entries {
                        let what = format!("apim.distributions.sha256.{}", key.text);
                        if !is_digest_key(&key.text) {
                            let roles: Vec<&str> = DIGEST_ROLES.iter().map(|r| r.group()).collect();
                            section.mistakes.add_hint(
                                &key.span,
                                format!("`{what}` names no distribution"),
                                format!("{} (or the name of a zip file)", one_of(&key.text, &roles)),
                            );
                            continue;
                        }
                        let digest = text_of(value, &what, section.mistakes)
                            .and_then(|text| digest_of(&text, &what, section.mistakes));
                        if let Some(digest) = digest {
                            read.sha256.insert(key.text.clone(), digest);
                        }
                    }
                }
                _ => {
                    let what = format!("`apim.distributions.sha256` must be a map, not {}", node.describe());
                    section.mistakes.add(&node.span, what);
                }
            }
        }
        if read.fetch == Fetch::Pull
            && let Some(source) = &read.source
            && !source.value.contains("://")
        {
            section.mistakes.add_hint(
                &source.span,
                format!("hosts cannot pull from `{}`", source.value),
                "`fetch: pull` needs an http:// or https:// source; a folder of this machine needs `fetch: push`",
            );
        }
        section.finish();
        read
    }

    /// Returns the digest of the zip that `role` is made from; one for the very file name beats one for the role.
    #[must_use]
    pub fn digest(&self, role: Role, version: &Version) -> Option<Sha256> {
        let by_file = self.sha256.get(&version.zip(role));
        by_file.or_else(|| self.sha256.get(role.distribution().group())).copied()
    }

    /// Returns where the zip of `role` is to be had.
    #[must_use]
    pub fn locate(&self, role: Role, version: &Version) -> Option<String> {
        let template = &self.source.as_ref()?.value;
        let file = version.zip(role);
        let place = template.replace("{version}", &version.to_string());
        Some(if place.contains("{file}") {
            place.replace("{file}", &file)
        } else {
            format!("{}/{file}", place.trim_end_matches('/'))
        })
    }
}

const DIGEST_ROLES: [Role; 4] = [Role::ControlPlane, Role::Gateway, Role::TrafficManager, Role::AllInOne];

fn is_digest_key(key: &str) -> bool {
    DIGEST_ROLES.iter().any(|role| role.group() == key)
        || (key.starts_with("wso2am-") && key.to_lowercase().ends_with(".zip"))
}

/// Says whether a source is fetched over the network.
#[must_use]
pub fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Notes a scheme that nobody fetches from, and a word in braces that nobody fills in.
fn check_source(source: &At<String>, what: &str, words: &[&str], mistakes: &mut Mistakes) {
    if let Some((scheme, rest)) = source.value.split_once("://")
        && !is_url(&source.value)
    {
        // An account part is not shown.
        let shown = if rest.contains('@') { format!("{scheme}://…") } else { source.value.clone() };
        mistakes.add_hint(
            &source.span,
            format!("`{what}`: nothing is fetched from `{shown}`"),
            "an http:// or https:// URL, or a path of this machine",
        );
    }
    for part in source.value.split('{').skip(1) {
        let Some((word, _)) = part.split_once('}') else { continue };
        let word = format!("{{{word}}}");
        if !words.contains(&word.as_str()) && !word.contains('@') {
            let hint = match words {
                [] => "write the whole name".to_owned(),
                words => format!("only {} are filled in", words.join(" and ")),
            };
            mistakes.add_hint(&source.span, format!("`{what}`: nothing stands for `{word}`"), hint);
        }
    }
}

/// A single file with its digest.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedFile {
    /// A URL or local path.
    pub source: At<String>,
    /// What it must be.
    pub sha256: Sha256,
    /// Who fetches.
    pub fetch: Fetch,
}

impl NamedFile {
    pub(super) fn read(section: &mut Section<'_, '_>, hint: &str) -> Option<Self> {
        let source = section.text("source");
        if let Some(source) = &source {
            check_source(source, &section.path("source"), &[], section.mistakes);
        }
        let sha256 = section.digest("sha256");
        let fetch = section.word("fetch", &FETCH_WORDS).unwrap_or_default();
        if source.is_none() {
            section.missing("source", hint);
        }
        if sha256.is_none() {
            section.missing("sha256", "`sha256sum FILE` prints it");
        }
        Some(Self { source: source?, sha256: sha256?, fetch })
    }

    /// Returns the last part of the source: a file name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        let path = self.source.value.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// `apim.java`: the JDK that nodes run on.
#[derive(Debug, Clone, PartialEq)]
pub enum Java {
    /// A home that is on the host already.
    Home(AbsPath),
    /// A tar.gz or zip that is installed side by side with others.
    Archive(NamedFile),
}

impl Java {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let known = section.mistakes.0.len();
        let home = section.folder("home");
        let archive = section.section("archive").and_then(|mut archive| {
            let file = NamedFile::read(&mut archive, "a URL or path of a JDK's tar.gz or zip");
            archive.finish();
            file
        });
        let span = section.span().clone();
        let java = match (home, archive) {
            (Some(_), Some(_)) => {
                section.mistakes.add_hint(&span, "`apim.java` has both `home` and `archive`", "keep one");
                None
            }
            (Some(home), None) => Some(Self::Home(home)),
            (None, Some(file)) => {
                let name = file.file_name();
                let known = [".tar.gz", ".tgz", ".zip"].iter().any(|end| name.ends_with(end));
                if !known {
                    let what = format!("`apim.java.archive.source`: `{name}` is no tar.gz or zip");
                    section.mistakes.add(&file.source.span, what);
                }
                if !is_plain(name) {
                    let what =
                        format!("`apim.java.archive.source`: `{name}` cannot name a folder of a unit file");
                    let hint = "rename it: letters, digits, `.`, `_`, `+` and `-` only";
                    section.mistakes.add_hint(&file.source.span, what, hint);
                }
                (known && is_plain(name)).then_some(Self::Archive(file))
            }
            (None, None) => {
                if section.mistakes.0.len() == known {
                    section
                        .missing("home", "a JDK's folder on the hosts; or `archive: {source: …, sha256: …}`");
                }
                None
            }
        };
        section.finish();
        java
    }
}
