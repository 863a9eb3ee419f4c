//! Renders every role, single and highly available, in every version, and checks that the product
//! reads every key.

use toml_edit::{DocumentMut, Item};

use super::render;
use crate::catalogue;
use crate::cluster::Cluster;
use crate::config::SECTIONS;
use crate::config::context::RenderContext;
use crate::config::tree::Table;
use crate::role::Role;
use crate::testing::{HA, SINGLE, basics, cluster, hosts};
use crate::topology::Node;

pub(super) const VERSIONS: [&str; 3] = ["4.5.0", "4.6.0", "4.7.0"];

pub(super) fn of_version(inventory: &str, version: &str) -> String {
    let key = format!("apim:\n  encryption_key: {}\n", "ab".repeat(32));
    let inventory = inventory.replace("4.6.0", version);
    if version == "4.7.0" { inventory.replacen("apim:\n", &key, 1) } else { inventory }
}

/// A standalone all-in-one with H2 files, and a pair with a database server.
fn all_in_one() -> [(&'static str, String); 2] {
    let standalone = basics("").split("  databases:").next().map(str::to_owned).unwrap_or_default();
    let endpoints = "  endpoints: {control_plane: api.example, gateway: gw.example}\n";
    [
        ("all-in-one", standalone + &hosts(&["aio all_in_one"])),
        ("all-in-one-pair", basics(endpoints) + &hosts(&["aio1 all_in_one", "aio2 all_in_one"])),
    ]
}

/// Calls `visit` for every combination: its name, and the first node of each role.
fn each(visit: &mut dyn FnMut(&str, &Cluster, &Node)) {
    for version in VERSIONS {
        for (name, inventory) in [("ha", HA), ("single", SINGLE)] {
            let cluster = cluster(&of_version(inventory, version));
            for role in [Role::KeyManager, Role::Gateway, Role::ControlPlane, Role::TrafficManager] {
                let first = cluster.of(role).next().expect("a node of each role");
                visit(&format!("{name}-{version}-{}", role.component()), &cluster, first);
            }
        }
        for (name, inventory) in all_in_one() {
            let cluster = cluster(&of_version(&inventory, version));
            visit(&format!("{name}-{version}"), &cluster, cluster.of(Role::AllInOne).next().expect("one"));
        }
    }
}

#[test]
fn rendered_files_match_snapshots() {
    let mut rendered = 0;
    each(&mut |name, cluster, node| {
        insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, render(cluster, node).text);
        });
        rendered += 1;
    });
    assert_eq!(rendered, 3 * 10);
}

/// Collects the keys of a table that the product does not read, and counts the others.
fn unread(item: &Item, path: &mut Vec<String>, node: &Node, found: &mut Vec<String>, read: &mut usize) {
    let tables: Vec<&dyn toml_edit::TableLike> = match item {
        Item::ArrayOfTables(tables) => tables.iter().map(|table| table as _).collect(),
        _ => item.as_table_like().into_iter().collect(),
    };
    for table in tables {
        for (key, below) in table.iter() {
            path.push(key.to_owned());
            let segments: Vec<&str> = path.iter().map(String::as_str).collect();
            if catalogue::is_read(&segments, node.role, node.version.series()) {
                *read += 1;
                unread(below, path, node, found, read);
            } else {
                found.push(path.join("."));
            }
            path.pop();
        }
    }
}

/// Settings that render every optional key.
const EVERYTHING: &str = "  broker_tls: true
  event_hub: {distribution: failover}
  throttling: {distribution: loadbalance}
  node_ip: 10.0.0.99
  cors: {enabled: true, allow_origins: ['https://a.example'], expose_headers: [x], allow_credentials: true}
  devportal: {url: 'https://dev.example/devportal'}
  analytics: {type: elk, config_endpoint: 'https://a.example/auth', auth_token: t, properties: {moesifKey: k}}
  backend_jwt: {header: X-JWT, encoding: base64url, claim_dialect: 'http://c', signing_algorithm: SHA256withRSA, user_claims: true}
  mail: {host: mail.example, port: 587, from: a@b.example, reply_to: c@b.example, username: u, password: p}
  user_store: {type: read_write_ldap_unique_id, url: 'ldap://dir.example:389', username: 'cn=a', password: p}
  oauth: {encrypt_tokens: true}
  control_plane: {cache_invalidation_domain: control-plane-domain, proxy_port: 443}
  all_in_one: {cache_invalidation_domain: control-plane-domain, labels: [Extra], artifacts: {retrieval: sync}}
  traffic_manager: {skip_redeploying_policies: [p1]}
  gateway:
    labels: [Extra]
    artifacts: {retrieval: sync, retry_ms: 15000, event_waiting_ms: 5000, on_demand: true}
    skip_list: {apis: [a.xml], endpoints: [e.xml], sequences: [s.xml], local_entries: [l.xml]}
";

#[test]
fn every_section_renders_keys() {
    let settings = format!("{EVERYTHING}  hardening: {{jmx: off}}\n");
    let cluster = cluster(&HA.replacen("apim:\n", &format!("apim:\n{settings}"), 1));
    for (name, section) in SECTIONS {
        let mut root = Table::default();
        for node in cluster.nodes() {
            section(&RenderContext { cluster: &cluster, node }, &mut root);
        }
        assert!(!root.entries.is_empty(), "the section {name} renders no key");
    }
}

#[test]
fn product_reads_every_rendered_key() {
    let mut read = 0;
    let mut wrong = Vec::new();
    let mut check = |name: &str, cluster: &Cluster, node: &Node| {
        let document: DocumentMut = render(cluster, node).text.parse().expect("TOML");
        let mut found = Vec::new();
        unread(document.as_item(), &mut Vec::new(), node, &mut found, &mut read);
        wrong.extend(found.into_iter().map(|key| format!("{name}: {key}")));
    };
    each(&mut check);
    for version in VERSIONS {
        let environments = "  environments:\n    - {name: Default, display_name: D, visibility: [r], websub: true, virtual_hosts: [v.example]}\n";
        for (name, inventory) in
            [("ha", HA.to_owned()), ("single", SINGLE.to_owned()), all_in_one()[1].clone()]
        {
            let inventory = inventory.replacen("apim:\n", &format!("apim:\n{EVERYTHING}{environments}"), 1);
            let cluster = cluster(&of_version(&inventory, version));
            for node in cluster.nodes() {
                check(&format!("{name} {version} {} with everything", node.host), &cluster, node);
            }
        }
    }
    assert!(wrong.is_empty(), "not read by the product:\n{}", wrong.join("\n"));
    assert!(read > 5000, "only {read} keys were checked");
}
