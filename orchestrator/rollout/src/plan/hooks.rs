//! The hooks of load balancers, made for each node: templates over the node are rendered, and what is wrong is told before anything is
//! contacted.

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

/// Returns the hooks of every node that has some.
///
/// # Errors
/// Everything that is wrong with them, once each.
pub fn read(
    inventory: &Inventory,
    cluster: &Cluster,
    files: &dyn FileReader,
) -> Result<BTreeMap<NodeName, Arc<Hooks>>, Mistakes> {
    let mut found = Mistakes::default();
    let mut all = BTreeMap::new();
    for node in cluster.nodes() {
        let Some(host) = inventory.host(&node.host) else { continue };
        let making = Making { inventory, node, scope: &host.scope, later: &host.later, files };
        if let Some(hooks) = making.hooks(&mut found) {
            all.insert(node.name.clone(), Arc::new(hooks));
        }
    }
    if all.is_empty() && found.0.is_empty() {
        tell_unused(inventory, &mut found);
    }
    let mut mistakes = Mistakes::default();
    for mistake in found.0 {
        if !mistakes.0.contains(&mistake) {
            mistakes.0.push(mistake);
        }
    }
    if mistakes.0.is_empty() { Ok(all) } else { Err(mistakes) }
}

/// Hooks that no node has would look like hooks that are called.
fn tell_unused(inventory: &Inventory, mistakes: &mut Mistakes) {
    let keys = inventory.hosts.iter().filter_map(|host| host.later.entries()).flatten();
    for (key, _) in keys {
        let what = format!("`apim.load_balancer.{}` reaches no node", key.text);
        let hint = "hooks belong to the nodes that they are called for: set them under `all`, or for the nodes' groups";
        mistakes.add_hint(&key.span, what, hint);
    }
}

struct Making<'a> {
    inventory: &'a Inventory,
    node: &'a Node,
    scope: &'a Scope,
    later: &'a yaml::Node,
    files: &'a dyn FileReader,
}

impl Making<'_> {
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

    /// Who is taken out must be put back.
    fn check_pairs(&self, mistakes: &mut Mistakes) {
        let key = |action: Action| {
            let entries = self.later.entries().unwrap_or_default();
            entries.iter().find(|(key, value)| key.text == action.word() && value.kind != Kind::Null)
        };
        for (given, needed, hint) in [
            (Action::Drain, Action::Undrain, "say how a node is put back"),
            (Action::Undrain, Action::Drain, "say how a node is taken out before it is taken down"),
            (Action::Drained, Action::Drain, "say how a node is taken out before it is taken down"),
        ] {
            if let (Some((at, _)), None) = (key(given), key(needed)) {
                let what = format!("`apim.load_balancer` has `{}` and no `{}`", given.word(), needed.word());
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
        // One after the other, so that all mistakes are found.
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
            let what = format!("`apim.load_balancer.{}` holds no hook", action.word());
            mistakes.add_hint(&raw.span, what, "a hook, or a list of hooks");
        }
        hooks
    }

    /// A command runs on every host of its pattern, one after the other.
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
            let what = format!("`hosts`: no host is in `{}`", pattern.value);
            mistakes.add_hint(
                &pattern.span,
                what,
                "a host or a group of this inventory; without `hosts` it runs on this machine",
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

/// Returns what a command finds in its environment.
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

/// Returns what templates see beside the variables of the node's host.
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
