//! Reads plays.

use super::files::Files;
use super::keyword_reader::{KeywordReader, plain_text};
use super::keywords::{PLAY, instead};
use super::model::{Batch, Play, Strategy};
use super::task;
use apim_product::yaml::{self, Key, Kind, Mistakes, Node, Span, nearest};

/// Returns the plays of the playbook `name`, which is referenced at `span`.
pub(super) fn playbook(name: &str, span: &Span, files: &mut Files<'_>) -> Vec<Play> {
    let Some((name, text)) = files.text(name, span, true) else { return Vec::new() };
    let Some(()) = files.enter(&name, span) else { return Vec::new() };
    let plays = plays(&name, &text, files);
    files.leave();
    plays
}

/// Returns the plays in `text`, the content of the file `name`.
pub(super) fn plays(name: &str, text: &str, files: &mut Files<'_>) -> Vec<Play> {
    match yaml::parse(name, text) {
        Ok(node) => plays_of(&node, files),
        Err(found) => {
            files.mistakes.0.extend(found.0);
            Vec::new()
        }
    }
}

fn plays_of(root: &Node, files: &mut Files<'_>) -> Vec<Play> {
    let items = match &root.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null => {
            files.mistakes.add_hint(&root.span, "the playbook is empty", "start with `- hosts: …`");
            &[]
        }
        _ => {
            let what = format!("a playbook must be a list of plays, not {}", root.describe());
            files.mistakes.add_hint(&root.span, what, "start each play with `- name: …`");
            &[]
        }
    };
    items.iter().flat_map(|item| play(item, files)).collect()
}

fn play(node: &Node, files: &mut Files<'_>) -> Vec<Play> {
    let Kind::Map(entries) = &node.kind else {
        files.mistakes.add(&node.span, format!("a play must be a map, not {}", node.describe()));
        return Vec::new();
    };
    for (key, _) in entries {
        check_keyword(key, files.mistakes);
    }
    let imported =
        ["import_playbook", "ansible.builtin.import_playbook"].iter().find_map(|key| node.get(key));
    if let Some(name) = imported {
        return import(node, name, files);
    }
    let mut take = KeywordReader { node, mistakes: files.mistakes };
    let Some(hosts) = node.get("hosts").filter(|hosts| hosts.kind != Kind::Null) else {
        files.mistakes.add_hint(
            &node.span,
            "this play has no `hosts`",
            "add `hosts:` with a group, a host or a pattern",
        );
        return Vec::new();
    };
    let hosts = pattern(hosts, take.mistakes);
    let name = take.text("name").unwrap_or_else(|| hosts.as_text().unwrap_or_default());
    let tags = take.tags();
    let mut play = Play {
        name,
        escalate: take.flag("become"),
        become_user: node.get("become_user").cloned(),
        serial: serial(node, take.mistakes),
        max_fail_percentage: percentage(node, take.mistakes),
        any_errors_fatal: take.flag("any_errors_fatal").unwrap_or(false),
        strategy: strategy(node, take.mistakes),
        variables: take.variables(),
        tags,
        tasks: Vec::new(),
        span: node.span.clone(),
        hosts,
    };
    let no_log = take.flag("no_log").unwrap_or(false);
    take.method();
    if let Some(Node { kind: Kind::Bool(true), span }) = node.get("gather_facts") {
        take.mistakes.add_hint(
            span,
            "gathering facts is not supported",
            "write `gather_facts: false`, and set values in the inventory",
        );
    }
    play.tasks = task::tasks(node.get("tasks"), &play.tags, files);
    if no_log {
        play.tasks.iter_mut().for_each(|task| task.options.no_log = true);
    }
    vec![play]
}

fn check_keyword(key: &Key, mistakes: &mut Mistakes) {
    let word = key.text.strip_prefix("ansible.builtin.").unwrap_or(&key.text);
    if PLAY.contains(&word) {
        return;
    }
    let hint = match (instead(word), nearest(word, PLAY)) {
        (Some(instead), _) => instead.to_owned(),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("known keywords: {}", PLAY.join(", ")),
    };
    mistakes.add_hint(&key.span, format!("unsupported play keyword `{word}`"), hint);
}

fn import(node: &Node, name: &Node, files: &mut Files<'_>) -> Vec<Play> {
    let mut take = KeywordReader { node, mistakes: files.mistakes };
    let (tags, variables) = (take.tags(), take.variables());
    for (key, _) in node.entries().unwrap_or_default() {
        let word = key.text.as_str();
        if PLAY.contains(&word) && !["name", "tags", "vars", "import_playbook"].contains(&word) {
            take.mistakes.add(&key.span, format!("`{word}` cannot be used with `import_playbook`"));
        }
    }
    let Some(name_text) = plain_text(name, "the name of a playbook", files.mistakes) else {
        return Vec::new();
    };
    let mut plays = playbook(&name_text, &name.span, files);
    for play in &mut plays {
        play.tags.extend(tags.iter().cloned());
        play.tasks.iter_mut().for_each(|task| task.options.tags.extend(tags.iter().cloned()));
        let own = std::mem::replace(&mut play.variables, variables.clone());
        for (key, value) in own {
            play.variables.retain(|(other, _)| other.text != key.text);
            play.variables.push((key, value));
        }
    }
    plays
}

/// Reads `hosts`. A list is joined to one pattern, as in Ansible.
fn pattern(node: &Node, mistakes: &mut Mistakes) -> Node {
    let text = match &node.kind {
        Kind::List(items) => {
            let texts: Option<Vec<String>> = items.iter().map(Node::as_text).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => node.as_text(),
    };
    match text {
        Some(text) if !text.trim().is_empty() => {
            let templated = yaml::looks_templated(&text);
            Node { kind: Kind::Text { text, templated }, span: node.span.clone() }
        }
        _ => {
            mistakes.add(&node.span, format!("`hosts` must be a host pattern, not {}", node.describe()));
            node.clone()
        }
    }
}

fn serial(node: &Node, mistakes: &mut Mistakes) -> Vec<Batch> {
    let Some(serial) = node.get("serial") else { return Vec::new() };
    let items = match &serial.kind {
        Kind::Null => return Vec::new(),
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(serial),
    };
    let mut batches = Vec::new();
    for item in items {
        let text = item.as_text().unwrap_or_default();
        let batch = match text.strip_suffix('%') {
            Some(percent) => {
                percent.trim().parse().ok().filter(|p| (1..=100).contains(p)).map(Batch::Percent)
            }
            None => text.parse().ok().filter(|count| *count > 0).map(Batch::Hosts),
        };
        match batch {
            Some(batch) => batches.push(batch),
            None => mistakes.add_hint(
                &item.span,
                format!("`serial` must be a number of hosts or a percentage, not `{text}`"),
                "for example 1, \"25%\" or a list of these",
            ),
        }
    }
    batches
}

fn percentage(node: &Node, mistakes: &mut Mistakes) -> Option<u8> {
    let value = node.get("max_fail_percentage").filter(|value| value.kind != Kind::Null)?;
    let text = value.as_text().unwrap_or_default();
    let percent = text.trim_end_matches('%').trim().parse().ok().filter(|percent| *percent <= 100);
    if percent.is_none() {
        mistakes.add(&value.span, format!("`max_fail_percentage` must be from 0 to 100, not `{text}`"));
    }
    percent
}

fn strategy(node: &Node, mistakes: &mut Mistakes) -> Strategy {
    let Some(value) = node.get("strategy") else { return Strategy::Free };
    match value.as_text().as_deref().map(|text| text.rsplit('.').next().unwrap_or(text)) {
        Some("free") => Strategy::Free,
        Some("linear") => Strategy::Linear,
        other => {
            let what = format!("unknown strategy `{}`", other.unwrap_or("?"));
            mistakes.add_hint(
                &value.span,
                what,
                "supported: free (each host independently), linear (all hosts task by task)",
            );
            Strategy::Free
        }
    }
}
