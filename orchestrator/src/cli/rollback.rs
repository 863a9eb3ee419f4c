//! `rollback`: return nodes to their previous release, with the configuration of that release.

use apim_protocol::operation::Mode;
use apim_protocol::value::is_release_name;

use super::confirm::confirm;
use super::exit::{Exit, Kind};
use super::moves::{self, Move};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
use super::probe::Probe;
use super::restart::role;
use crate::report;
use apim_product::Role;

/// Options of `rollback`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Limit to nodes of this role: control_plane, key_manager, gateway, traffic_manager,
    /// all_in_one (repeatable)
    #[arg(short, long, value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    role: Vec<Role>,
    /// Roll back to this release, by name or prefix such as `4.5.0` [default: the previous release
    /// of each host]
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    to: Option<String>,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    probe: Probe,
    #[command(flatten)]
    pub(super) shown: Shown,
}

fn release(text: &str) -> Result<String, String> {
    if is_release_name(text) { Ok(text.to_owned()) } else { Err(format!("invalid release name `{text}`")) }
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, role: roles, to, yes, reach, probe, shown } = args;
    let rolling = Rolling { roles, back_to: to, ..Rolling::default() };
    let mut wanted =
        Wanted { rolling, probe, ..Wanted::look("rollback", Some("rollback.yaml"), (files, reach, shown)) };
    let seen = pipeline::run(&wanted)?;
    if seen.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let found = moves::reverts(&seen.plan, &seen.result);
    if !found.refused.is_empty() || moves::has_lost_hosts(&seen.result) {
        report::say(&report::failure::text(&moves::without_proofs(&seen.plan), &seen.result, seen.look.out))?;
        let text = "not all nodes can be rolled back; no host was changed";
        return Err(Exit::new(Kind::Failed, text).hint("exclude the failing nodes with --limit"));
    }
    if found.moves.is_empty() {
        report::remark("nothing to roll back: every node runs that release\n");
        return Ok(Kind::Converged);
    }
    tell(&found.moves, &seen.look)?;
    confirm(
        &format!("{} will be rolled back, one node of a role at a time.", nodes(found.moves.len())),
        yes,
    )?;
    wanted.mode = Mode::Apply;
    let ended = pipeline::run(&wanted)?;
    ended.conclude()
}

fn tell(found: &[Move], look: &report::Look) -> std::io::Result<()> {
    if look.json {
        return moves::objects(found).iter().try_for_each(|object| report::say(object));
    }
    report::say(&moves::table(found, look.out))
}

/// Formats a number of nodes.
pub(super) fn nodes(number: usize) -> String {
    report::style::count(number, "node")
}
