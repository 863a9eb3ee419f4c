//! Release changes of nodes, found by checking the hosts, and the database changes they require.

use std::path::PathBuf;

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::State;
use apim_protocol::outcome;
use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;
use serde_json::json;

use crate::report::Style;
use crate::report::table::{Paint, Table};
use apim_product::NodeName;
use apim_product::release::Version;
use apim_product::{Artifact, ArtifactName, Cluster, Node, Role};
use apim_rollout::artifact::Cache;
use apim_rollout::engine::{HostEnd, RunResult};
use apim_rollout::local_tasks::database::{SchemaChange, schema_changes};
use apim_rollout::plan::model::{Plan, Step};

/// Maximum number of tables and columns to list by name.
const NAMED: usize = 12;

/// The release change of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseChange {
    pub(crate) node: NodeName,
    /// Title of the node, such as `gateway gw1`.
    pub(crate) title: String,
    pub(crate) moved: outcome::ReleaseChange,
}

impl ReleaseChange {
    /// Returns the release change of a node of `cluster`.
    pub(crate) fn of(cluster: &Cluster, node: &NodeName, moved: &outcome::ReleaseChange) -> Self {
        let known = cluster.nodes().iter().find(|known| known.name == *node);
        let title = known.map_or_else(|| node.0.clone(), Node::words);
        Self { node: node.clone(), title, moved: moved.clone() }
    }
}

/// The result of checking release changes.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) changes: Vec<ReleaseChange>,
    /// Nodes whose release cannot be changed.
    pub(crate) refused: Vec<NodeName>,
}

/// Returns the nodes that apply would move to another release.
pub(crate) fn upgrades(cluster: &Cluster, plan: &Plan, result: &RunResult) -> Vec<ReleaseChange> {
    let is_it =
        |step: &Step| matches!(step.operation(), Some(Operation::Unit(unit)) if unit.state == State::Started);
    found(cluster, plan, result, &is_it).changes
}

/// Returns the nodes that would be rolled back.
pub(crate) fn reverts(cluster: &Cluster, plan: &Plan, result: &RunResult) -> Found {
    found(cluster, plan, result, &|step| matches!(step.operation(), Some(Operation::Revert(_))))
}

fn found(cluster: &Cluster, plan: &Plan, result: &RunResult, is_it: &dyn Fn(&Step) -> bool) -> Found {
    let mut found = Found::default();
    let steps = plan.lanes().flat_map(|lane| &lane.steps);
    for step in steps.filter(|step| is_it(step)) {
        let Some(node) = &step.node else { continue };
        match result.outcomes.get(&step.id) {
            Some(Outcome::WouldChange(difference)) => {
                let moved = difference.release();
                found.changes.extend(moved.map(|moved| ReleaseChange::of(cluster, node, moved)));
            }
            Some(Outcome::Failed(_)) => found.refused.push(node.clone()),
            _ => {}
        }
    }
    found
}

/// Returns whether a host was unreachable.
pub(crate) fn has_unreachable_hosts(result: &RunResult) -> bool {
    result.hosts.values().any(|host| matches!(host.end, HostEnd::Unreachable(..)))
}

/// Returns the plan without health checks: a failed one must not block a rollback.
pub(crate) fn without_proofs(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for lane in plan.stages.iter_mut().flat_map(|stage| &mut stage.lanes) {
        lane.steps.retain(|step| !step.proves_health);
    }
    plan
}

/// Renders a table of release changes.
pub(crate) fn table(changes: &[ReleaseChange], style: Style) -> String {
    let mut table = Table::new(style, &["node", "from", "to"]);
    for ReleaseChange { title, moved, .. } in changes {
        let cell = |text: &str| (text.to_owned(), Paint::Plain);
        table.row([cell(title), cell(&moved.from), (moved.to.clone(), Paint::Change)]);
    }
    table.text()
}

/// Returns one JSON object per release change.
pub(crate) fn objects(changes: &[ReleaseChange]) -> Vec<String> {
    let object = |one: &ReleaseChange| {
        json!({"event": "move", "node": one.title, "from": one.moved.from, "to": one.moved.to}).to_string()
    };
    changes.iter().map(object).collect()
}

/// Returns a paragraph on the required database changes for each pair of versions.
pub(crate) fn schemas(cluster: &Cluster, cache: &Cache, changes: &[ReleaseChange]) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut seen: Vec<(String, String)> = Vec::new();
    let rank = |one: &&ReleaseChange| node_of(cluster, one).map_or(usize::MAX, |node| role_rank(node.role));
    let mut ordered: Vec<&ReleaseChange> = changes.iter().collect();
    // The control plane zip contains every script, so it comes first.
    ordered.sort_by_key(rank);
    for one in ordered {
        let versions = (version(&one.moved.from), version(&one.moved.to));
        if versions.0 == versions.1 || seen.contains(&versions) {
            continue;
        }
        let Some(node) = node_of(cluster, one) else { continue };
        paragraphs.push(paragraph(cluster, cache, node, one));
        seen.push(versions);
    }
    paragraphs
}

fn node_of<'a>(cluster: &'a Cluster, one: &ReleaseChange) -> Option<&'a Node> {
    cluster.nodes().iter().find(|node| node.name == one.node)
}

const fn role_rank(role: Role) -> usize {
    match role {
        Role::ControlPlane | Role::AllInOne => 0,
        Role::KeyManager => 1,
        Role::Gateway => 2,
        Role::TrafficManager => 3,
    }
}

/// Returns the version of a release name such as `4.6.0-11111111`.
fn version(release: &str) -> String {
    release.split('-').next().unwrap_or(release).to_owned()
}

fn paragraph(cluster: &Cluster, cache: &Cache, node: &Node, one: &ReleaseChange) -> String {
    let (from, to) = (version(&one.moved.from), version(&one.moved.to));
    let lead = format!("databases, {from} -> {to}: ");
    let unknown = |why: &str| {
        format!(
            "{lead}cannot compare the schemas ({why}); compare dbscripts/ of both distributions, and have the database \
             administrator migrate the schema to {to} before you continue"
        )
    };
    let Some(databases) = &node.settings.databases else { return unknown("no databases in the inventory") };
    let Some(old) = former_zip(cluster, cache, node, &one.moved.from) else {
        return unknown(&format!("the zip of {} is not available locally", one.moved.from));
    };
    let new = cluster.artifacts().into_iter().find(|artifact| artifact.sha256 == node.zip);
    let Some(new) = new.and_then(|artifact| cache.path_of(&artifact)) else {
        return unknown(&format!("the zip of {} is not available locally", one.moved.to));
    };
    match schema_changes(&old, &new, databases.kind) {
        Ok(changes) if changes.is_empty() => format!("{lead}the schema is the same, nothing to do"),
        Ok(changes) => format!(
            "{lead}the schema differs; the database administrator must migrate it to {to} BEFORE the first node starts \
             with {to} (apim-deploy does not change schemas)\n{}",
            changes.iter().map(words).collect::<Vec<_>>().join("\n")
        ),
        Err(failure) => unknown(&failure.what),
    }
}

fn words(change: &SchemaChange) -> String {
    let SchemaChange { database, script, added, removed } = change;
    let list = |names: &[String]| match names.len() {
        0..=NAMED => names.join(", "),
        more => {
            let listed = names.get(..NAMED).unwrap_or_default().join(", ");
            format!("{listed} and {} more", more - NAMED)
        }
    };
    let mut parts = Vec::new();
    if !added.is_empty() {
        parts.push(format!("added: {}", list(added)));
    }
    if !removed.is_empty() {
        parts.push(format!("removed: {}", list(removed)));
    }
    if parts.is_empty() {
        parts.push("other statements (types, indexes, data)".to_owned());
    }
    format!("  {database} ({script}): {}", parts.join("; "))
}

/// Finds the zip of the release in use: in the cache, or at the location of that version in the
/// inventory. A release name ends with a prefix of the zip's digest, which the file must match.
fn former_zip(cluster: &Cluster, cache: &Cache, node: &Node, release: &str) -> Option<PathBuf> {
    let (text, beginning) = release.split_once('-')?;
    let version = Version::parse(text).ok()?;
    let name = version.zip(node.role);
    if let Some(path) = cache.find(beginning, &name) {
        return Some(path);
    }
    let like = cluster.artifacts().into_iter().find(|artifact| artifact.sha256 == node.zip)?;
    let source = node.settings.distributions.locate(node.role, &version)?;
    let path = cache.path_of(&Artifact { name: ArtifactName(name), source, ..like })?;
    let mut file = std::fs::File::open(&path).ok()?;
    let digest: Sha256 = Sha256::of_reader(&mut file).ok()?;
    digest.to_string().starts_with(beginning).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_schema_changes_are_shortened() {
        let names = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
        let change = |added, removed| SchemaChange {
            database: "apim_db",
            script: "dbscripts/apimgt/mysql.sql".to_owned(),
            added,
            removed,
        };
        let lead = "  apim_db (dbscripts/apimgt/mysql.sql): ";
        assert_eq!(words(&change(names(2), names(1))), format!("{lead}added: t0, t1; removed: t0"));
        assert_eq!(
            words(&change(Vec::new(), Vec::new())),
            format!("{lead}other statements (types, indexes, data)")
        );
        assert!(words(&change(names(20), Vec::new())).ends_with("t11 and 8 more"));
        assert_eq!(version("4.5.0-0a1b"), "4.5.0");
    }
}
