//! Which nodes go from which release to which, as a look at the hosts found it; and what that means for the databases.

use std::path::PathBuf;

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::State;
use apim_protocol::outcome::{Outcome, ReleaseChange};
use apim_protocol::value::Sha256;
use serde_json::json;

use crate::apim::release::Version;
use crate::apim::{Artifact, ArtifactName, Cluster, Node, Role};
use crate::artifact::Cache;
use crate::database::{SchemaChange, schema_changes};
use crate::engine::{HostEnd, RunResult};
use crate::plan::model::{Plan, Step};
use crate::report::Style;
use crate::report::table::{Paint, Table};

/// How many tables and columns are named one by one.
const NAMED: usize = 12;

/// One node's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// The node, for people.
    pub(super) node: String,
    pub(super) moved: ReleaseChange,
}

/// What a look at a way back found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) moves: Vec<Move>,
    /// Nodes that cannot go.
    pub(super) refused: Vec<String>,
}

/// Returns the nodes that an apply would start from another release than the one in use.
pub(super) fn upgrades(plan: &Plan, result: &RunResult) -> Vec<Move> {
    let is_it =
        |step: &Step| matches!(step.operation(), Some(Operation::Unit(unit)) if unit.state == State::Started);
    found(plan, result, &is_it).moves
}

/// Returns the nodes that would go back.
pub(super) fn reverts(plan: &Plan, result: &RunResult) -> Found {
    found(plan, result, &|step| matches!(step.operation(), Some(Operation::Revert(_))))
}

fn found(plan: &Plan, result: &RunResult, is_it: &dyn Fn(&Step) -> bool) -> Found {
    let mut found = Found::default();
    let steps = plan.stages.iter().flat_map(|stage| &stage.lanes).flat_map(|lane| &lane.steps);
    for step in steps.filter(|step| is_it(step)) {
        let node = node_of(&step.title);
        match result.outcomes.get(&step.id) {
            Some(Outcome::WouldChange(difference)) => {
                found.moves.extend(difference.release().map(|moved| Move { node, moved: moved.clone() }));
            }
            Some(Outcome::Failed(_)) => found.refused.push(node),
            _ => {}
        }
    }
    found
}

/// The words before the colon of a step's title are the node's.
pub(super) fn node_of(title: &str) -> String {
    title.split_once(": ").map_or(title, |(node, _)| node).to_owned()
}

/// Says whether a host could not be looked at.
pub(super) fn has_lost_hosts(result: &RunResult) -> bool {
    result.hosts.values().any(|host| matches!(host.end, HostEnd::Unreachable(..)))
}

/// Returns the plan without what only shows health: before a way back, that does not hold it up.
pub(super) fn without_proofs(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for lane in plan.stages.iter_mut().flat_map(|stage| &mut stage.lanes) {
        lane.steps.retain(|step| !step.proves_health);
    }
    plan
}

/// Returns a table of who goes where.
pub(super) fn table(moves: &[Move], style: Style) -> String {
    let mut table = Table::new(style, &["node", "from", "to"]);
    for Move { node, moved } in moves {
        let cell = |text: &str| (text.to_owned(), Paint::Plain);
        table.row([cell(node), cell(&moved.from), (moved.to.clone(), Paint::Change)]);
    }
    table.text()
}

/// Returns the same for programs.
pub(super) fn objects(moves: &[Move]) -> Vec<String> {
    let object = |one: &Move| {
        json!({"event": "move", "node": one.node, "from": one.moved.from, "to": one.moved.to}).to_string()
    };
    moves.iter().map(object).collect()
}

/// Returns what the databases need before these nodes may move, a paragraph for each pair of versions; empty where nobody moves.
pub(super) fn schemas(cluster: &Cluster, cache: &Cache, moves: &[Move]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let mut seen: Vec<(String, String)> = Vec::new();
    let rank = |one: &&Move| leading(cluster, one).map_or(usize::MAX, |node| role_rank(node.role));
    let mut ordered: Vec<&Move> = moves.iter().collect();
    // The control plane's zip has every script, so it is asked first.
    ordered.sort_by_key(rank);
    for one in ordered {
        let versions = (version(&one.moved.from), version(&one.moved.to));
        if versions.0 == versions.1 || seen.contains(&versions) {
            continue;
        }
        let Some(node) = leading(cluster, one) else { continue };
        told.push(paragraph(cluster, cache, node, one));
        seen.push(versions);
    }
    told
}

fn leading<'a>(cluster: &'a Cluster, one: &Move) -> Option<&'a Node> {
    cluster.nodes().iter().find(|node| node.words() == one.node)
}

const fn role_rank(role: Role) -> usize {
    match role {
        Role::ControlPlane | Role::AllInOne => 0,
        Role::KeyManager => 1,
        Role::Gateway => 2,
        Role::TrafficManager => 3,
    }
}

/// The name of a release begins with its version.
fn version(release: &str) -> String {
    release.split('-').next().unwrap_or(release).to_owned()
}

fn paragraph(cluster: &Cluster, cache: &Cache, node: &Node, one: &Move) -> String {
    let (from, to) = (version(&one.moved.from), version(&one.moved.to));
    let lead = format!("databases, {from} -> {to}: ");
    let unknown = |why: &str| {
        format!(
            "{lead}whether the schema differs is not known ({why}); compare dbscripts/ of both distributions, and have the \
             administrator of the databases bring them up to {to} before you go on"
        )
    };
    let Some(databases) = &node.settings.databases else { return unknown("no databases in the inventory") };
    let Some(old) = former_zip(cluster, cache, node, &one.moved.from) else {
        return unknown(&format!("the zip of {} is not at hand", one.moved.from));
    };
    let new = cluster.artifacts().into_iter().find(|artifact| artifact.sha256 == node.zip);
    let Some(new) = new.and_then(|artifact| cache.path_of(&artifact)) else {
        return unknown(&format!("the zip of {} is not at hand", one.moved.to));
    };
    match schema_changes(&old, &new, databases.kind) {
        Ok(changes) if changes.is_empty() => format!("{lead}the same schema, nothing to do"),
        Ok(changes) => format!(
            "{lead}the schema differs; the administrator of the databases must bring it up to {to} BEFORE the first node is \
             started from it (nothing is changed in a schema by this program)\n{}",
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
            let told = names.get(..NAMED).unwrap_or_default().join(", ");
            format!("{told} and {} more", more - NAMED)
        }
    };
    let mut parts = Vec::new();
    if !added.is_empty() {
        parts.push(format!("new: {}", list(added)));
    }
    if !removed.is_empty() {
        parts.push(format!("gone: {}", list(removed)));
    }
    if parts.is_empty() {
        parts.push("other statements (types, indexes, data)".to_owned());
    }
    format!("  {database} ({script}): {}", parts.join("; "))
}

/// Finds the zip that the release in use was made from: in the cache, or where the inventory has the zips of that version. The name of a
/// release ends with the beginning of its zip's digest; a file that does not have it is another one.
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
    fn changes_of_a_schema_are_named_up_to_a_number() {
        let names = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
        let change = |added, removed| SchemaChange {
            database: "apim_db",
            script: "dbscripts/apimgt/mysql.sql".to_owned(),
            added,
            removed,
        };
        let lead = "  apim_db (dbscripts/apimgt/mysql.sql): ";
        assert_eq!(words(&change(names(2), names(1))), format!("{lead}new: t0, t1; gone: t0"));
        assert_eq!(
            words(&change(Vec::new(), Vec::new())),
            format!("{lead}other statements (types, indexes, data)")
        );
        assert!(words(&change(names(20), Vec::new())).ends_with("t11 and 8 more"));
        assert_eq!(version("4.5.0-0a1b"), "4.5.0");
    }
}
