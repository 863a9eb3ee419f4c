//! Parses one inventory file: groups with `hosts`, `children`, `vars`.

use std::collections::HashMap;

use super::draft::Draft;
use super::range;
use apim_product::yaml::{Key, Kind, Mistakes, Node, Span, nearest};

const SECTIONS: [&str; 3] = ["hosts", "children", "vars"];

/// Reads a file's groups into the draft.
pub(super) fn read(root: &Node, draft: &mut Draft, mistakes: &mut Mistakes) {
    let entries = match &root.kind {
        Kind::Map(entries) if !entries.is_empty() => entries,
        Kind::Map(_) | Kind::Null => {
            mistakes.add_hint(
                &root.span,
                "the inventory is empty",
                "start with `all:`, `children:` and your groups",
            );
            return;
        }
        _ => {
            let what = format!("an inventory must be a map of groups, not {}", root.describe());
            mistakes.add_hint(&root.span, what, "start with `all:`");
            return;
        }
    };
    if let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "plugin") {
        let hint = "save its result with `ansible-inventory -i FILE --list --yaml > inventory.yaml`";
        mistakes.add_hint(&key.span, "inventory plugins are not supported", hint);
        return;
    }
    for (key, value) in entries {
        if SECTIONS.contains(&key.text.as_str()) {
            let what = format!("unexpected `{}` at the top level, expected a group", key.text);
            mistakes.add_hint(&key.span, what, "indent it below `all:`");
            continue;
        }
        let mut path = Vec::new();
        group(key, value, &mut Reading { draft, mistakes, path: &mut path });
    }
}

struct Reading<'a> {
    draft: &'a mut Draft,
    mistakes: &'a mut Mistakes,
    path: &'a mut Vec<String>,
}

fn group(key: &Key, value: &Node, reading: &mut Reading<'_>) {
    let name = key.text.as_str();
    if let Err(why) = range::check_group(name) {
        let hint = "rename the group; Ansible does not allow this name either";
        reading.mistakes.add_hint(&key.span, format!("the group name `{name}` {why}"), hint);
        return;
    }
    reading.draft.group(name, &key.span);
    let entries = match &value.kind {
        Kind::Map(entries) => entries.as_slice(),
        Kind::Null => {
            reading.draft.only_named.push(name.to_owned());
            return;
        }
        _ => {
            let what = format!("the group `{name}` must be a map, not {}", value.describe());
            reading.mistakes.add_hint(&value.span, what, "a group contains `hosts`, `children` and `vars`");
            return;
        }
    };
    reading.path.push(name.to_owned());
    for (section, content) in entries {
        match section.text.as_str() {
            "vars" => variables(name, content, reading),
            "children" => children(name, content, reading),
            "hosts" => hosts(name, content, reading),
            other => {
                let what = format!("unknown group section `{other}`");
                let hint = match nearest(other, SECTIONS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        "a group contains `hosts`, `children` and `vars`; put child groups below `children`"
                            .to_owned()
                    }
                };
                reading.mistakes.add_hint(&section.span, what, hint);
            }
        }
    }
    reading.path.pop();
}

/// Returns a section's entries. A single text is read as a map with that key, as in Ansible.
fn section(what: &str, group: &str, content: &Node, mistakes: &mut Mistakes) -> Vec<(Key, Node)> {
    match &content.kind {
        Kind::Map(entries) => entries.clone(),
        Kind::Null => Vec::new(),
        Kind::Text { text, .. } if what != "vars" => {
            let nothing = Node { kind: Kind::Null, span: content.span.clone() };
            vec![(Key { text: text.clone(), span: content.span.clone() }, nothing)]
        }
        Kind::List(_) if what != "vars" => {
            let text = format!("`{what}` of the group `{group}` must be a map, not a list");
            mistakes.add_hint(&content.span, text, "write `name:` instead of `- name`");
            Vec::new()
        }
        _ => {
            let text = format!("`{what}` of the group `{group}` must be a map, not {}", content.describe());
            mistakes.add(&content.span, text);
            Vec::new()
        }
    }
}

fn variables(group: &str, content: &Node, reading: &mut Reading<'_>) {
    for (key, value) in section("vars", group, content, reading.mistakes) {
        if key.text == "ansible_group_priority" {
            match value.as_text().and_then(|text| text.parse().ok()) {
                Some(priority) => reading.draft.group(group, &key.span).priority = priority,
                None => reading.mistakes.add(
                    &value.span,
                    format!("`ansible_group_priority` must be a whole number, not {}", value.describe()),
                ),
            }
            continue;
        }
        set(reading.draft.group_variables.entry(group.to_owned()).or_default(), key, value);
    }
}

/// Sets a variable. A later file overrides an earlier one.
pub(super) fn set(variables: &mut Vec<(Key, Node)>, key: Key, value: Node) {
    match variables.iter_mut().find(|(other, _)| other.text == key.text) {
        Some(entry) => *entry = (key, value),
        None => variables.push((key, value)),
    }
}

fn children(parent: &str, content: &Node, reading: &mut Reading<'_>) {
    for (key, value) in section("children", parent, content, reading.mistakes) {
        if reading.draft.has_group(&key.text) && reading.draft.reaches(&key.text, parent) {
            let path = cycle(reading.path, &key.text);
            let what = format!("the group `{}` contains itself: {path}", key.text);
            reading.mistakes.add_hint(&key.span, what, "remove one of these groups from `children`");
            continue;
        }
        if range::check_group(&key.text).is_ok() {
            reading.draft.group(&key.text, &key.span);
            reading.draft.child(parent, &key.text);
        }
        group(&key, &value, reading);
    }
}

fn cycle(path: &[String], name: &str) -> String {
    let from = path.iter().position(|group| group == name).unwrap_or(0);
    let steps = path.iter().skip(from).map(String::as_str).chain([name]);
    steps.collect::<Vec<_>>().join(" > ")
}

fn hosts(group: &str, content: &Node, reading: &mut Reading<'_>) {
    let mut named: HashMap<String, Span> = HashMap::new();
    for (key, value) in section("hosts", group, content, reading.mistakes) {
        let (names, port) = match range::expand(&key.text) {
            Ok(expanded) => expanded,
            Err(why) => {
                reading.mistakes.add(&key.span, format!("invalid host `{}`: {why}", key.text));
                continue;
            }
        };
        let entries = match &value.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => &[],
            _ => {
                let what = format!("the variables of `{}` must be a map, not {}", key.text, value.describe());
                reading.mistakes.add(&value.span, what);
                continue;
            }
        };
        for name in names {
            if let Some(first) = named.get(&name) {
                let what = format!(
                    "duplicate host `{name}` in the group `{group}`; first defined on line {}",
                    first.line
                );
                reading.mistakes.add_hint(&key.span, what, "keep one of the two");
                continue;
            }
            named.insert(name.clone(), key.span.clone());
            let host = reading.draft.host(&name, group, &key.span);
            if let Some(port) = port {
                let at = Key { text: "ansible_port".to_owned(), span: key.span.clone() };
                let port = Node { kind: Kind::Int(i64::from(port)), span: key.span.clone() };
                set(&mut host.variables, at, port);
            }
            for (key, value) in entries {
                set(&mut host.variables, key.clone(), value.clone());
            }
        }
    }
}
