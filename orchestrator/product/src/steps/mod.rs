//! Turns each task into operations: one file per task.

use apim_protocol::operation::Operation;
use apim_protocol::operation::block::Block;
use apim_protocol::query::Query;
use apim_protocol::query::examine::Examine;
use apim_protocol::value::AbsPath;

use super::audit;
use super::cluster::Cluster;
use super::files::{self, PlacedFile};
use super::health;
use super::hosts_file;
use super::preflight;
use super::role::Role;
use super::sealing;
use super::settings::secrets::SecretsMode;
use super::task::{ApimTask, Gate};
use super::topology::Node;

mod account;
mod database;
mod distribution;
mod draft;
mod driver;
mod hardening;
mod java;
mod load_balancer;
mod prune;
mod removal;
mod revert;
mod rotation;
mod service;
#[cfg(test)]
mod tests;

pub use draft::Draft;
pub use removal::removal;
pub use revert::BACK;
pub use rotation::rotation_change;

/// Returns the steps of `task` on `host`, in order; empty if the task does not apply to the host.
#[must_use]
pub fn lower(task: &ApimTask, cluster: &Cluster, host: &str) -> Vec<Draft> {
    let nodes: Vec<&Node> = cluster.nodes_on(host).collect();
    let each = |of: &dyn Fn(&Node) -> Vec<Draft>| nodes.iter().flat_map(|node| of(node)).collect();
    match task {
        ApimTask::Account => nodes.first().map(|node| account::lower(node)).unwrap_or_default(),
        ApimTask::Java => java::lower(&nodes),
        ApimTask::HostsFile => nodes.first().map(|node| hosts(cluster, node)).unwrap_or_default(),
        ApimTask::Hardening => nodes.first().map(|node| hardening::lower(cluster, node)).unwrap_or_default(),
        ApimTask::Preflight if nodes.is_empty() && !is_balancer(cluster, host) => Vec::new(),
        ApimTask::Preflight => vec![question("preflight", preflight::examine(cluster, host))],
        ApimTask::Audit if nodes.is_empty() => Vec::new(),
        ApimTask::Audit => vec![question("audit", audit::examine(cluster, host))],
        ApimTask::Database => database::lower(cluster, host),
        ApimTask::LoadBalancer => load_balancer::lower(cluster, host),
        ApimTask::DatabaseLogin => database::lower_login(cluster, host),
        ApimTask::Distribution => each(&distribution::lower),
        ApimTask::Keystores => each(&keystores),
        ApimTask::Driver => each(&driver::lower),
        ApimTask::Configuration => each(&|node| configuration(cluster, node)),
        ApimTask::Rollback(role) => {
            each(&|node| if is_of(node, *role) { revert::lower(cluster, node) } else { Vec::new() })
        }
        ApimTask::Prune => each(&prune::lower),
        ApimTask::Service(state, role) => {
            each(&|node| if is_of(node, *role) { service::lower(cluster, node, *state) } else { Vec::new() })
        }
        ApimTask::Health(gate, role) => {
            each(&|node| if is_of(node, *role) { healthy(cluster, node, *gate) } else { Vec::new() })
        }
    }
}

fn is_of(node: &Node, role: Option<Role>) -> bool {
    role.is_none_or(|role| role == node.role)
}

/// Returns a read-only step; the results are evaluated when all hosts have answered.
fn question(title: &str, examine: Examine) -> Draft {
    Draft::new(title, Query::Examine(examine))
}

fn is_balancer(cluster: &Cluster, host: &str) -> bool {
    crate::load_balancer::hosts(cluster).any(|one| one.name == host)
}

fn hosts(cluster: &Cluster, node: &Node) -> Vec<Draft> {
    let Ok(path) = AbsPath::parse("/etc/hosts") else { return Vec::new() };
    if !node.settings.hosts_file.enabled {
        return Vec::new();
    }
    let operation = Operation::Block(Block {
        path,
        marker: hosts_file::MARKER.to_owned(),
        lines: hosts_file::lines(cluster),
        create: true,
    });
    vec![Draft::new("names of the cluster in /etc/hosts", operation)]
}

fn keystores(node: &Node) -> Vec<Draft> {
    let mut drafts = vec![
        // The shipped keystores are world-readable; the mode of the folder restricts access.
        Draft::folder(
            format!("{}: keystores are private", node.words()),
            &node.home.security,
            0o700,
            files::owner(node),
        )
        .of(node),
    ];
    for file in files::keystores(node) {
        drafts.push(placed(node, format!("{}: keystore {}", node.words(), file.path.name()), file));
    }
    drafts
}

fn configuration(cluster: &Cluster, node: &Node) -> Vec<Draft> {
    let words = node.words();
    let files = sealing::files(cluster, node);
    let mut drafts: Vec<Draft> =
        files.into_iter().map(|file| placed(node, format!("{words}: {}", file.path.name()), file)).collect();
    drafts.push(match node.settings.secrets {
        SecretsMode::Plain | SecretsMode::Environment => {
            placed(node, format!("{words}: deployment.toml"), files::configuration(cluster, node))
        }
        SecretsMode::Cipher => {
            let title = format!("{words}: deployment.toml, with encrypted secrets");
            Draft::new(title, Operation::Command(sealing::seal(cluster, node))).of(node)
        }
    });
    drafts
}

fn placed(node: &Node, title: String, file: PlacedFile) -> Draft {
    Draft::file(title, file).of(node)
}

/// Returns the health check of `gate`; a started node is also put back into rotation.
fn healthy(cluster: &Cluster, node: &Node, gate: Gate) -> Vec<Draft> {
    let mut drafts = vec![gate_of(cluster, node, gate)];
    if gate == Gate::Started {
        drafts.extend(rotation::returned(cluster, node));
    }
    drafts
}

fn gate_of(cluster: &Cluster, node: &Node, gate: Gate) -> Draft {
    let wait = health::wait(cluster, node, gate);
    let title = match gate {
        Gate::Started => format!("{}: started", node.words()),
        Gate::Complete => format!("{}: complete", node.words()),
    };
    let mut draft = Draft::new(title, Operation::Wait(Box::new(wait))).of(node);
    draft.budget = Some(node.role.group().to_owned());
    draft.proves_health = true;
    draft.rescue = revert::rescue(cluster, node, gate);
    draft
}
