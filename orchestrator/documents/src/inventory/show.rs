//! Prints the inventory like `ansible-inventory`: `--list`, `--list --yaml`, `--graph`, `--host`.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::model::{Group, Host, Inventory};
use apim_product::yaml::{Kind, Node, Sealed, Value, to_value, write};

/// Returns `--list`: the JSON of Ansible's dynamic inventories. Secrets are not opened.
#[must_use]
pub fn list(inventory: &Inventory, hosts: &[&Host]) -> String {
    let shown: HashSet<&str> = hosts.iter().map(|host| host.name.0.as_str()).collect();
    let mut all = Map::new();
    if let Some(top) = inventory.group("all") {
        list_group(inventory, top, &shown, &mut all);
    }
    let mut variables = Map::new();
    for host in hosts {
        let json = to_json(&host.variables);
        if json.as_object().is_some_and(|map| !map.is_empty()) {
            variables.insert(host.name.0.clone(), json);
        }
    }
    all.insert("_meta".to_owned(), json!({"hostvars": variables, "profile": "inventory_legacy"}));
    pretty(&Json::Object(all))
}

fn list_group(inventory: &Inventory, group: &Group, shown: &HashSet<&str>, all: &mut Map<String, Json>) {
    let mut entry = Map::new();
    let hosts: Vec<&str> =
        group.hosts.iter().map(|host| host.0.as_str()).filter(|name| shown.contains(name)).collect();
    if group.name != "all" && !hosts.is_empty() {
        entry.insert("hosts".to_owned(), json!(hosts));
    }
    if !group.children.is_empty() {
        entry.insert("children".to_owned(), json!(group.children));
    }
    if !entry.is_empty() {
        all.insert(group.name.clone(), Json::Object(entry));
    }
    for child in group.children.iter().filter_map(|name| inventory.group(name)) {
        if !all.contains_key(&child.name) {
            list_group(inventory, child, shown, all);
        }
    }
}

/// Returns `--list --yaml`: a valid inventory file.
#[must_use]
pub fn list_yaml(inventory: &Inventory, hosts: &[&Host]) -> String {
    let shown: HashSet<&str> = hosts.iter().map(|host| host.name.0.as_str()).collect();
    let mut seen = Seen { shown, hosts: HashSet::new(), groups: HashSet::new() };
    let mut all = serde_yaml::Mapping::new();
    if let Some(top) = inventory.group("all") {
        yaml_group(inventory, top, &mut seen, &mut all);
    }
    write(&Value::Mapping(all))
}

/// What is already written. A host's variables and a group's content are written once.
struct Seen<'a> {
    shown: HashSet<&'a str>,
    hosts: HashSet<&'a str>,
    groups: HashSet<&'a str>,
}

fn yaml_group<'a>(
    inventory: &'a Inventory,
    group: &'a Group,
    seen: &mut Seen<'a>,
    into: &mut serde_yaml::Mapping,
) {
    let mut entry = serde_yaml::Mapping::new();
    let mut children = serde_yaml::Mapping::new();
    for child in group.children.iter().filter_map(|name| inventory.group(name)) {
        if seen.groups.insert(&child.name) {
            yaml_group(inventory, child, seen, &mut children);
        } else {
            children.insert(child.name.as_str().into(), serde_yaml::Mapping::new().into());
        }
    }
    if !children.is_empty() {
        entry.insert("children".into(), children.into());
    }
    let mut hosts = serde_yaml::Mapping::new();
    for name in group.hosts.iter().filter(|name| group.name != "all" && seen.shown.contains(name.0.as_str()))
    {
        let variables = match inventory.host(&name.0).filter(|_| seen.hosts.insert(&name.0)) {
            Some(host) => to_value(&host.variables, &sealed_yaml),
            None => serde_yaml::Mapping::new().into(),
        };
        hosts.insert(name.0.as_str().into(), variables);
    }
    if !hosts.is_empty() {
        entry.insert("hosts".into(), hosts.into());
    }
    if !entry.is_empty() {
        into.insert(group.name.as_str().into(), entry.into());
    }
}

/// Returns `--host`: the host's unrendered variables as JSON.
#[must_use]
pub fn host(host: &Host) -> String {
    pretty(&to_json(&host.variables))
}

/// Returns `--host --yaml`.
#[must_use]
pub fn host_yaml(host: &Host) -> String {
    write(&to_value(&host.variables, &sealed_yaml))
}

/// Returns `--graph`.
#[must_use]
pub fn graph(inventory: &Inventory) -> String {
    let mut lines = Vec::new();
    if let Some(top) = inventory.group("all") {
        graph_group(inventory, top, 0, &mut lines);
    }
    lines.join("\n")
}

fn graph_group(inventory: &Inventory, group: &Group, depth: usize, lines: &mut Vec<String>) {
    let line = |depth: usize, text: &str| match depth {
        0 => text.to_owned(),
        depth => format!("{}--{text}", "  |".repeat(depth)),
    };
    lines.push(line(depth, &format!("@{}:", group.name)));
    for child in group.children.iter().filter_map(|name| inventory.group(name)) {
        graph_group(inventory, child, depth + 1, lines);
    }
    if group.name != "all" {
        lines.extend(group.hosts.iter().map(|host| line(depth + 1, &host.0)));
    }
}

fn sealed_yaml(kind: &Kind) -> Value {
    let tagged = |tag: &str, text: &str| {
        let value = Value::String(text.to_owned());
        Value::Tagged(Box::new(serde_yaml::value::TaggedValue {
            tag: serde_yaml::value::Tag::new(tag),
            value,
        }))
    };
    match kind {
        Kind::Sealed(Sealed::Vault(text)) => tagged("vault", text),
        Kind::Sealed(Sealed::Env(name)) => tagged("env", name),
        Kind::Sealed(Sealed::File(path)) => tagged("file", path),
        _ => Value::String("****".to_owned()),
    }
}

fn to_json(node: &Node) -> Json {
    match &node.kind {
        Kind::Null => Json::Null,
        Kind::Bool(truth) => Json::Bool(*truth),
        Kind::Int(number) => json!(number),
        Kind::Float(number, _) => json!(number),
        // Ansible marks texts that look like a template but must not be rendered.
        Kind::Text { text, templated: false } if apim_product::yaml::looks_templated(text) => {
            json!({"__ansible_unsafe": text})
        }
        Kind::Text { text, .. } => json!(text),
        Kind::Secret(_) => json!("****"),
        Kind::Sealed(Sealed::Vault(text)) => json!({"__ansible_vault": text}),
        Kind::Sealed(Sealed::Env(name)) => json!({"__env": name}),
        Kind::Sealed(Sealed::File(path)) => json!({"__file": path}),
        Kind::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Kind::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.text.clone(), to_json(value))).collect())
        }
    }
}

/// Formats like Ansible: four spaces and sorted keys.
fn pretty(json: &Json) -> String {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, format);
    // Writing to memory cannot fail.
    let written = serde::Serialize::serialize(&sorted(json), &mut writer);
    written.ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default()
}

fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(entries.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
