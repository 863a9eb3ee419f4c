//! `apim.load_balancer`: the load balancer in front of the nodes.

use std::net::Ipv4Addr;

use super::read::{Section, Spanned, text_of};
use crate::yaml::{Kind, Node, Span};

/// How the load balancer is managed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BalancerKind {
    /// Managed externally: nothing is installed, and apim-deploy does not connect to its hosts.
    #[default]
    External,
    /// Managed by apim-deploy: nginx on every host of the group `load_balancer`.
    Nginx,
}

impl BalancerKind {
    const WORDS: [(&'static str, Self); 2] = [("external", Self::External), ("nginx", Self::Nginx)];
}

/// Why a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Stop new requests to the node.
    Drain,
    /// Check that the node has no connections.
    Drained,
    /// Send requests to the node again.
    Undrain,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Drain, Self::Drained, Self::Undrain];

    /// Returns its key in the inventory, which hooks receive as well.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Drained => "drained",
            Self::Undrain => "undrain",
        }
    }
}

/// Certificate files, provided by the user, for the client-facing ports.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateFiles {
    /// PEM: the certificate, followed by its issuers, and the private key unless it is in
    /// `key_file`.
    pub file: Spanned<String>,
    /// PEM: the private key, without a passphrase.
    pub key_file: Option<Spanned<String>>,
}

/// `apim.load_balancer`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancer {
    /// How it is managed.
    pub kind: BalancerKind,
    /// The user's certificate; `None`: the issued one.
    pub certificate: Option<CertificateFiles>,
    /// Whether nginx is installed if it is missing.
    pub install: bool,
    /// The HTTP port that redirects to the HTTPS portals; `None`: no redirect.
    pub redirect_port: Option<u16>,
    /// Whether sessions are sticky: a client always reaches the same control plane.
    pub sticky: bool,
    /// Whether it also listens on IPv6 addresses.
    pub ipv6: bool,
    /// Timeout of a connection to a node, in seconds.
    pub connect_secs: u32,
    /// Idle timeout of a request or its response, in seconds.
    pub request_secs: u32,
    /// Keep-alive timeout of a client connection, in seconds.
    pub idle_secs: u32,
    /// Idle timeout of a WebSocket, in seconds.
    pub websocket_secs: u32,
    /// Maximum size of a request body, in MiB; 0: no limit.
    pub max_body_mb: u32,
    /// Networks of trusted upstream proxies: their `X-Forwarded-For` is used.
    pub trusted_proxies: Vec<String>,
    /// Networks that may call the gateways' management services; `None`: the control planes'
    /// addresses.
    pub management_from: Option<Vec<String>>,
    /// Maximum time to drain a node, in seconds.
    pub drain_secs: u32,
    /// Addresses of an external load balancer: a drain waits for connections from them. Empty: from
    /// every address that is not a node.
    pub addresses: Vec<Ipv4Addr>,
    /// Files on the host that every `server` block includes.
    pub include: Vec<String>,
    /// The location of the section, or of the host's settings if it is absent.
    pub span: Span,
}

impl LoadBalancer {
    pub(super) fn absent(span: Span) -> Self {
        Self {
            kind: BalancerKind::External,
            certificate: None,
            install: true,
            redirect_port: Some(80),
            sticky: true,
            ipv6: false,
            connect_secs: 3,
            request_secs: 300,
            idle_secs: 75,
            websocket_secs: 3600,
            max_body_mb: 100,
            trusted_proxies: Vec::new(),
            management_from: None,
            drain_secs: 30,
            addresses: Vec::new(),
            include: Vec::new(),
            span,
        }
    }

    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut read = Self::absent(section.span().clone());
        read.kind = section.word("kind", &BalancerKind::WORDS).unwrap_or_default();
        if section.place("kind").is_none() {
            section.missing(
                "kind",
                "`nginx`: installed and configured by apim-deploy; `external`: managed externally",
            );
        }
        read.certificate = section.section("certificate").and_then(certificate);
        read.install = section.flag("install", read.install);
        read.redirect_port = match section.place("redirect_port") {
            Some(_) if section.is_off("redirect_port") => None,
            Some(_) => section.port("redirect_port"),
            None => read.redirect_port,
        };
        read.sticky = section.flag("sticky", read.sticky);
        read.ipv6 = section.flag("ipv6", read.ipv6);
        let mut number = |key, lowest, default| {
            section.number(key, lowest..=86_400).and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
        };
        read.connect_secs = number("connect_secs", 1, read.connect_secs);
        read.request_secs = number("request_secs", 1, read.request_secs);
        read.idle_secs = number("idle_secs", 0, read.idle_secs);
        read.websocket_secs = number("websocket_secs", 1, read.websocket_secs);
        read.drain_secs = number("drain_secs", 0, read.drain_secs);
        read.max_body_mb = number("max_body_mb", 0, read.max_body_mb);
        read.trusted_proxies = networks(&mut section, "trusted_proxies").unwrap_or_default();
        read.management_from = networks(&mut section, "management_from");
        read.include = includes(&mut section);
        read.addresses = addresses(&mut section);
        for key in Action::ALL.map(Action::word) {
            // Hooks written in place were split off before and are read for each node.
            if let Some(node) = section.take(key) {
                let what = format!("`{}` cannot come from a template of `load_balancer`", section.path(key));
                let hint = "write it in place; its templates can use the node's variables";
                section.mistakes.add_hint(&node.span, what, hint);
            }
        }
        section.finish();
        read
    }
}

fn certificate(mut section: Section<'_, '_>) -> Option<CertificateFiles> {
    let file = section.text("file");
    if file.is_none() {
        section.missing("file", "a PEM file on this machine, relative to the inventory's folder");
    }
    let key_file = section.text("key_file");
    section.finish();
    Some(CertificateFiles { file: file?, key_file })
}

/// Reads addresses and networks such as `10.0.0.0/8`. They are written to nginx's configuration
/// unescaped, so anything else is rejected.
fn networks(section: &mut Section<'_, '_>, key: &'static str) -> Option<Vec<String>> {
    let node = section.take(key)?;
    let what = section.path(key);
    let mut read = Vec::new();
    for item in items(node) {
        let Some(text) = text_of(item, &what, section.mistakes) else { continue };
        let (address, bits) = text.value.split_once('/').unwrap_or((&text.value, "32"));
        let fits = address.parse::<Ipv4Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 32);
        if fits {
            read.push(text.value);
        } else {
            section.mistakes.add_hint(
                &text.span,
                format!("`{what}`: invalid IPv4 address or network `{}`", text.value),
                "such as 10.0.0.5 or 10.0.0.0/8",
            );
        }
    }
    Some(read)
}

fn addresses(section: &mut Section<'_, '_>) -> Vec<Ipv4Addr> {
    let Some(node) = section.take("addresses") else { return Vec::new() };
    let what = section.path("addresses");
    let mut read = Vec::new();
    for item in items(node) {
        let Some(text) = text_of(item, &what, section.mistakes) else { continue };
        match text.value.parse() {
            Ok(address) => read.push(address),
            Err(_) => section.mistakes.add_hint(
                &text.span,
                format!("`{what}`: invalid IPv4 address `{}`", text.value),
                "the source address of its connections to nodes, such as 10.0.0.5",
            ),
        }
    }
    read
}

fn includes(section: &mut Section<'_, '_>) -> Vec<String> {
    let Some(node) = section.take("include") else { return Vec::new() };
    let what = section.path("include");
    let mut read = Vec::new();
    for item in items(node) {
        let Some(text) = text_of(item, &what, section.mistakes) else { continue };
        let fits = |c: char| c.is_ascii_alphanumeric() || "/._+-*".contains(c);
        if text.value.starts_with('/') && text.value.chars().all(fits) {
            read.push(text.value);
        } else {
            section.mistakes.add_hint(
                &text.span,
                format!("`{what}`: invalid host path `{}`", text.value),
                "an absolute path of letters, digits, `.`, `_`, `+`, `-`, `/` and `*`",
            );
        }
    }
    read
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}
