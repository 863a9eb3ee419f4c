//! For tests: clusters from a short text, as the inventory would hand them over.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use apim_protocol::value::Secret;

use super::cluster::{Cluster, FileReader, HostInput};
use super::topology::Node;
use crate::keystore::tests::{NOW, quick};
use crate::keystore::{self, Content, Format};
use crate::yaml::{self, Kind, Mistakes, Span};

/// The documentation's highly available cluster, under one set of names.
pub(crate) const HA: &str = include_str!("testing/ha.yaml");
/// The documentation's single nodes.
pub(crate) const SINGLE: &str = include_str!("testing/single.yaml");

/// Opens the keystores that `build` finds.
pub(crate) const KEYSTORE_PASSWORD: &str = "secret-of-keystores";

/// Builds the cluster of a text (`apim:` for all, `hosts:` with `address`, `groups`, `apim`). Keystores are what their file's name says
/// (`trust….jks` a truststore, any other with the key `a`), each another one, opened by `KEYSTORE_PASSWORD`.
pub(crate) fn build(text: &str) -> Result<Cluster, Mistakes> {
    let made = Mutex::new(BTreeMap::new());
    build_with(text, &|path: &str, _: &Span| match path {
        "missing.jks" => Err("no such file".to_owned()),
        _ => {
            let mut made = made.lock().expect("no panic");
            Ok(made.entry(path.to_owned()).or_insert_with(|| keystore_of(path)).clone())
        }
    })
}

fn keystore_of(path: &str) -> Vec<u8> {
    let identity = quick(&["localhost"], NOW, NOW + 1000);
    let content = if path.starts_with("trust") {
        Content::default().trusted("ca", identity.chain[0].clone())
    } else {
        Content::default().identity("a", identity)
    };
    let format = if path.ends_with(".p12") { Format::Pkcs12 } else { Format::Jks };
    keystore::write(format, None, &content, &Secret::new(KEYSTORE_PASSWORD)).expect("a keystore")
}

/// Builds the cluster of a text with these files.
pub(crate) fn build_with(text: &str, files: &dyn FileReader) -> Result<Cluster, Mistakes> {
    let root = yaml::parse("test.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let nothing = yaml::Node { kind: Kind::Map(Vec::new()), span: Span::nowhere() };
    let all = root.get("apim").unwrap_or(&nothing);
    let Some(Kind::Map(hosts)) = root.get("hosts").map(|node| &node.kind) else { panic!("no hosts") };
    let inputs: Vec<HostInput> = hosts
        .iter()
        .map(|(key, host)| HostInput {
            name: key.text.clone(),
            address: text_of(host, "address").unwrap_or_else(|| key.text.clone()),
            groups: text_of(host, "groups")
                .map(|groups| groups.split(' ').map(str::to_owned).collect())
                .unwrap_or_default(),
            apim: merged(all, host.get("apim").unwrap_or(&nothing)),
            place: key.span.clone(),
        })
        .collect();
    let mut mistakes = Mistakes::default();
    match Cluster::build(&inputs, files, &mut mistakes) {
        Some(cluster) => {
            assert!(mistakes.0.is_empty(), "a cluster with mistakes: {mistakes:?}");
            Ok(cluster)
        }
        None => Err(mistakes),
    }
}

/// Builds a cluster that must be without mistake.
pub(crate) fn cluster(text: &str) -> Cluster {
    build(text).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(yaml::Colours::Off)))
}

/// Returns the mistakes of a text, each as `line: what (hint)`.
pub(crate) fn mistakes(text: &str) -> Vec<String> {
    let mistakes = match build(text) {
        Ok(_) => return Vec::new(),
        Err(mistakes) => mistakes,
    };
    mistakes
        .in_order()
        .iter()
        .map(|m| match &m.hint {
            Some(hint) => format!("{}: {} ({hint})", m.span.line, m.what),
            None => format!("{}: {}", m.span.line, m.what),
        })
        .collect()
}

/// Returns the node on a host.
pub(crate) fn node<'a>(cluster: &'a Cluster, host: &str) -> &'a Node {
    cluster.nodes().iter().find(|node| node.host == host).unwrap_or_else(|| panic!("no node on {host}"))
}

/// The settings that every cluster needs and no test is about, for 4.6.0.
pub(crate) fn basics(more: &str) -> String {
    format!(
        "apim:
  version: 4.6.0
  distributions:
    source: zips
    sha256: {{control_plane: {one}, gateway: {two}, traffic_manager: {three}, all_in_one: {four}}}
  java: {{home: /opt/java}}
  admin: {{username: admin, password: admin}}
  databases:
    type: mysql
    host: db.wso2.com
    apim_db: {{password: apimadmin}}
    shared_db: {{password: sharedadmin}}
{more}",
        one = "1".repeat(64),
        two = "2".repeat(64),
        three = "3".repeat(64),
        four = "4".repeat(64),
    )
}

/// Returns hosts, each `name group`, with addresses 10.0.0.11 and on.
pub(crate) fn hosts(lines: &[&str]) -> String {
    let mut text = "hosts:\n".to_owned();
    for (line, last) in lines.iter().zip(11_u8..) {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (groups, apim) = rest.split_once(" | ").unwrap_or((rest, "{}"));
        let address = Ipv4Addr::new(10, 0, 0, last);
        text.push_str(&format!("  {name}: {{address: {address}, groups: '{groups}', apim: {apim}}}\n"));
    }
    text
}

fn text_of(node: &yaml::Node, key: &str) -> Option<String> {
    node.get(key).and_then(yaml::Node::as_text)
}

fn merged(base: &yaml::Node, over: &yaml::Node) -> yaml::Node {
    let (Kind::Map(base_entries), Kind::Map(over_entries)) = (&base.kind, &over.kind) else {
        return over.clone();
    };
    let mut entries = base_entries.clone();
    for (key, value) in over_entries {
        match entries.iter_mut().find(|(known, _)| known.text == key.text) {
            Some((_, old)) => *old = merged(old, value),
            None => entries.push((key.clone(), value.clone())),
        }
    }
    let span = if over_entries.is_empty() { base.span.clone() } else { over.span.clone() };
    yaml::Node { kind: Kind::Map(entries), span }
}
