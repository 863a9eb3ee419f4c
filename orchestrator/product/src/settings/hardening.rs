//! `apim.hardening`: `production` or `off`, and individual switches.

use std::collections::BTreeMap;

use apim_protocol::value::AbsPath;

use super::read::{Section, Spanned, is_plain, one_of, text_of};
use crate::yaml::{Kind, Node, Span};

/// How JMX is exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jmx {
    /// The product's default: two RMI ports on all addresses.
    On,
    /// The RMI stubs refer to the loopback address only.
    Local,
    /// JMX is disabled.
    Off,
}

/// How a node verifies the host name in a certificate when it connects to another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// Any name is accepted; the default of the start scripts.
    AllowAll,
    /// The name must match, except for `localhost`.
    DefaultAndLocalhost,
    /// The name must match.
    Strict,
}

impl Verifier {
    /// Returns the product's name for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AllowAll => "AllowAll",
            Self::DefaultAndLocalhost => "DefaultAndLocalhost",
            Self::Strict => "Strict",
        }
    }
}

/// `apim.hardening`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardening {
    /// Whether settings that are not suitable for production are errors.
    pub production: bool,
    /// Whether kernel parameters are tuned and the nodes' ports are reserved.
    pub sysctl: bool,
    /// Overrides of the default kernel parameters; `None`: the parameter is not managed.
    pub sysctl_values: BTreeMap<String, Option<String>>,
    /// Whether the account's limits are also raised for login sessions.
    pub limits: bool,
    /// Whether units run in a systemd sandbox.
    pub sandbox: bool,
    /// Additional folders that the server can write to from inside the sandbox.
    pub writable: Vec<AbsPath>,
    /// Whether the documented JVM flags are set.
    pub jvm: bool,
    /// How JMX is exposed.
    pub jmx: Jmx,
    /// How host names in certificates are verified.
    pub hostname_verifier: Verifier,
    /// The location of the section, if it is set.
    pub span: Option<Span>,
    /// The location of `hostname_verifier`, if it is set.
    pub verifier_span: Option<Span>,
}

impl Default for Hardening {
    fn default() -> Self {
        Self::of(false)
    }
}

const MODES: [(&str, bool); 2] = [("production", true), ("off", false)];
const JMX: [(&str, Jmx); 3] = [("on", Jmx::On), ("local", Jmx::Local), ("off", Jmx::Off)];
const VERIFIERS: [(&str, Verifier); 3] = [
    ("strict", Verifier::Strict),
    ("default_and_localhost", Verifier::DefaultAndLocalhost),
    ("allow_all", Verifier::AllowAll),
];

impl Hardening {
    fn of(production: bool) -> Self {
        Self {
            production,
            sysctl: production,
            sysctl_values: BTreeMap::new(),
            limits: production,
            sandbox: production,
            writable: Vec::new(),
            jvm: production,
            jmx: if production { Jmx::Off } else { Jmx::On },
            hostname_verifier: if production { Verifier::Strict } else { Verifier::AllowAll },
            span: None,
            verifier_span: None,
        }
    }

    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let Some(node) = section.take("hardening") else { return Self::default() };
        let span = Some(node.span.clone());
        // YAML 1.1 reads a bare `off` as a boolean.
        match &node.kind {
            Kind::Bool(false) => return Self { span, ..Self::default() },
            Kind::Map(_) => {}
            _ => {
                let Some(text) = text_of(node, "apim.hardening", section.mistakes) else {
                    return Self::default();
                };
                let production = mode(&text, "apim.hardening", section);
                return Self { span, ..Self::of(production) };
            }
        }
        let mut part = Section::new(node, "apim.hardening", section.mistakes);
        let production = match part.take("mode") {
            None | Some(Node { kind: Kind::Bool(false), .. }) => false,
            Some(node) => {
                let text = text_of(node, "apim.hardening.mode", part.mistakes);
                text.is_some_and(|text| mode(&text, "apim.hardening.mode", &mut part))
            }
        };
        let mut read = Self { span, ..Self::of(production) };
        sysctl(&mut part, &mut read);
        read.limits = part.flag("limits", read.limits);
        read.sandbox = part.flag("sandbox", read.sandbox);
        writable(&mut part, &mut read);
        read.jvm = part.flag("jvm", read.jvm);
        if let Some(node) = part.take("jmx") {
            read.jmx = match node.kind {
                Kind::Bool(true) => Jmx::On,
                Kind::Bool(false) => Jmx::Off,
                _ => word(node, "apim.hardening.jmx", &JMX, &mut part).unwrap_or(read.jmx),
            };
        }
        if let Some(node) = part.take("hostname_verifier") {
            read.verifier_span = Some(node.span.clone());
            read.hostname_verifier = word(node, "apim.hardening.hostname_verifier", &VERIFIERS, &mut part)
                .unwrap_or(read.hostname_verifier);
        }
        part.finish();
        read
    }
}

/// `writable: [/mnt/shared]`
fn writable(part: &mut Section<'_, '_>, read: &mut Hardening) {
    let Some(node) = part.take("writable") else { return };
    let what = "apim.hardening.writable";
    let Kind::List(items) = &node.kind else {
        let text = format!("`{what}` must be a list of folders, not {}", node.describe());
        return part.mistakes.add(&node.span, text);
    };
    for item in items {
        let Some(text) = text_of(item, what, part.mistakes) else { continue };
        match AbsPath::parse(&text.value) {
            Ok(path) if is_plain(&text.value) && text.value != "/" => read.writable.push(path),
            Ok(_) => {
                let words = format!("`{what}`: `{}` cannot be used in a unit file", text.value);
                let hint = "use a folder below `/`, with only letters, digits, `.`, `_`, `+`, `-` and `/`";
                part.mistakes.add_hint(&text.span, words, hint);
            }
            Err(error) => part.mistakes.add(&text.span, format!("`{what}`: {error}")),
        }
    }
}

fn mode(text: &Spanned<String>, what: &str, section: &mut Section<'_, '_>) -> bool {
    let found = MODES.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
    if found.is_none() {
        let words = MODES.map(|(word, _)| word);
        section.mistakes.add_hint(
            &text.span,
            format!("`{what}`: unknown value `{}`", text.value),
            one_of(&text.value, &words),
        );
    }
    found.unwrap_or(false)
}

fn word<T: Copy>(
    node: &Node,
    what: &str,
    words: &[(&'static str, T)],
    section: &mut Section<'_, '_>,
) -> Option<T> {
    let text = text_of(node, what, section.mistakes)?;
    let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        section.mistakes.add_hint(
            &text.span,
            format!("`{what}`: unknown value `{}`", text.value),
            one_of(&text.value, &known),
        );
    }
    found
}

/// Reads `sysctl: true`, `sysctl: false`, or a map that overrides the default values (`null`: the
/// parameter is not managed).
fn sysctl(part: &mut Section<'_, '_>, read: &mut Hardening) {
    let Some(node) = part.take("sysctl") else { return };
    let what = "apim.hardening.sysctl";
    match &node.kind {
        Kind::Bool(on) => read.sysctl = *on,
        Kind::Map(entries) => {
            read.sysctl = true;
            for (key, value) in entries {
                let fits = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
                if !key.text.contains('.') || key.text.contains("..") || !key.text.chars().all(fits) {
                    let text = format!("`{what}`: invalid kernel parameter `{}`", key.text);
                    part.mistakes.add_hint(&key.span, text, "such as `net.ipv4.tcp_fin_timeout`");
                    continue;
                }
                if key.text == "net.ipv4.tcp_tw_recycle" {
                    let text = format!(
                        "`{what}`: `{}` breaks clients behind NAT, and was removed in Linux 4.12",
                        key.text
                    );
                    part.mistakes.add_hint(&key.span, text, "remove it");
                    continue;
                }
                let value = match &value.kind {
                    Kind::Null => None,
                    _ => match text_of(value, &format!("{what}.{}", key.text), part.mistakes) {
                        Some(text) if text.value.contains(['\n', '\r']) => {
                            part.mistakes.add(&text.span, format!("`{what}.{}` must be one line", key.text));
                            continue;
                        }
                        Some(text) => Some(text.value),
                        None => continue,
                    },
                };
                read.sysctl_values.insert(key.text.clone(), value);
            }
        }
        _ => {
            let text = format!(
                "`{what}` must be true, false, or a map of kernel parameters, not {}",
                node.describe()
            );
            part.mistakes.add(&node.span, text);
        }
    }
}
