//! Ports by role, and port offsets.
//!
//! Source: `default.json` of wso2/product-apim and wso2/carbon-kernel, and the documentation's page
//! on default product ports.

use super::role::Role;

/// HTTPS of the servlet container: portals, admin services, health.
pub const HTTPS: u16 = 9443;
/// HTTP of the servlet container.
pub const HTTP: u16 = 9763;
/// API calls over HTTPS.
pub const GATEWAY_HTTPS: u16 = 8243;
/// API calls over HTTP.
pub const GATEWAY_HTTP: u16 = 8280;
/// WebSocket calls.
pub const WS: u16 = 9099;
/// WebSocket calls over TLS.
pub const WSS: u16 = 8099;
/// `WebSub` receiver.
pub const WEBSUB_HTTP: u16 = 9021;
/// `WebSub` receiver over TLS.
pub const WEBSUB_HTTPS: u16 = 8021;
/// The broker.
pub const BROKER: u16 = 5672;
/// The broker over TLS (off until configured).
pub const BROKER_TLS: u16 = 8672;
/// Binary data receiver.
pub const RECEIVER: u16 = 9611;
/// Binary data receiver, authentication.
pub const RECEIVER_AUTH: u16 = 9711;
/// JMX registry.
pub const JMX_REGISTRY: u16 = 9999;
/// JMX server.
pub const JMX_SERVER: u16 = 11111;

/// One port of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The number, offset included.
    pub number: u16,
    /// The purpose, for display.
    pub purpose: &'static str,
    /// Whether every healthy node of the role listens on it.
    pub awaited: bool,
}

/// Returns `port` shifted by `offset`. Offsets are limited on input so that no port passes 65535.
#[must_use]
pub const fn shifted(port: u16, offset: u16) -> u16 {
    port.saturating_add(offset)
}

/// The largest offset: above it the JMX server's port would pass 65535.
pub const LARGEST_OFFSET: u16 = u16::MAX - JMX_SERVER;

/// Returns every port that a node of `role` may listen on.
#[must_use]
pub fn ports(role: Role, offset: u16) -> Vec<Port> {
    let mut table: Vec<(u16, &'static str, bool)> = vec![
        (HTTPS, "HTTPS", true),
        (HTTP, "HTTP", true),
        (JMX_REGISTRY, "JMX registry", false),
        (JMX_SERVER, "JMX server", false),
    ];
    if role.is_gateway() {
        table.extend([
            (GATEWAY_HTTPS, "API calls over HTTPS", true),
            (GATEWAY_HTTP, "API calls over HTTP", true),
            // Inbound endpoints open only after their artifacts are deployed, so they are no sign
            // of a started server.
            (WS, "WebSocket", false),
            (WSS, "WebSocket over TLS", false),
            (WEBSUB_HTTP, "WebSub", false),
            (WEBSUB_HTTPS, "WebSub over TLS", false),
        ]);
    }
    if role != Role::Gateway {
        // A key manager contains the control plane's bundles, so it probably opens these ports too.
        // They are unused there.
        let awaited = role != Role::KeyManager;
        table.extend([
            (BROKER, "broker", awaited),
            (BROKER_TLS, "broker over TLS", false),
            (RECEIVER, "data receiver", awaited),
            (RECEIVER_AUTH, "data receiver log-in", awaited),
        ]);
    }
    table
        .into_iter()
        .map(|(port, purpose, awaited)| Port { number: shifted(port, offset), purpose, awaited })
        .collect()
}

/// Returns the ports of `role` for clients and load balancers, without offset, each with its name.
#[must_use]
pub fn serving(role: Role) -> Vec<(&'static str, u16)> {
    let mut ports = vec![("https", HTTPS), ("http", HTTP)];
    if role.is_gateway() {
        ports.extend([
            ("gateway_https", GATEWAY_HTTPS),
            ("gateway_http", GATEWAY_HTTP),
            ("ws", WS),
            ("wss", WSS),
            ("websub_http", WEBSUB_HTTP),
            ("websub_https", WEBSUB_HTTPS),
        ]);
    }
    ports
}

/// Returns ports in the kernel's list format: sorted, with ranges, such as `5672,9610-9612`.
#[must_use]
pub fn ranges(ports: &[u16]) -> String {
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports.dedup();
    let runs = ports.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let texts = runs.filter_map(|run| match (run.first()?, run.last()?) {
        (first, last) if first == last => Some(first.to_string()),
        (first, last) => Some(format!("{first}-{last}")),
    });
    texts.collect::<Vec<_>>().join(",")
}

/// Parses a port list of the kernel; invalid parts are skipped.
#[must_use]
pub fn in_ranges(list: &str) -> Vec<std::ops::RangeInclusive<u16>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_lists_use_the_kernel_format() {
        assert_eq!(ranges(&[9612, 5672, 9611, 9610, 5672, 65535]), "5672,9610-9612,65535");
        assert_eq!(ranges(&[]), "");
        assert_eq!(in_ranges("5672,9610-9612, x,"), [5672..=5672, 9610..=9612]);
    }

    #[test]
    fn largest_offset_keeps_ports_valid() {
        for role in Role::ALL {
            let numbers: Vec<u16> = ports(role, LARGEST_OFFSET).iter().map(|p| p.number).collect();
            let distinct: std::collections::BTreeSet<u16> = numbers.iter().copied().collect();
            assert_eq!(numbers.len(), distinct.len(), "{role}: duplicate port");
        }
    }

    #[test]
    fn broker_and_api_ports_depend_on_the_role() {
        let numbers = |role| ports(role, 0).iter().map(|p| p.number).collect::<Vec<_>>();
        assert!(!numbers(Role::Gateway).contains(&BROKER));
        assert!(!numbers(Role::TrafficManager).contains(&GATEWAY_HTTPS));
        assert!(numbers(Role::ControlPlane).contains(&RECEIVER_AUTH));
    }
}
