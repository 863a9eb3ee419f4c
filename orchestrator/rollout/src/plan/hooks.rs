//! Hooks of external load balancers, rendered for each node. All errors are found before any host
//! is contacted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use apim_documents::inventory::{Inventory, pattern};
use apim_documents::template::Scope;
use apim_product::hook::{Action, Call, Hook, Hooks, OPERATOR, RUN};
use apim_product::settings::hooks::{Read, Reading};
use apim_product::yaml::{self, Key, Kind, Mistakes, Span};
use apim_product::{Cluster, FileReader, Node, NodeName, port};

#[cfg(test)]
mod tests;

/// Returns the hooks of every node that has hooks.
///
/// # Errors
/// All errors in the hooks, once each.
pub fn read(
    inventory: &Inventory,
    cluster: &Cluster,
    files: &dyn FileReader,
) -> Result<BTreeMap<NodeName, Arc<Hooks>>, Mistakes> {
    let mut found = Mistakes::default();
    let mut all = BTreeMap::new();
    for node in cluster.nodes() {
        let Some(host) = inventory.host(&node.host) else { continue };
        let node_hooks = NodeHooks { inventory, node, scope: &host.scope, later: &host.later, files };
        if let Some(hooks) = node_hooks.hooks(&mut found) {
            all.insert(node.name.clone(), Arc::new(hooks));
        }
    }
    if all.is_empty() && found.0.is_empty() {
        report_unused(inventory, &mut found);
    }
    let mut mistakes = Mistakes::default();
    for mistake in found.0 {
        if !mistakes.0.contains(&mistake) {
            mistakes.0.push(mistake);
        }
    }
    if mistakes.0.is_empty() { Ok(all) } else { Err(mistakes) }
}

/// Reports hooks that apply to no node: they would never be called.
fn report_unused(inventory: &Inventory, mistakes: &mut Mistakes) {
    let keys = inventory.hosts.iter().filter_map(|host| host.later.entries()).flatten();
    for (key, _) in keys {
        let what = format!("`apim.load_balancer.{}` applies to no node", key.text);
        let hint = "set hooks under `all` or for the groups of the nodes";
        mistakes.add_hint(&key.span, what, hint);
    }
}

struct NodeHooks<'a> {
    inventory: &'a Inventory,
    node: &'a Node,
    scope: &'a Scope,
    later: &'a yaml::Node,
    files: &'a dyn FileReader,
}

impl NodeHooks<'_> {
    fn hooks(&self, mistakes: &mut Mistakes) -> Option<Hooks> {
        self.check_pairs(mistakes);
        let hooks = Hooks {
            node: self.node.name.clone(),
            host: self.node.host.clone(),
            marker: self.node.home.drained.clone(),
            drain: self.of(Action::Drain, mistakes),
            drained: self.of(Action::Drained, mistakes),
            undrain: self.of(Action::Undrain, mistakes),
        };
        let is_any = hooks.all().next().is_some();
        is_any.then_some(hooks)
    }

    /// Checks that `drain` and `undrain` come in pairs.
    fn check_pairs(&self, mistakes: &mut Mistakes) {
        let key = |action: Action| {
            let entries = self.later.entries().unwrap_or_default();
            entries.iter().find(|(key, value)| key.text == action.word() && value.kind != Kind::Null)
        };
        for (given, needed, hint) in [
            (Action::Drain, Action::Undrain, "add `undrain` hooks"),
            (Action::Undrain, Action::Drain, "add `drain` hooks"),
            (Action::Drained, Action::Drain, "add `drain` hooks"),
        ] {
            if let (Some((at, _)), None) = (key(given), key(needed)) {
                let what = format!("`apim.load_balancer` has `{}` but no `{}`", given.word(), needed.word());
                mistakes.add_hint(&at.span, what, hint);
            }
        }
    }

    fn of(&self, action: Action, mistakes: &mut Mistakes) -> Vec<Hook> {
        let Some(raw) = self.later.get(action.word()) else { return Vec::new() };
        let scope = self.scope.with(variables(self.node, action));
        let facts = facts(self.node, action);
        let reading = Reading { action, facts: &facts, files: self.files };
        let known = mistakes.0.len();
        let mut hooks = Vec::new();
        // Continues after an error, so that all errors are found.
        for item in raw.items().unwrap_or(std::slice::from_ref(raw)) {
            match scope.render(item) {
                Ok(rendered) => {
                    let read = reading.hooks(&rendered, mistakes);
                    hooks.extend(read.into_iter().flat_map(|one| self.placed(one, mistakes)));
                }
                Err(found) => mistakes.0.extend(found.0),
            }
        }
        if hooks.is_empty() && mistakes.0.len() == known && raw.kind != Kind::Null {
            let what = format!("`apim.load_balancer.{}` contains no hook", action.word());
            mistakes.add_hint(&raw.span, what, "expected a hook or a list of hooks");
        }
        hooks
    }

    /// Expands a command hook to one hook per host of its pattern.
    fn placed(&self, (hook, on): Read, mistakes: &mut Mistakes) -> Vec<Hook> {
        let Some(pattern) = on else { return vec![hook] };
        let hosts = match pattern::select(self.inventory, &pattern.value, &pattern.span) {
            Ok(hosts) => hosts,
            Err(found) => {
                mistakes.0.extend(found.0);
                return Vec::new();
            }
        };
        if hosts.is_empty() {
            let what = format!("`hosts`: `{}` matches no host", pattern.value);
            mistakes.add_hint(
                &pattern.span,
                what,
                "expected a host or a group of this inventory; without `hosts` the command runs on the control machine",
            );
        }
        let on_host = |name: &str| {
            let mut hook = hook.clone();
            if let Call::Command(program) = &mut hook.call {
                program.on = Some(name.to_owned());
            }
            hook.words = format!("{} on {name}", hook.words);
            hook
        };
        hosts.into_iter().map(|host| on_host(&host.name.0)).collect()
    }
}

/// Returns the environment variables of a hook command.
fn facts(node: &Node, action: Action) -> BTreeMap<String, String> {
    let serving = port::serving(node.role);
    let numbers: Vec<String> = serving.iter().map(|(_, base)| node.port(*base).to_string()).collect();
    let mut facts = BTreeMap::from([
        ("APIM_ACTION".to_owned(), action.word().to_owned()),
        ("APIM_NODE".to_owned(), node.name.0.clone()),
        ("APIM_HOST".to_owned(), node.host.clone()),
        ("APIM_ADDRESS".to_owned(), node.reach()),
        ("APIM_ROLE".to_owned(), node.role.group().to_owned()),
        ("APIM_ENVIRONMENTS".to_owned(), node.environments.join(" ")),
        ("APIM_PORTS".to_owned(), numbers.join(" ")),
        ("APIM_RUN".to_owned(), RUN.to_owned()),
        ("APIM_OPERATOR".to_owned(), OPERATOR.to_owned()),
    ]);
    let ports = serving.into_iter().zip(numbers);
    facts.extend(
        ports.map(|((name, _), number)| (format!("APIM_{}_PORT", name.to_ascii_uppercase()), number)),
    );
    facts
}

/// Returns the template variables in addition to those of the node's host.
fn variables(node: &Node, action: Action) -> HashMap<String, yaml::Node> {
    let ports = port::serving(node.role);
    let ports = ports.into_iter().map(|(name, base)| (name, value(Kind::Int(i64::from(node.port(base))))));
    let environments = node.environments.iter().map(|name| text(name)).collect();
    let about = map([
        ("name", text(&node.name.0)),
        ("host", text(&node.host)),
        ("address", text(&node.reach())),
        ("role", text(node.role.group())),
        ("environments", value(Kind::List(environments))),
        ("ports", map(ports)),
    ]);
    let all =
        [("node", about), ("action", text(action.word())), ("run", text(RUN)), ("operator", text(OPERATOR))];
    all.map(|(name, node)| (name.to_owned(), node)).into()
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, yaml::Node)>) -> yaml::Node {
    let key = |text: &str| Key { text: text.to_owned(), span: Span::nowhere() };
    value(Kind::Map(entries.into_iter().map(|(name, node)| (key(name), node)).collect()))
}

fn text(text: &str) -> yaml::Node {
    value(Kind::Text { text: text.to_owned(), templated: false })
}

const fn value(kind: Kind) -> yaml::Node {
    yaml::Node { kind, span: Span::nowhere() }
}
