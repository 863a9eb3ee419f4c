//! `apim.endpoints`: the public names of roles, usually those of a load balancer.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::read::{Section, Spanned, check_host};
use crate::role::Role;
use crate::yaml::{Kind, Mistakes, Node, Span};

/// One endpoint as configured; `None` for values that are not set.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSetting {
    /// The host name.
    pub name: String,
    /// The port of the management services (portals, admin services).
    pub port: Option<u16>,
    /// The address of the name in `/etc/hosts`.
    pub address: Option<Ipv4Addr>,
    /// Ports for API calls at a gateway's endpoint.
    pub calls: CallPorts,
    /// The location of the endpoint.
    pub span: Span,
}

/// Ports for API calls at a gateway's endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallPorts {
    /// `http_port`
    pub http: Option<u16>,
    /// `https_port`
    pub https: Option<u16>,
    /// `ws_port`
    pub ws: Option<u16>,
    /// `wss_port`
    pub wss: Option<u16>,
    /// `websub_http_port`
    pub websub_http: Option<u16>,
    /// `websub_https_port`
    pub websub_https: Option<u16>,
}

impl EndpointSetting {
    /// Reads `name`, `name:port` or a map.
    pub(super) fn read(node: &Node, what: &str, mistakes: &mut Mistakes) -> Option<Self> {
        if let Kind::Map(_) = node.kind {
            let mut section = Section::new(node, what, mistakes);
            let name = section.host("name");
            if name.is_none() {
                section.missing("name", "the public name of the load balancer");
            }
            let port = section.port("port");
            let address = section
                .text("address")
                .and_then(|text| ipv4(&text, &section.path("address"), section.mistakes));
            let calls = CallPorts {
                http: section.port("http_port"),
                https: section.port("https_port"),
                ws: section.port("ws_port"),
                wss: section.port("wss_port"),
                websub_http: section.port("websub_http_port"),
                websub_https: section.port("websub_https_port"),
            };
            section.finish();
            return Some(Self { name: name?.value, port, address, calls, span: node.span.clone() });
        }
        let text = super::read::text_of(node, what, mistakes)?;
        let (name, port) = match text.value.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') && !port.starts_with("//") => {
                let Some(port) = port.parse().ok().filter(|p| *p > 0) else {
                    mistakes.add(&text.span, format!("`{what}`: invalid port `{port}`"));
                    return None;
                };
                (name.to_owned(), Some(port))
            }
            _ => (text.value.clone(), None),
        };
        let name = Spanned::new(name, text.span.clone());
        check_host(&name, what, mistakes).then(|| Self {
            name: name.value,
            port,
            address: None,
            calls: CallPorts::default(),
            span: text.span,
        })
    }
}

pub(super) fn ipv4(text: &Spanned<String>, what: &str, mistakes: &mut Mistakes) -> Option<Ipv4Addr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        mistakes.add_hint(
            &text.span,
            format!("`{what}`: invalid IPv4 address `{}`", text.value),
            "API Manager supports IPv4 only",
        );
    }
    address
}

/// Reads `apim.endpoints`, one per role. An all-in-one cluster uses `control_plane` and `gateway`.
pub(super) fn read(mut section: Section<'_, '_>) -> BTreeMap<Role, EndpointSetting> {
    let mut endpoints = BTreeMap::new();
    for role in [Role::ControlPlane, Role::KeyManager, Role::Gateway, Role::TrafficManager] {
        if let Some(node) = section.take(role.group())
            && let Some(endpoint) = EndpointSetting::read(node, &section.path(role.group()), section.mistakes)
        {
            endpoints.insert(role, endpoint);
        }
    }
    section.finish();
    endpoints
}
