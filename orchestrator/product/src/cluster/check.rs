//! Checks across all nodes.

use super::HostInput;
use crate::port;
use crate::release::Series;
use crate::role::Role;
use crate::settings::Settings;
use crate::settings::keystores::{IssuedSettings, KeystoreMode, Purpose};
use crate::topology::Node;
use crate::yaml::{Mistakes, Span};

/// Checks settings that must be the same on all nodes, because they affect traffic between nodes or
/// the shared databases.
pub(super) fn same_everywhere(nodes: &[Node], mistakes: &mut Mistakes) {
    let Some(first) = nodes.first() else { return };
    let mut differ = |what: &str, why: &str, is_same: &dyn Fn(&Settings, &Settings) -> bool| {
        if let Some(node) = nodes.iter().find(|node| !is_same(&first.settings, &node.settings)) {
            mistakes.add_hint(
                node.settings.place_of(what).unwrap_or(&node.place),
                format!("`apim.{what}` on `{}` differs from that on `{}`", node.host, first.host),
                format!("{why}: set it once, under `all`"),
            );
        }
    };
    differ("admin", "nodes use it to log in to each other", &|a, b| a.admin == b.admin);
    differ("endpoints", "every node must use the same names", &|a, b| {
        let names = |s: &Settings| {
            s.endpoints.iter().map(|(r, e)| (*r, e.name.clone(), e.port, e.calls)).collect::<Vec<_>>()
        };
        names(a) == names(b)
    });
    differ("environments", "control planes and gateways must use the same environments", &|a, b| {
        let names =
            |s: &Settings| s.environments.iter().map(|e| (e.name.value.clone(), e.kind)).collect::<Vec<_>>();
        names(a) == names(b)
    });
    differ("encryption_key", "nodes decrypt each other's secrets", &|a, b| {
        a.encryption_key == b.encryption_key
    });
    differ("broker_tls", "brokers and subscribers must use the same transport", &|a, b| {
        a.messaging.broker_tls == b.messaging.broker_tls
    });
    differ("oauth", "all nodes read the same tokens", &|a, b| a.features.oauth == b.features.oauth);
    differ("user_store", "all nodes use the same users", &|a, b| {
        let store = |s: &Settings| (s.features.user_store.kind, s.features.user_store.url.clone());
        store(a) == store(b)
    });
    differ("keystores", "the authority, passphrase and password are shared by the cluster", &|a, b| {
        let issued = |s: &Settings| s.keystores.issued.as_ref().map(IssuedSettings::shared);
        let password = |s: &Settings| {
            s.keystores.stores.first().map(|store| (store.password.clone(), store.kind, store.alias.clone()))
        };
        match (issued(a), issued(b)) {
            (None, None) => true,
            (one, other) => one == other && password(a) == password(b),
        }
    });
    differ("start_order", "the order applies to the whole cluster", &|a, b| a.start_order == b.start_order);
    shared_keystores(nodes, mistakes);
    one_allowance(nodes, mistakes);
}

/// Checks that a role has one disruption budget.
fn one_allowance(nodes: &[Node], mistakes: &mut Mistakes) {
    let allowance = |node: &Node| node.own.max_unavailable.as_ref().map(|at| at.value);
    for (at, node) in nodes.iter().enumerate() {
        let mut before = nodes.iter().take(at).filter(|other| other.role == node.role);
        let Some(other) = before.next().filter(|other| allowance(other) != allowance(node)) else { continue };
        let group = node.role.group();
        let given = [node, other].into_iter().find_map(|node| node.own.max_unavailable.as_ref());
        mistakes.add_hint(
            given.map_or(&node.place, |at| &at.span),
            format!(
                "`apim.{group}.max_unavailable` on `{}` differs from that on `{}`",
                node.host, other.host
            ),
            format!("it applies to all nodes of the role: set it once, under `all` or `{group}`"),
        );
    }
}

/// Checks that the primary and internal keystores are the same on all nodes, which decrypt each
/// other's secrets (documentation, step 4).
fn shared_keystores(nodes: &[Node], mistakes: &mut Mistakes) {
    for purpose in [Purpose::Primary, Purpose::Internal] {
        let content = |node: &Node| {
            let store = node.settings.keystores.stores.iter().find(|s| s.purpose == purpose)?;
            let file = node.keystores.iter().find(|k| k.path.name() == store.file_name)?;
            Some((file.bytes.clone(), store.alias.clone()))
        };
        let Some(first) = nodes.first() else { return };
        if let Some(node) = nodes.iter().find(|node| content(node) != content(first)) {
            mistakes.add_hint(
                &node.settings.keystores.span,
                format!(
                    "`apim.keystores.{}` on `{}` differs from that on `{}`",
                    purpose.key(),
                    node.host,
                    first.host
                ),
                "use the same keystore on all nodes; only `tls` may differ",
            );
        }
    }
}

/// Checks the combination of roles.
pub(super) fn roles(hosts: &[HostInput], mistakes: &mut Mistakes) {
    let place = |host: Option<&HostInput>| host.map_or_else(Span::nowhere, |host| host.place.clone());
    let in_role =
        |role: Role| hosts.iter().find(move |h| h.groups.iter().any(|g| Role::of_group(g) == Some(role)));
    let has_role = |role: Role| in_role(role).is_some();
    if !Role::ALL.into_iter().any(has_role) {
        let groups: Vec<&str> = Role::ALL.iter().map(|role| role.group()).collect();
        mistakes.add_hint(
            &place(hosts.first()),
            "no host is in a role's group",
            format!("add hosts to the groups {}", groups.join(", ")),
        );
        return;
    }
    if has_role(Role::ControlPlane) && has_role(Role::AllInOne) {
        mistakes.add_hint(
            &place(in_role(Role::AllInOne)),
            "hosts are in both `control_plane` and `all_in_one`",
            "use only one of them: both run the event hub",
        );
    }
    if !has_role(Role::ControlPlane) && !has_role(Role::AllInOne) {
        mistakes.add_hint(
            &place(Role::ALL.into_iter().find_map(in_role)),
            "no host is in `control_plane` (or `all_in_one`)",
            "all other roles get their APIs, policies and events from it",
        );
    }
}

/// Checks that nodes on the same machine use different ports.
pub(super) fn ports(nodes: &[Node], mistakes: &mut Mistakes) {
    for (at, node) in nodes.iter().enumerate() {
        for other in nodes.iter().take(at) {
            let same_host = other.host == node.host;
            if !same_host && (node.address.is_none() || node.address != other.address) {
                continue;
            }
            let used = port::ports(other.role, other.offset);
            let clash = port::ports(node.role, node.offset)
                .into_iter()
                .find(|port| used.iter().any(|other| other.number == port.number));
            let Some(port) = clash else { continue };
            let what = format!(
                "{} and {} would both use port {} ({}){}",
                other.words(),
                node.words(),
                port.number,
                port.purpose,
                if same_host { "" } else { ": they have the same address" }
            );
            let mut hint =
                format!("set an offset for one of them: `{}: {{port_offset: 10}}`", node.role.group());
            if !same_host {
                hint.push_str(
                    "; if they are different machines, set their addresses with `apim: {address: …}`",
                );
            }
            let written = node.own.offset_span.as_ref().or(other.own.offset_span.as_ref());
            mistakes.add_hint(written.unwrap_or(&node.place), what, hint);
        }
    }
}

/// Checks that different zips have different digests.
pub(super) fn digests(nodes: &[Node], mistakes: &mut Mistakes) {
    for (at, node) in nodes.iter().enumerate() {
        let zip = node.version.zip(node.role);
        let other =
            nodes.iter().take(at).find(|other| other.zip == node.zip && other.version.zip(other.role) != zip);
        let Some(other) = other else { continue };
        mistakes.add_hint(
            &node.settings.distributions.span,
            format!("`{}` and `{zip}` have the same SHA-256", other.version.zip(other.role)),
            format!("set digests by file name: `sha256: {{{zip}: …}}`"),
        );
    }
}

/// Checks settings that depend on the version, and adds notes.
pub(super) fn releases(nodes: &[Node], mistakes: &mut Mistakes, notes: &mut Vec<String>) {
    for node in nodes {
        let needs_key = node.version.series() >= Series::V4_7;
        if needs_key && node.settings.encryption_key.is_none() {
            let span = node.settings.version.as_ref().map_or(&node.settings.span, |version| &version.span);
            mistakes.add_hint(
                span,
                format!("API Manager {} requires `apim.encryption_key`", node.version),
                "without it every node generates its own key at the first start and cannot decrypt the secrets of others; generate one with `openssl rand -hex 32`",
            );
        }
    }
    if let Some(node) =
        nodes.iter().find(|n| n.version.series() < Series::V4_7 && n.settings.encryption_key.is_some())
    {
        notes.push(format!("apim.encryption_key is not used by {} ({})", node.version, node.host));
    }
    if nodes.iter().any(|node| node.settings.keystores.mode == KeystoreMode::Shipped) {
        notes.push(
            "the keystores shipped with the product are used: their private key is public, and their certificate is only valid for localhost, so connections fail if host names are verified (docs/keystores.md)"
                .to_owned(),
        );
    }
    let ships_driver = |node: &Node| match &node.settings.databases {
        Some(databases) => databases.driver.is_some(),
        None => true,
    };
    if let Some(node) = nodes.iter().find(|node| !ships_driver(node)) {
        notes.push(format!(
            "apim.databases has no `driver` on {}, and the product does not include one: the zip must contain it",
            node.host
        ));
    }
    let databases = nodes.iter().filter_map(|node| node.settings.databases.as_ref());
    if let Some(databases) = databases.clone().find(|all| all.create.is_some() && !all.kind.is_spoken()) {
        notes.push(format!(
            "apim.databases.create: creating databases is not supported for {}; `apim-deploy databases INVENTORY --print-sql` \
             prints the statements for its administrator",
            databases.kind
        ));
    }
    if nodes.iter().any(|node| node.settings.databases.is_none()) {
        notes.push(
            "no databases are set: the node stores its data in H2 files, for evaluation only".to_owned(),
        );
    }
}
