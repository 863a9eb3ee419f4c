//! Binds a task to a host: evaluates conditions, unrolls loops, renders templates and converts
//! modules to operations.

use std::collections::HashMap;

use super::generic::{self, Site};
use super::model::{Module, Play, Task};
use crate::inventory::Host;
use crate::template::Scope;
use apim_product::yaml::{Key, Kind, Mistakes, Node, Span};
use apim_product::{ApimTask, Draft, StepOptions};

/// A task for one host, or one item of its loop.
#[derive(Debug, Clone)]
pub struct BoundTask {
    /// Display name. If it contains a secret, the unrendered name.
    pub title: String,
    /// The operations.
    pub work: Bound,
    /// How its steps are chosen, run and shown.
    pub options: StepOptions,
    /// `become` of the task or play; `None` if neither sets it. `ansible_become` of the host
    /// overrides it.
    pub escalate: Option<bool>,
    /// Position of the task's own `become`.
    pub escalate_at: Option<Span>,
    /// The account for commands (`become_user`).
    pub become_user: Option<String>,
    /// Position of `become_user`.
    pub become_user_at: Option<Span>,
    /// Whether only the first host of the batch runs it.
    pub run_once: bool,
    /// Whether it runs on the control machine.
    pub on_localhost: bool,
    /// Position of the task.
    pub span: Span,
}

/// The work of a bound task.
#[derive(Debug, Clone)]
pub enum Bound {
    /// An API Manager task. The plan converts it to operations, for which it needs the cluster.
    Apim(ApimTask),
    /// Operations of an Ansible module.
    Operations(Vec<Draft>),
    /// Nothing, because this condition is false.
    Skipped(String),
}

/// Returns the bound tasks of `task` on `host`, one for each loop item.
///
/// # Errors
/// All values that cannot be rendered or converted, with their positions.
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
        options: task.options.clone(),
        escalate: task.escalate.or(play.escalate),
        escalate_at: task.escalate_at.clone(),
        become_user: None,
        become_user_at: None,
        run_once: task.run_once,
        on_localhost: task.on_localhost,
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
                        Kind::Secret(_) => {
                            "`become_user` must not be a secret, because it is shown".to_owned()
                        }
                        _ => format!("`become_user` must be a text, not {}", user.describe()),
                    };
                    mistakes.add(&user.span, what);
                }
            }
            Err(found) => mistakes.0.extend(found.0),
        }
    }
    reject_unsupported_delegation(task, play, &bound, &mut mistakes);
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

/// One agent with one account runs all tasks of a host. Only commands can run as another account.
fn reject_unsupported_delegation(task: &Task, play: &Play, bound: &BoundTask, mistakes: &mut Mistakes) {
    let name = match &task.module {
        Module::Apim(apim) => apim.name(),
        Module::Generic(generic) => generic.name.word(),
    };
    let runs_as = matches!(&task.module, Module::Generic(generic) if generic.name.runs_as());
    let user = bound.become_user.as_deref().filter(|user| *user != "root" && !runs_as);
    if let (Some(user), Some(at)) = (user, become_user_of(task, play)) {
        let what = format!("`{name}` does not support `become_user: {user}`");
        let hint = match &task.module {
            Module::Apim(_) => {
                "it uses the account `apim.user`; set `become_user` only for `command` and `shell`"
            }
            Module::Generic(_) => "use `owner` and `group`; set `become_user` only for `command` and `shell`",
        };
        mistakes.add_hint(at, what, hint);
    }
    if let (Module::Apim(_), true) = (&task.module, task.on_localhost) {
        let hint = "remove `delegate_to`";
        mistakes.add_hint(
            &task.span,
            format!("`{name}` runs on the hosts of its nodes and cannot be delegated"),
            hint,
        );
    }
}

/// Returns the unrendered name, which contains no secret.
fn plain_name(task: &Task) -> String {
    task.name.as_text().unwrap_or_default()
}
