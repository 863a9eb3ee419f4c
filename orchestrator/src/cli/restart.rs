//! `restart`, `stop`, `start`, `drain` and `undrain`: the day-to-day node operations.

use apim_agent::operation::Mode;

use super::exit::{Exit, Kind};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Pace, Rolling, Wanted};
use super::probe::Probe;
use crate::report;
use apim_product::Role;
use apim_product::load_balancer::RotationState;

/// Options of `stop` and `start`, shared by `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    /// Limit to nodes of this role: control_plane, key_manager, gateway, traffic_manager,
    /// all_in_one (repeatable)
    #[arg(short, long, value_name = "ROLE", value_delimiter = ',', value_parser = role)]
    role: Vec<Role>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Show what would be done; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    #[command(flatten)]
    probe: Probe,
}

/// Options of `restart`.
#[derive(Debug, clap::Args)]
pub(super) struct Restart {
    #[command(flatten)]
    pub(super) args: Args,
    /// Restart nodes within the disruption budget of each role (the default)
    #[arg(long, conflicts_with = "all_at_once")]
    rolling: bool,
    /// Restart all nodes of a role at the same time; causes an outage
    #[arg(long, requires = "allow_outage")]
    all_at_once: bool,
}

/// Options of `drain` and `undrain`.
#[derive(Debug, clap::Args)]
pub(super) struct Shift {
    #[command(flatten)]
    files: Files,
    /// Hosts of the nodes, as an Ansible pattern such as `gw1`
    #[arg(value_name = "PATTERN")]
    pattern: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
    /// Show what would be done; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    #[command(flatten)]
    probe: Probe,
}

/// Takes nodes out of rotation until `undrain` or the next apply.
pub(super) fn drain(shift: Shift) -> Result<Kind, Exit> {
    turn("drain", shift, RotationState::Drained)
}

/// Puts nodes back in rotation.
pub(super) fn undrain(shift: Shift) -> Result<Kind, Exit> {
    turn("undrain", shift, RotationState::InRotation)
}

/// Restarts nodes.
pub(super) fn restart(restart: Restart) -> Result<Kind, Exit> {
    let pace = if restart.all_at_once { Pace::AllAtOnce } else { Pace::Rolling };
    run("restart", Some("rolling-restart"), &[], (restart.args, pace))
}

/// Stops nodes until they are started again.
pub(super) fn stop(args: Args) -> Result<Kind, Exit> {
    run("stop", Some("stop"), &[], (args, Pace::ForGood))
}

/// Starts stopped nodes in the start order of the inventory.
pub(super) fn start(args: Args) -> Result<Kind, Exit> {
    run("start", None, &["start"], (args, Pace::Rolling))
}

fn turn(verb: &'static str, shift: Shift, flow: RotationState) -> Result<Kind, Exit> {
    let Shift { files, pattern, reach, shown, check, probe } = shift;
    let rolling = Rolling { shift: Some((pattern, flow)), ..Rolling::default() };
    let wanted = Wanted { rolling, probe, ..Wanted::look(verb, None, (files, reach, shown)) };
    carry_out(wanted, check)
}

fn run(
    verb: &'static str,
    playbook: Option<&str>,
    tags: &[&str],
    (args, pace): (Args, Pace),
) -> Result<Kind, Exit> {
    let Args { files, role: roles, reach, shown, check, probe } = args;
    let rolling = Rolling { roles, pace, ..Rolling::default() };
    let mut wanted = Wanted { rolling, probe, ..Wanted::look(verb, playbook, (files, reach, shown)) };
    wanted.plays.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    carry_out(wanted, check)
}

fn carry_out(mut wanted: Wanted, check: bool) -> Result<Kind, Exit> {
    wanted.mode = if check { Mode::Check } else { Mode::Apply };
    let ended = pipeline::run(&wanted)?;
    let look = ended.look;
    if check && !look.json {
        let detail = report::changes::Detail { diff: false, all: look.verbosity > 0 };
        report::say(&report::changes::text(&ended.plan, &ended.result, detail, look.out))?;
    }
    ended.conclude()
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::of_group(text)
        .ok_or_else(|| format!("unknown role `{text}`; roles: {}", Role::ALL.map(Role::group).join(", ")))
}
