//! `rollback`: return nodes to their previous release, with the configuration of that release.

use apim_protocol::operation::Mode;

use crate::app::confirm::confirm;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, ProbeOptions, Reach, Shown};
use crate::app::release_changes::{self, ReleaseChange};
use crate::app::rollout;
use crate::app::rollout::request::{Common, RolloutRequest, Scope};
use crate::app::verb::Verb;
use crate::report;
use apim_product::Role;

/// Options of `rollback`.
#[derive(Debug, Clone)]
pub(crate) struct RollbackRequest {
    pub(crate) files: Files,
    /// Limit to nodes of this role: control_plane, key_manager, gateway, traffic_manager,
    /// all_in_one (repeatable)
    pub(crate) roles: Vec<Role>,
    /// Roll back to this release, by name or prefix such as `4.5.0` [default: the previous release
    /// of each host]
    pub(crate) to: Option<String>,
    /// Skip the confirmation prompt
    pub(crate) yes: bool,
    pub(crate) reach: Reach,
    pub(crate) probe: ProbeOptions,
    pub(crate) shown: Shown,
}

pub(crate) fn run(args: RollbackRequest) -> Result<Kind, Exit> {
    let RollbackRequest { files, roles, to, yes, reach, probe, shown } = args;
    let scope = Scope { roles, roll_back_to: to, ..Scope::default() };
    let common = Common { files, reach, shown };
    let request = RolloutRequest::check(Verb::Rollback, common).with_playbook("rollback.yaml");
    let mut request = RolloutRequest { scope, probe, ..request };
    let seen = rollout::run(&request)?;
    if seen.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let found = release_changes::reverts(&seen.cluster, &seen.plan, &seen.result);
    if !found.refused.is_empty() || release_changes::has_unreachable_hosts(&seen.result) {
        report::say(&report::failure::text(
            &release_changes::without_proofs(&seen.plan),
            &seen.result,
            &seen.titles,
            seen.look.out,
        ))?;
        let text = "not all nodes can be rolled back; no host was changed";
        return Err(Exit::new(Kind::Failed, text).hint("exclude the failing nodes with --limit"));
    }
    if found.changes.is_empty() {
        report::remark("nothing to roll back: every node runs that release\n");
        return Ok(Kind::Converged);
    }
    show(&found.changes, &seen.look)?;
    let nodes = report::style::count(found.changes.len(), "node");
    let question = format!("{nodes} will be rolled back, one node of a role at a time.");
    confirm(Verb::Rollback, &question, yes)?;
    request.mode = Mode::Apply;
    let finished = rollout::run(&request)?;
    finished.conclude()
}

fn show(found: &[ReleaseChange], look: &report::Look) -> std::io::Result<()> {
    if look.json {
        return release_changes::objects(found).iter().try_for_each(|object| report::say(object));
    }
    report::say(&release_changes::table(found, look.out))
}
