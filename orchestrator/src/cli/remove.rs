//! `remove`: take a host out of the cluster, with everything that was installed on it.
//!
//! Peers forget it first, one node of a role at a time; then its nodes are stopped, and what we put there goes.

use apim_protocol::operation::Mode;

use super::confirm::confirm;
use super::connect::{self, Rights};
use super::exit::{Exit, Kind};
use super::installed::Installed;
use super::looking::{Ready, Round};
use super::options::{Files, Plays, Reach, Shown};
use super::pipeline::{self, Wanted};
use super::probe::Probe;
use super::read::Removal;
use crate::apim::steps;
use crate::apim::{Cluster, Draft, Role};
use crate::inventory::host::HostName;
use crate::report::{self, Look, changes, remark};
use crate::rounds::Away;
use crate::yaml::nearest;

/// Options of `remove`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// The host that is to go, as the inventory calls it; its lines are deleted from the inventory afterwards
    host: String,
    /// It is gone for good and cannot be reached: only its peers are told
    #[arg(long)]
    gone: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Change nothing: show what would change
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    probe: Probe,
    #[command(flatten)]
    pub(super) shown: Shown,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, host, gone, yes, check, reach, probe, shown } = args;
    if files.limit.is_some() {
        let exit =
            Exit::new(Kind::Usage, "`remove` concerns one host and all its peers: it takes no --limit");
        return Err(exit.hint("leave --limit out"));
    }
    let path = files.inventory.clone();
    let removal = Removal::read(&files, &HostName(host.clone()))?;
    refuse(&removal.cluster, &host, reach.allow_outage)?;
    let look = Look::detect(shown.output == super::options::Output::Json, shown.verbose, false);
    let leaving = if gone { Vec::new() } else { steps::removal(&removal.cluster, &host) };
    if !check && !yes {
        ask(&host, &leaving, &removal.cluster)?;
    }
    if !check && !gone {
        find(&removal, &host, (&reach, look))?;
    }
    let mode = if check { Mode::Check } else { Mode::Apply };
    let plays = Plays { playbook: None, tags: Vec::new(), skip_tags: vec!["preflight".to_owned()] };
    let wanted = Wanted { mode, plays, probe, ..Wanted::look("remove", None, (files, reach, shown)) };
    let ended = pipeline::run_with(&wanted, |cache, issue| {
        removal.draft(&wanted.plays, (&wanted.files, cache, issue), leaving)
    })?;
    if check && !look.json {
        let detail = changes::Detail { diff: false, all: look.verbosity > 0 };
        report::say(&changes::text(&ended.plan, &ended.result, detail, look.out))?;
    }
    let kind = ended.conclude()?;
    if ended.result.is_success() && !check {
        let mut installed = Installed::of(&path);
        installed.remove(&host);
        installed.save();
        tell(&host, &path, ended.result.nothing_to_do, gone);
    }
    Ok(kind)
}

/// Says what is left for the operator to do.
fn tell(host: &str, inventory: &std::path::Path, nothing: bool, gone: bool) {
    let inventory = inventory.display();
    let said = match (nothing, gone) {
        (true, true) => format!("no peer names {host}"),
        (true, false) => format!("nothing is left of ours on {host}, and no peer names it"),
        (false, true) => format!("no peer names {host} any more; nothing was done on it"),
        (false, false) => format!(
            "{host} is out of the cluster; the agent and the journal of what was done stay in its state folder (/var/lib/apim-deploy)"
        ),
    };
    remark(&format!(
        "{said}\nnow delete its lines from {inventory}: the next apply would install it again\n"
    ));
}

/// Refuses a host that is not there, has no node, or has the last node of a role.
fn refuse(cluster: &Cluster, host: &str, allow_outage: bool) -> Result<(), Exit> {
    if cluster.nodes_on(host).next().is_none() {
        let known = cluster.hosts().iter().map(|host| host.name.as_str());
        let exit = Exit::new(
            Kind::Usage,
            format!("the inventory has no host `{host}` with a node; nothing was contacted"),
        );
        let hint = match nearest(host, known) {
            Some(near) => format!(
                "did you mean `{near}`? The host's lines must still be there: they say how it is reached"
            ),
            None => "the host's lines must still be there: they say how it is reached".to_owned(),
        };
        return Err(exit.hint(hint));
    }
    let last = last_of(cluster, host);
    if last.is_empty() || allow_outage {
        return Ok(());
    }
    let roles: Vec<&str> = last.iter().map(|role| role.words()).collect();
    let text =
        format!("{host} has the last {} of the cluster; nothing was contacted", roles.join(" and the last "));
    Err(Exit::new(Kind::Usage, text)
        .hint("bring up another one first, or say with --allow-outage that the cluster is to go on without"))
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

/// Makes sure that the host can be reached: otherwise its peers would forget it, and it would go on as it is.
fn find(removal: &Removal, host: &str, (reach, look): (&Reach, Look)) -> Result<(), Exit> {
    let read = removal.whole();
    let connector = connect::connector_with(&read.inventory, Rights::Usual, reach)?;
    let ready = Ready::new(read, look, vec![HostName(host.to_owned())], connector, format!("remove {host}"));
    ready.ask(|Round { mut peers, connect, terms }| async move {
        for peer in &mut peers {
            let found = peer.ask(connect.as_ref(), &terms, &[], &|_, _| {}).await;
            peer.goodbye().await;
            found.map_err(|Away { why, hint }| {
                let exit = Exit::new(Kind::Failed, format!("{why}; no host was changed"));
                let exit = hint.into_iter().fold(exit, Exit::hint);
                exit.hint(format!("if {host} is gone for good, --gone tells only its peers"))
            })?;
        }
        Ok(())
    })
}

/// Shows what would be done, and asks.
fn ask(host: &str, leaving: &[Draft], cluster: &Cluster) -> Result<(), Exit> {
    let mut text = format!("{host} leaves the cluster:\n");
    let mut peers: Vec<&str> = Vec::new();
    for node in cluster.nodes().iter().filter(|node| node.host != host) {
        if !peers.contains(&node.host.as_str()) {
            peers.push(&node.host);
        }
    }
    text.push_str(&format!(
        "  its peers ({}) are configured without it, and restarted one by one as far as that changes them\n",
        peers.join(", ")
    ));
    for draft in leaving {
        text.push_str(&format!("  {host}: {}\n", draft.title));
    }
    if leaving.is_empty() {
        text.push_str(&format!("  nothing is done on {host} itself\n"));
    } else {
        text.push_str("what others made on it stays: only what apim-deploy unpacked, wrote or made goes\n");
    }
    remark(&text);
    confirm(&format!("Take {host} out of the cluster?"), false)
}
