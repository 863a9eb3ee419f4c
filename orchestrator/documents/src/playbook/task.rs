//! Reads tasks: keywords, the module, imported task files.

use super::files::Files;
use super::generic::GenericName;
use super::keyword_reader::{KeywordReader, plain_text};
use super::keywords::{TASK, instead};
use super::model::{GenericTask, Module, Task};
use apim_product::yaml::{Key, Kind, MapReader, Mistakes, Node, nearest};
use apim_product::{ApimTask, Gate, Role, ServiceState, StepOptions};

/// Reads a list of tasks and adds `tags` to each.
pub(super) fn tasks(list: Option<&Node>, tags: &[String], files: &mut Files<'_>) -> Vec<Task> {
    let Some(list) = list else { return Vec::new() };
    let items = match &list.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null => &[],
        _ => {
            files.mistakes.add(&list.span, format!("`tasks` must be a list, not {}", list.describe()));
            &[]
        }
    };
    let mut tasks: Vec<Task> = items.iter().flat_map(|item| task(item, files)).collect();
    for task in &mut tasks {
        task.options.tags.extend(tags.iter().cloned());
    }
    tasks
}

fn short(word: &str) -> &str {
    word.strip_prefix("ansible.builtin.").or_else(|| word.strip_prefix("ansible.legacy.")).unwrap_or(word)
}

fn task(node: &Node, files: &mut Files<'_>) -> Vec<Task> {
    let Kind::Map(entries) = &node.kind else {
        files.mistakes.add(&node.span, format!("a task must be a map, not {}", node.describe()));
        return Vec::new();
    };
    let modules: Vec<&(Key, Node)> =
        entries.iter().filter(|(key, _)| !TASK.contains(&key.text.as_str())).collect();
    let import = entries.iter().find(|(key, _)| short(&key.text) == "import_tasks");
    if let Some((_, name)) = import {
        for (key, _) in modules.iter().filter(|(key, _)| short(&key.text) != "import_tasks") {
            files.mistakes.add(&key.span, format!("`{}` cannot be used with `import_tasks`", key.text));
        }
        return imported(node, name, files);
    }
    let known: Vec<&&(Key, Node)> = modules.iter().filter(|(key, _)| is_module(short(&key.text))).collect();
    for (key, _) in modules.iter().filter(|(key, _)| !is_module(short(&key.text))) {
        unknown(key, files.mistakes);
    }
    let (key, options) = match known.as_slice() {
        [one] => (&one.0, &one.1),
        [] => {
            if modules.is_empty() {
                files.mistakes.add_hint(
                    &node.span,
                    "this task has no module",
                    "add a module, for example `apim_configuration:`",
                );
            }
            return Vec::new();
        }
        [_, second, ..] => {
            let what = format!("second module `{}` in one task", second.0.text);
            files.mistakes.add_hint(&second.0.span, what, "move it to a separate task");
            return Vec::new();
        }
    };
    let mut module = module(key, options, node.get("args"), files.mistakes);
    let mut task = keywords(node, key, files.mistakes);
    let is_command = matches!(&module, Module::Generic(task) if matches!(task.name, GenericName::Command | GenericName::Shell));
    if task.changes.is_some() && !is_command {
        let hint = "other modules detect changes themselves";
        files.mistakes.add_hint(&key.span, "only `command` and `shell` support `changed_when`", hint);
    }
    if let Module::Generic(generic) = &mut module {
        generic.name.check(&generic.options, files.mistakes);
    }
    task.module = module;
    vec![task]
}

fn is_module(word: &str) -> bool {
    ApimTask::names().any(|name| name == word) || GenericName::find(word).is_some()
}

fn unknown(key: &Key, mistakes: &mut Mistakes) {
    let word = short(&key.text);
    let known = TASK.iter().copied().chain(ApimTask::names()).chain(GenericName::names());
    let hint = match (instead(word), nearest(word, known)) {
        (Some(instead), _) => instead.to_owned(),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => {
            let modules: Vec<&str> = ApimTask::names().chain(GenericName::names()).collect();
            format!("known modules: {}", modules.join(", "))
        }
    };
    mistakes.add_hint(&key.span, format!("unsupported task keyword or module `{word}`"), hint);
}

fn module(key: &Key, options: &Node, args: Option<&Node>, mistakes: &mut Mistakes) -> Module {
    let word = short(&key.text);
    match GenericName::find(word) {
        Some(name) => Module::Generic(GenericTask { name, options: name.options(options, args, mistakes) }),
        None => Module::Apim(apim(word, options, mistakes)),
    }
}

fn apim(word: &str, options: &Node, mistakes: &mut Mistakes) -> ApimTask {
    let mut reader = MapReader::new(options, word, mistakes);
    let task = match word {
        "apim_service" => ApimTask::Service(
            choice(reader.require("state", mistakes), &ServiceState::WORDS, mistakes)
                .unwrap_or(ServiceState::Installed),
            role(&mut reader, mistakes),
        ),
        "apim_health" => ApimTask::Health(
            choice(reader.require("gate", mistakes), &Gate::WORDS, mistakes).unwrap_or(Gate::Started),
            role(&mut reader, mistakes),
        ),
        "apim_rollback" => ApimTask::Rollback(role(&mut reader, mistakes)),
        // `is_module` has checked the name. The other modules have no options.
        _ => ApimTask::plain(word).unwrap_or(ApimTask::Account),
    };
    reader.finish(mistakes);
    task
}

/// Reads `role`, which limits a task to the nodes of one role.
fn role(reader: &mut MapReader<'_>, mistakes: &mut Mistakes) -> Option<Role> {
    choice(reader.take("role"), &Role::ALL.map(|role| (role.group(), role)), mistakes)
}

fn choice<T: Copy>(node: Option<&Node>, words: &[(&'static str, T)], mistakes: &mut Mistakes) -> Option<T> {
    let node = node?;
    let text = node.as_text().unwrap_or_default();
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let what = format!("invalid value `{text}`, expected one of: {}", known.join(", "));
        match nearest(&text, known) {
            Some(near) => mistakes.add_hint(&node.span, what, format!("did you mean `{near}`?")),
            None => mistakes.add(&node.span, what),
        }
    }
    found
}

/// Reads all keywords of a task except its module, which the caller sets.
fn keywords(node: &Node, module: &Key, mistakes: &mut Mistakes) -> Task {
    let name = match node.get("name").filter(|name| name.kind != Kind::Null) {
        Some(name) => name.clone(),
        None => Node {
            kind: Kind::Text { text: short(&module.text).to_owned(), templated: false },
            span: module.span.clone(),
        },
    };
    let mut take = KeywordReader { node, mistakes };
    take.method();
    Task {
        name,
        module: Module::Apim(ApimTask::Account),
        when: conditions(node),
        items: node.get("loop").cloned(),
        variables: take.variables(),
        options: StepOptions {
            tags: take.tags(),
            ignore_failure: take.flag("ignore_errors").unwrap_or(false),
            check_only: check_only(&mut take),
            no_log: take.flag("no_log").unwrap_or(false),
            retries: take.number("retries", 100).unwrap_or(0),
            delay_secs: take.number("delay", 3600).unwrap_or(5),
        },
        escalate: take.flag("become"),
        escalate_at: node.get("become").map(|value| value.span.clone()),
        become_user: node.get("become_user").cloned(),
        run_once: take.flag("run_once").unwrap_or(false),
        on_localhost: localhost(node, take.mistakes),
        changes: take.flag("changed_when"),
        span: node.span.clone(),
    }
}

fn conditions(node: &Node) -> Vec<Node> {
    match node.get("when") {
        None => Vec::new(),
        Some(Node { kind: Kind::List(items), .. }) => items.clone(),
        Some(condition) => vec![condition.clone()],
    }
}

fn localhost(node: &Node, mistakes: &mut Mistakes) -> bool {
    if let Some(connection) = node.get("connection") {
        mistakes.add_hint(
            &connection.span,
            "`connection` is not supported for a task",
            "write `delegate_to: localhost`",
        );
    }
    let Some(value) = node.get("delegate_to") else { return false };
    let is_local = matches!(value.as_text().as_deref(), Some("localhost" | "127.0.0.1"));
    if !is_local {
        let hint = "use a separate play for the other host";
        mistakes.add_hint(&value.span, "a task can only be delegated to `localhost`", hint);
    }
    is_local
}

fn check_only(take: &mut KeywordReader<'_, '_>) -> bool {
    let mode = take.flag("check_mode");
    if mode == Some(false) {
        let span =
            take.node.get("check_mode").map_or_else(|| take.node.span.clone(), |node| node.span.clone());
        take.mistakes.add_hint(
            &span,
            "a task cannot make changes in check mode",
            "remove `check_mode: false`",
        );
    }
    mode == Some(true)
}

fn imported(node: &Node, name: &Node, files: &mut Files<'_>) -> Vec<Task> {
    let mut take = KeywordReader { node, mistakes: files.mistakes };
    let (tags, variables) = (take.tags(), take.variables());
    let (escalate, no_log) = (take.flag("become"), take.flag("no_log").unwrap_or(false));
    let ignore_errors = take.flag("ignore_errors").unwrap_or(false);
    for key in ["loop", "retries", "delay", "run_once", "delegate_to", "check_mode", "changed_when", "args"] {
        if let Some(value) = node.get(key) {
            take.mistakes.add(&value.span, format!("`{key}` cannot be used with `import_tasks`"));
        }
    }
    // Ansible also accepts a map with `file`.
    let name = name.get("file").unwrap_or(name);
    let Some(text) = plain_text(name, "the name of a task file", files.mistakes) else { return Vec::new() };
    let Some(list) = files.tasks(&text, &name.span) else { return Vec::new() };
    let mut tasks = tasks(Some(&list), &tags, files);
    files.leave();
    for task in &mut tasks {
        task.when.splice(0..0, conditions(node));
        let own = std::mem::replace(&mut task.variables, variables.clone());
        task.variables.retain(|(key, _)| !own.iter().any(|(other, _)| other.text == key.text));
        task.variables.extend(own);
        if task.escalate.is_none() && escalate.is_some() {
            task.escalate = escalate;
            task.escalate_at = node.get("become").map(|value| value.span.clone());
        }
        task.become_user = task.become_user.take().or_else(|| node.get("become_user").cloned());
        task.options.no_log |= no_log;
        task.options.ignore_failure |= ignore_errors;
    }
    tasks
}
