//! What a task means on one host: conditions decided, loops unrolled, templates rendered, Ansible's modules lowered.

use std::collections::HashMap;

use super::generic::{self, Site};
use super::model::{Module, Play, Task};
use crate::apim::{ApimTask, Draft};
use crate::inventory::Host;
use crate::template::Scope;
use crate::yaml::{Key, Kind, Mistakes, Node, Span};

/// A task for one host, or one item of its loop.
#[derive(Debug, Clone)]
pub struct BoundTask {
    /// For people; masked where the task says `no_log` or its name holds a secret.
    pub title: String,
    /// What to do.
    pub work: Bound,
    /// All its tags.
    pub tags: Vec<String>,
    /// Whether the task runs with privilege; `None` leaves it to the connection. The host's own wish weighs more.
    pub escalate: Option<bool>,
    /// Where the task says `become` itself.
    pub escalate_at: Option<Span>,
    /// As whom commands run, where the author says so.
    pub become_user: Option<String>,
    /// Where that stands.
    pub become_user_at: Option<Span>,
    /// Whether nothing of it may be shown.
    pub no_log: bool,
    /// How often it is tried again after a failure, and seconds between tries.
    pub retries: u32,
    /// Seconds between tries.
    pub delay_secs: u32,
    /// Whether it is for the first host of the batch only.
    pub run_once: bool,
    /// Whether it is done on this machine.
    pub on_localhost: bool,
    /// Whether it looks only, whatever the run does.
    pub check_only: bool,
    /// Whether later tasks go on although it failed.
    pub ignore_failure: bool,
    /// Where the task stands.
    pub span: Span,
}

/// What a bound task does.
#[derive(Debug, Clone)]
pub enum Bound {
    /// A task that knows API Manager; the plan lowers it with the cluster.
    Apim(ApimTask),
    /// Operations.
    Operations(Vec<Draft>),
    /// Nothing, because this condition does not hold (or a loop has no items).
    Skipped(String),
}

/// Returns what `task` of `play` means on `host`, one entry an item.
///
/// # Errors
/// Everything in it that cannot be rendered or lowered, at its place.
pub fn bind(play: &Play, task: &Task, host: &Host) -> Result<Vec<BoundTask>, Mistakes> {
    let scope = host.scope.with(layer(&play.variables)).with(layer(&task.variables));
    let Some(items) = &task.items else {
        return one(task, play, &scope).map(|bound| vec![bound]);
    };
    let rendered = scope.render(items)?;
    let Kind::List(items) = rendered.kind else {
        let mut mistakes = Mistakes::default();
        mistakes.add(&rendered.span, format!("`loop` needs a list, not {}", rendered.describe()));
        return Err(mistakes);
    };
    let mut bound = Vec::new();
    let mut mistakes = Mistakes::default();
    for item in items {
        let scope = scope.with(HashMap::from([("item".to_owned(), item)]));
        match one(task, play, &scope) {
            Ok(one) => bound.push(one),
            Err(found) => mistakes.0.extend(found.0),
        }
    }
    if mistakes.0.is_empty() { Ok(bound) } else { Err(mistakes) }
}

fn layer(variables: &[(Key, Node)]) -> HashMap<String, Node> {
    variables.iter().map(|(key, value)| (key.text.clone(), value.clone())).collect()
}

fn one(task: &Task, play: &Play, scope: &Scope) -> Result<BoundTask, Mistakes> {
    let mut bound = BoundTask {
        title: String::new(),
        work: Bound::Skipped(String::new()),
        tags: task.tags.clone(),
        escalate: task.escalate.or(play.escalate),
        escalate_at: task.escalate_at.clone(),
        become_user: None,
        become_user_at: None,
        no_log: task.no_log,
        retries: task.retries,
        delay_secs: task.delay_secs,
        run_once: task.run_once,
        on_localhost: task.on_localhost,
        check_only: task.check_mode == Some(true),
        ignore_failure: task.ignore_errors,
        span: task.span.clone(),
    };
    for condition in &task.when {
        if !scope.holds(condition).map_err(|mistake| Mistakes(vec![mistake]))? {
            bound.title = plain_name(task);
            bound.work = Bound::Skipped(condition.as_text().unwrap_or_else(|| "false".to_owned()));
            return Ok(bound);
        }
    }
    let mut mistakes = Mistakes::default();
    match scope.render(&task.name) {
        Ok(name) => {
            bound.title = match (&name.kind, name.as_text()) {
                (Kind::Secret(_), _) | (_, None) => plain_name(task),
                (_, Some(name)) => name,
            }
        }
        Err(found) => mistakes.0.extend(found.0),
    }
    if let Some(user) = task.become_user.as_ref().or(play.become_user.as_ref()) {
        match scope.render(user) {
            Ok(user) => {
                bound.become_user = user.as_text();
                if bound.become_user.is_none() && user.kind != Kind::Null {
                    let what = match user.kind {
                        Kind::Secret(_) => "`become_user` must not be a secret: it is shown".to_owned(),
                        _ => format!("`become_user` must be a text, not {}", user.describe()),
                    };
                    mistakes.add(&user.span, what);
                }
            }
            Err(found) => mistakes.0.extend(found.0),
        }
    }
    refuse_what_cannot_be_honoured(task, play, &bound, &mut mistakes);
    bound.become_user_at = bound.become_user.as_ref().and_then(|_| become_user_of(task, play)).cloned();
    bound.work = match &task.module {
        Module::Apim(apim) => Bound::Apim(*apim),
        Module::Generic(module) => {
            let site = Site {
                title: &bound.title,
                scope,
                changes: task.changes,
                run_as: bound.become_user.as_deref(),
            };
            Bound::Operations(generic::lower(module, &site, &mut mistakes))
        }
    };
    if mistakes.0.is_empty() { Ok(bound) } else { Err(mistakes) }
}

fn become_user_of<'a>(task: &'a Task, play: &'a Play) -> Option<&'a Span> {
    task.become_user.as_ref().or(play.become_user.as_ref()).map(|user| &user.span)
}

/// One agent with one account does all of a host's tasks: commands can be run as somebody else, and nothing else can.
fn refuse_what_cannot_be_honoured(task: &Task, play: &Play, bound: &BoundTask, mistakes: &mut Mistakes) {
    let name = match &task.module {
        Module::Apim(apim) => apim.name(),
        Module::Generic(generic) => generic.name.word(),
    };
    let runs_as = matches!(&task.module, Module::Generic(generic) if generic.name.runs_as());
    let user = bound.become_user.as_deref().filter(|user| *user != "root" && !runs_as);
    if let (Some(user), Some(at)) = (user, become_user_of(task, play)) {
        let what = format!("`become_user: {user}` cannot be honoured by `{name}`");
        let hint = match &task.module {
            Module::Apim(_) => {
                "it knows its account from `apim.user`; leave `become_user` to `command` and `shell`"
            }
            Module::Generic(_) => "say `owner` and `group`, and leave `become_user` to `command` and `shell`",
        };
        mistakes.add_hint(at, what, hint);
    }
    if let (Module::Apim(_), true) = (&task.module, task.on_localhost) {
        let hint = "leave `delegate_to` out";
        mistakes.add_hint(&task.span, format!("`{name}` is done on the hosts of its nodes, not here"), hint);
    }
}

/// The name as the author wrote it: templates in it are not rendered, so no secret is in it.
fn plain_name(task: &Task) -> String {
    task.name.as_text().unwrap_or_default()
}
