//! `remove`: remove a host from the cluster and uninstall its nodes.
//!
//! First the peers are reconfigured without it, one node of a role at a time. Then its nodes are
//! stopped and the installed files are deleted.

use apim_protocol::operation::Mode;

use crate::app::confirm::confirm;
use crate::app::connect::{self, Rights};
use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Removal;
use crate::app::installed::Installed;
use crate::app::options::{Files, Plays, ProbeOptions, Reach, Shown};
use crate::app::query::{QuerySession, ReadyQuery};
use crate::app::rollout;
use crate::app::rollout::request::{Common, RolloutRequest};
use crate::app::verb::Verb;
use crate::report::{self, Look, changes, remark};
use apim_product::steps;
use apim_product::yaml::nearest;
use apim_product::{Cluster, Draft, Role};
use apim_transport::host::HostName;

/// Options of `remove`.
#[derive(Debug, Clone)]
pub(crate) struct RemoveRequest {
    pub(crate) files: Files,
    /// Host to remove, by its inventory name; delete its lines from the inventory afterwards
    pub(crate) host: String,
    /// Reconfigure only the peers; for a host that no longer exists
    pub(crate) gone: bool,
    /// Skip the confirmation prompt
    pub(crate) yes: bool,
    /// Show what would change; change nothing
    pub(crate) check: bool,
    pub(crate) reach: Reach,
    pub(crate) probe: ProbeOptions,
    pub(crate) shown: Shown,
}

pub(crate) fn run(args: RemoveRequest) -> Result<Kind, Exit> {
    let RemoveRequest { files, host, gone, yes, check, reach, probe, shown } = args;
    if files.limit.is_some() {
        let exit = Exit::new(
            Kind::Usage,
            "`remove` does not support --limit: it changes one host and all its peers",
        );
        return Err(exit.hint("remove --limit"));
    }
    let path = files.inventory.clone();
    let removal = Removal::read(&files, &HostName(host.clone()))?;
    refuse(&removal.cluster, &host, reach.allow_outage)?;
    let look = shown.look();
    let steps = if gone { Vec::new() } else { steps::removal(&removal.cluster, &host) };
    if !check && !yes {
        ask(&host, &steps, &removal.cluster)?;
    }
    if !check && !gone {
        check_reachable(&removal, &host, &reach, look)?;
    }
    let mode = if check { Mode::Check } else { Mode::Apply };
    let plays = Plays { playbook: None, tags: Vec::new(), skip_tags: vec!["preflight".to_owned()] };
    let common = Common { files, reach, shown };
    let request = RolloutRequest { mode, plays, probe, ..RolloutRequest::check(Verb::Remove, common) };
    let inputs = removal.inputs(&request.plays, steps)?;
    let finished = rollout::run_on(&request, inputs)?;
    if check && !look.json {
        let detail = changes::Detail { diff: false, all: look.verbosity > 0 };
        report::say(&changes::text(&finished.plan, &finished.result, detail, look.out))?;
    }
    let kind = finished.conclude()?;
    if finished.result.is_success() && !check {
        let mut installed = Installed::of(&path);
        installed.remove(&host);
        installed.save();
        report_removal(&host, &path, finished.result.nothing_to_do, gone);
    }
    Ok(kind)
}

/// Prints what the operator has to do next.
fn report_removal(host: &str, inventory: &std::path::Path, nothing: bool, gone: bool) {
    let inventory = inventory.display();
    let said = match (nothing, gone) {
        (true, true) => format!("no peer refers to {host}"),
        (true, false) => format!("{host} is already uninstalled, and no peer refers to it"),
        (false, true) => format!("{host} removed from the cluster; the host itself was not changed"),
        (false, false) => format!(
            "{host} removed from the cluster; the agent and its journal are kept in /var/lib/apim-deploy"
        ),
    };
    remark(&format!("{said}\ndelete its lines from {inventory} now, or the next apply installs it again\n"));
}

/// Refuses an unknown host, a host without nodes, and a host with the last node of a role.
fn refuse(cluster: &Cluster, host: &str, allow_outage: bool) -> Result<(), Exit> {
    if cluster.nodes_on(host).next().is_none() {
        let known = cluster.hosts().iter().map(|host| host.name.as_str());
        let exit = Exit::new(
            Kind::Usage,
            format!("the inventory has no host `{host}` with a node; no host was contacted"),
        );
        let hint = match nearest(host, known) {
            Some(near) => format!(
                "did you mean `{near}`? keep the host in the inventory until it is removed: its connection is needed"
            ),
            None => "keep the host in the inventory until it is removed: its connection is needed".to_owned(),
        };
        return Err(exit.hint(hint));
    }
    let last = last_of(cluster, host);
    if last.is_empty() || allow_outage {
        return Ok(());
    }
    let roles: Vec<&str> = last.iter().map(|role| role.words()).collect();
    let text =
        format!("{host} has the last {} of the cluster; no host was contacted", roles.join(" and the last "));
    Err(Exit::new(Kind::Usage, text)
        .hint("add another one first, or pass --allow-outage to run the cluster without it"))
}

/// Returns the roles that only `host` has.
fn last_of(cluster: &Cluster, host: &str) -> Vec<Role> {
    let mut last: Vec<Role> = Vec::new();
    for node in cluster.nodes_on(host) {
        if cluster.of(node.role).all(|other| other.host == host) && !last.contains(&node.role) {
            last.push(node.role);
        }
    }
    last
}

/// Checks that the host is reachable. Otherwise its peers would be reconfigured and its nodes would
/// keep running.
fn check_reachable(removal: &Removal, host: &str, reach: &Reach, look: Look) -> Result<(), Exit> {
    let read = removal.whole();
    let connector = connect::connector_with(&read.inventory, Rights::Usual, reach)?;
    let ready =
        ReadyQuery::new(read, look, vec![HostName(host.to_owned())], connector, format!("remove {host}"));
    ready.ask(|QuerySession { mut peers, connect, terms }| async move {
        for peer in &mut peers {
            let found = peer.ask(connect.as_ref(), &terms, &[], &|_, _| {}).await;
            peer.goodbye().await;
            found.map_err(|away| {
                let exit = Exit::new(Kind::Failed, format!("{}; no host was changed", away.why()));
                let exit = away.hint().into_iter().fold(exit, Exit::hint);
                exit.hint(format!("if {host} no longer exists, --gone reconfigures only its peers"))
            })?;
        }
        Ok(())
    })
}

/// Shows what would be done and asks for confirmation.
fn ask(host: &str, steps: &[Draft], cluster: &Cluster) -> Result<(), Exit> {
    let mut text = format!("remove {host} from the cluster:\n");
    let mut peers: Vec<&str> = Vec::new();
    for node in cluster.nodes().iter().filter(|node| node.host != host) {
        if !peers.contains(&node.host.as_str()) {
            peers.push(&node.host);
        }
    }
    text.push_str(&format!(
        "  its peers ({}) are reconfigured; changed nodes are restarted one at a time\n",
        peers.join(", ")
    ));
    for draft in steps {
        text.push_str(&format!("  {host}: {}\n", draft.title));
    }
    if steps.is_empty() {
        text.push_str(&format!("  {host} itself is not changed\n"));
    } else {
        text.push_str("files not created by apim-deploy are kept\n");
    }
    remark(&text);
    confirm(Verb::Remove, &format!("Remove {host} from the cluster?"), false)
}
