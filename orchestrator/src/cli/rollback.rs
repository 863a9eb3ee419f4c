//! `rollback`: nodes go back to the release that was in use before the present one, with the configuration that it had then.

use apim_protocol::operation::Mode;
use apim_protocol::value::is_release_name;

use super::confirm::confirm;
use super::exit::{Exit, Kind};
use super::moves::{self, Move};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
use super::probe::Probe;
use super::restart::role;
use crate::apim::Role;
use crate::report;

/// Options of `rollback`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Only nodes of this role (control_plane, key_manager, gateway, traffic_manager, all_in_one); may be repeated
    #[arg(short, long, value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    role: Vec<Role>,
    /// The release to go back to, or the beginning of its name (`4.5.0`); default: the one in use before, as each host remembers it
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    to: Option<String>,
    /// Do not ask
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
    if is_release_name(text) { Ok(text.to_owned()) } else { Err(format!("`{text}` is no name of a release")) }
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
        let text = "not every node can go back; no host was changed";
        return Err(Exit::new(Kind::Failed, text).hint("leave out those that cannot with --limit"));
    }
    if found.moves.is_empty() {
        report::remark("nothing to roll back: every node runs from that release\n");
        return Ok(Kind::Converged);
    }
    tell(&found.moves, &seen.look)?;
    confirm(&format!("{} will be rolled back, one of a role at a time.", nodes(found.moves.len())), yes)?;
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

/// Returns so many nodes in words.
pub(super) fn nodes(number: usize) -> String {
    report::style::count(number, "node")
}
