//! Compares rendered files with the documentation's samples and with the topology.

mod databases;

use toml_edit::{DocumentMut, Item};

mod every_role;
mod settings;
mod topology;
mod world;

use super::render;
use crate::role::Role;
use crate::testing::{HA, SINGLE, basics, cluster, hosts, node};

/// Returns the value at `path` (`a.b[0].'c.d'`) as JSON.
fn at(document: &DocumentMut, path: &str) -> Option<serde_json::Value> {
    let mut item: &Item = document.as_item();
    let mut rest = path;
    while !rest.is_empty() {
        let (key, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'')?,
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        item = item.get(key)?;
        rest = after;
        if let Some(indexed) = rest.strip_prefix('[') {
            let (index, after) = indexed.split_once(']')?;
            item = item.get(index.parse::<usize>().ok()?)?;
            rest = after;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    json(item)
}

fn json(item: &Item) -> Option<serde_json::Value> {
    fn value(from: &toml_edit::Value) -> serde_json::Value {
        match from {
            toml_edit::Value::String(text) => text.value().as_str().into(),
            toml_edit::Value::Integer(number) => (*number.value()).into(),
            toml_edit::Value::Boolean(truth) => (*truth.value()).into(),
            toml_edit::Value::Array(items) => items.iter().map(value).collect(),
            other => panic!("unexpected value: {other}"),
        }
    }
    item.as_value().map(value)
}

fn rendered(text: &str, host: &str) -> DocumentMut {
    let cluster = cluster(text);
    render(&cluster, node(&cluster, host)).text.parse().expect("TOML")
}

fn texts(text: &str, host: &str, path: &str) -> Vec<String> {
    let found = at(&rendered(text, host), path).unwrap_or_else(|| panic!("{host}: no {path}"));
    found.as_array().expect("a list").iter().map(|item| item.as_str().expect("strings").to_owned()).collect()
}

fn text(inventory: &str, host: &str, path: &str) -> String {
    match at(&rendered(inventory, host), path) {
        Some(serde_json::Value::String(text)) => text,
        other => panic!("{host}: {path} is {other:?}"),
    }
}

/// One value of the documentation's samples.
struct Sample {
    tab: &'static str,
    group: &'static str,
    path: &'static str,
    expected: serde_json::Value,
}

fn samples() -> Vec<Sample> {
    let lines = include_str!("seed.tsv").lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [tab, group, path, value] = fields.as_slice() else { panic!("{line}") };
        Sample { tab, group, path, expected: serde_json::from_str(value).expect("JSON") }
    };
    lines.map(sample).collect()
}

#[test]
fn documented_samples_are_rendered() {
    let samples = samples();
    let mut compared = 0;
    let tabs = [("ha", HA), ("single", SINGLE)];
    for (version, (tab, inventory)) in every_role::VERSIONS.into_iter().flat_map(|v| tabs.map(|t| (v, t))) {
        let cluster = cluster(&every_role::of_version(inventory, version));
        for role in [Role::KeyManager, Role::Gateway, Role::ControlPlane, Role::TrafficManager] {
            let first = cluster.of(role).next().expect("a node of each role");
            let document: DocumentMut = render(&cluster, first).text.parse().expect("TOML");
            for Sample { path, expected, .. } in
                samples.iter().filter(|sample| sample.tab == tab && sample.group == role.group())
            {
                assert_eq!(at(&document, path).as_ref(), Some(expected), "{version} {tab} {role}: {path}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3 * samples.len(), "sample lines without a matching cluster");
}

#[test]
fn duplicate_urls_exclude_the_node_itself() {
    let duplicate = "apim.event_hub.event_duplicate_url";
    assert_eq!(texts(HA, "apim-cp-1", duplicate), ["tcp://apim-cp-2:5672"]);
    assert_eq!(texts(HA, "apim-cp-2", duplicate), ["tcp://apim-cp-1:5672"]);
    let duplicate = "apim.throttling.event_duplicate_url";
    assert_eq!(texts(HA, "traffic-manager-1", duplicate), ["tcp://traffic-manager-2:5672"]);
    assert_eq!(texts(HA, "traffic-manager-2", duplicate), ["tcp://traffic-manager-1:5672"]);
    for host in ["apim-cp-1", "apim-cp-2"] {
        assert_eq!(texts(HA, host, "apim.event_hub.publish.url_group[0].urls"), ["tcp://apim-cp-1:9611"]);
        assert_eq!(
            texts(HA, host, "apim.event_hub.publish.url_group[1].auth_urls"),
            ["ssl://apim-cp-2:9711"]
        );
    }
}

#[test]
fn peer_offsets_shift_every_port() {
    let inventory = basics(
        "  endpoints: {control_plane: api.example, gateway: gw.example, traffic_manager: tm.example, key_manager: 'km.example:8443'}\n",
    ) + &hosts(&[
        "cp1 control_plane | {control_plane: {port_offset: 1}}",
        "cp2 control_plane | {control_plane: {port_offset: 2}}",
        "tm1 traffic_manager | {traffic_manager: {port_offset: 10}}",
        "gw1 gateway | {gateway: {port_offset: 3}}",
        "km1 key_manager",
    ]);
    assert_eq!(
        texts(&inventory, "gw1", "apim.event_hub.event_listening_endpoints"),
        ["tcp://cp1:5673", "tcp://cp2:5674"]
    );
    assert_eq!(texts(&inventory, "gw1", "apim.throttling.throttle_decision_endpoints"), ["tcp://tm1:5682"]);
    assert_eq!(
        texts(&inventory, "gw1", "apim.throttling.url_group[0].traffic_manager_auth_urls"),
        ["ssl://tm1:9721"]
    );
    assert_eq!(texts(&inventory, "cp2", "apim.event_hub.event_duplicate_url"), ["tcp://cp1:5673"]);
    assert_eq!(
        texts(&inventory, "cp2", "apim.event_hub.event_listening_endpoints"),
        ["tcp://localhost:5674"]
    );
    assert_eq!(text(&inventory, "gw1", "apim.key_manager.service_url"), "https://km.example:8443/services/");
    assert_eq!(text(&inventory, "tm1", "apim.event_hub.service_url"), "https://api.example/services/");
    // A single gateway with an endpoint name and no port uses its own ports, with the offset.
    assert_eq!(
        text(&inventory, "cp1", "apim.gateway.environment[0].service_url"),
        "https://gw.example:9446/services/"
    );
    assert_eq!(
        text(&inventory, "cp1", "apim.gateway.environment[0].https_endpoint"),
        "https://gw.example:8246"
    );
    assert_eq!(text(&inventory, "cp1", "apim.gateway.environment[0].ws_endpoint"), "ws://gw.example:9102");
}

#[test]
fn control_planes_replace_missing_roles() {
    let inventory = basics("  endpoints: {control_plane: api.example}\n")
        + &hosts(&["cp1 control_plane", "cp2 control_plane", "gw1 gateway"]);
    assert_eq!(text(&inventory, "gw1", "apim.key_manager.service_url"), "https://api.example/services/");
    assert_eq!(
        texts(&inventory, "gw1", "apim.throttling.throttle_decision_endpoints"),
        ["tcp://cp1:5672", "tcp://cp2:5672"]
    );
    assert_eq!(texts(&inventory, "cp1", "apim.throttling.event_duplicate_url"), ["tcp://cp2:5672"]);
    assert_eq!(
        at(&rendered(&inventory, "cp1"), "apim.key_manager.service_url"),
        None,
        "the node itself is the default"
    );
}

#[test]
fn environments_match_labels() {
    let inventory = basics(
        "  endpoints: {control_plane: api.example}
  environments:
    - {name: Production, type: production, endpoint: gw.example}
    - {name: Sandbox, type: sandbox, display_name: Try it, websub: true}
",
    ) + &hosts(&[
        "cp1 control_plane",
        "p1 gateway | {gateway: {environment: Production}}",
        "p2 gateway | {gateway: {environment: [Production, Sandbox]}}",
    ]);
    assert_eq!(texts(&inventory, "p1", "apim.sync_runtime_artifacts.gateway.gateway_labels"), ["Production"]);
    assert_eq!(
        texts(&inventory, "p2", "apim.sync_runtime_artifacts.gateway.gateway_labels"),
        ["Production", "Sandbox"]
    );
    assert_eq!(text(&inventory, "p1", "server.hostname"), "gw.example");
    let environment =
        |key: &str| at(&rendered(&inventory, "cp1"), &format!("apim.gateway.environment[{key}"));
    assert_eq!(environment("0].https_endpoint"), Some("https://gw.example".into()));
    assert_eq!(environment("0].show_as_token_endpoint_url"), Some(true.into()));
    assert_eq!(environment("1].show_as_token_endpoint_url"), Some(false.into()));
    // The sandbox has one gateway and no endpoint, so the gateway's own name is used.
    assert_eq!(environment("1].service_url"), Some("https://p2:9443/services/".into()));
    assert_eq!(environment("1].websub_event_receiver_http_endpoint"), Some("http://p2:9021".into()));
    assert_eq!(environment("1].display_name"), Some("Try it".into()));
}

#[test]
fn config_keys_are_merged_last_and_overrides_reported() {
    let inventory = basics(
        "  config:
    server: {mode: single}
    apim:
      event_hub: {service_url: 'https://elsewhere/services/'}
      cors: {allow_origins: 'https://a.example'}
  gateway:
    config:
      apim: {cors: {allow_origins: 'https://b.example'}}
      passthru_http: {'http.socket.timeout': 60000}
",
    ) + &hosts(&["cp1 control_plane", "gw1 gateway"]);
    assert_eq!(text(&inventory, "gw1", "apim.cors.allow_origins"), "https://b.example");
    assert_eq!(text(&inventory, "cp1", "apim.cors.allow_origins"), "https://a.example");
    assert_eq!(text(&inventory, "gw1", "server.mode"), "single");
    assert_eq!(text(&inventory, "gw1", "server.hostname"), "gw1", "other keys are kept");
    assert_eq!(at(&rendered(&inventory, "gw1"), "passthru_http.'http.socket.timeout'"), Some(60000.into()));
    let cluster = cluster(&inventory);
    let overridden = render(&cluster, node(&cluster, "gw1")).overridden;
    let overridden: Vec<String> = overridden
        .iter()
        .map(|one| format!("{}: {} -> {} (line {})", one.key, one.derived, one.configured, one.span.line))
        .collect();
    assert_eq!(
        overridden,
        [
            "apim.event_hub.service_url: \"https://cp1:9443/services/\" -> \"https://elsewhere/services/\" (line 16)",
            "apim.cors.allow_origins: \"*\" -> \"https://b.example\" (line 20)",
        ]
    );
}

#[test]
fn values_in_xml_are_escaped() {
    let inventory = basics("  databases: {}\n")
        .replace("  databases: {}\n", "")
        .replace("password: sharedadmin", "password: 'a&b<c'")
        .replace(
            "    host: db.wso2.com\n",
            "    host: db.wso2.com\n    options: {useSSL: false, allowPublicKeyRetrieval: true}\n",
        )
        + &hosts(&["cp1 control_plane"]);
    assert_eq!(text(&inventory, "cp1", "database.shared_db.password"), "<![CDATA[a&b<c]]>");
    assert_eq!(text(&inventory, "cp1", "database.apim_db.password"), "apimadmin");
    assert_eq!(
        text(&inventory, "cp1", "database.apim_db.url"),
        "jdbc:mysql://db.wso2.com:3306/apim_db?allowPublicKeyRetrieval=true&amp;useSSL=false"
    );
    let cluster = cluster(&inventory);
    let secrets = render(&cluster, node(&cluster, "cp1")).secrets;
    for secret in ["a&b<c", "<![CDATA[a&b<c]]>", "apimadmin", "admin", "wso2carbon"] {
        assert!(secrets.iter().any(|known| known.expose() == secret), "{secret} is not masked");
    }
}

#[test]
fn digest_depends_on_values() {
    let digest = |text: &str, host: &str| {
        let cluster = cluster(text);
        render(&cluster, node(&cluster, host)).digest
    };
    assert_eq!(
        digest(HA, "gw-1"),
        digest(HA, "gw-2"),
        "gateways of an environment have the same configuration"
    );
    assert_ne!(digest(HA, "apim-cp-1"), digest(HA, "apim-cp-2"));
    let renamed = HA.replace("apim-cp-2:", "apim-cp-3:");
    assert_ne!(digest(HA, "gw-1"), digest(&renamed, "gw-1"));
    assert_eq!(
        digest(HA, "gw-1"),
        digest(&HA.replace("  java:", "  gateway: {heap: 2g}\n  java:"), "gw-1"),
        "the heap is not part of deployment.toml"
    );
}

#[test]
fn encryption_key_is_written_since_4_7() {
    let key = "ab".repeat(32);
    let inventory = basics(&format!("  encryption_key: {key}\n")).replace("4.6.0", "4.7.0")
        + &hosts(&["cp1 control_plane"]);
    assert_eq!(text(&inventory, "cp1", "encryption.key"), key);
    let older = inventory.replace("4.7.0", "4.6.0");
    assert_eq!(at(&rendered(&older, "cp1"), "encryption.key"), None);
    assert!(cluster(&older).notes().iter().any(|note| note.contains("encryption_key")));
}
