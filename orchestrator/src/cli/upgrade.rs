//! `upgrade`: apply an inventory that names another version or zip, after showing which node moves
//! from which release to which.

use apim_protocol::operation::Mode;

use super::confirm::confirm;
use super::exit::{Exit, Kind};
use super::moves;
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Rolling, Wanted};
use super::probe::Probe;
use super::rollback::nodes;
use super::target::Target;
use crate::report;

/// Options of `upgrade`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    reach: Reach,
    /// Upgrade to this version; overrides `apim.version` (the inventory must list the digests of
    /// its zips by file name)
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Write the version to the inventory after all nodes run it; changes only that value
    #[arg(long, requires = "to", conflicts_with = "check")]
    write: bool,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    yes: bool,
    /// Show what would be upgraded and the required database changes; change nothing
    #[arg(short = 'C', long, conflicts_with = "probe")]
    check: bool,
    #[command(flatten)]
    probe: Probe,
    #[command(flatten)]
    pub(super) shown: Shown,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { mut files, reach, to, write, yes, check, probe, shown } = args;
    if write && files.limit.is_some() {
        let text = "--write cannot be combined with --limit: it sets the version of every node; no host was contacted";
        return Err(Exit::new(Kind::Usage, text).hint("remove one of the two flags"));
    }
    let target = to.as_deref().map(|to| Target::set(&mut files, to)).transpose()?;
    let rolling = Rolling { forward_to: to, ..Rolling::default() };
    let mut wanted = Wanted { rolling, probe, ..Wanted::look("upgrade", None, (files, reach, shown)) };
    let seen = pipeline::run(&wanted)?;
    if seen.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    if moves::has_lost_hosts(&seen.result) {
        report::say(&report::failure::text(&seen.plan, &seen.result, seen.look.out))?;
        return Err(Exit::new(Kind::Failed, "not all hosts could be checked; no host was changed")
            .hint("exclude the unreachable hosts with --limit, or fix them first"));
    }
    let found = moves::upgrades(&seen.plan, &seen.result);
    if found.is_empty() {
        if let Some(target) = &target {
            target.tell(&seen.look)?;
        }
        let text = match &wanted.rolling.forward_to {
            Some(to) => format!("nothing to upgrade: every node runs {to}"),
            None => "nothing to upgrade: every node runs the release that the inventory names".to_owned(),
        };
        return Err(Exit::new(Kind::Failed, text)
            .hint("change `apim.version` and `distributions.sha256`; use `apply` for other changes"));
    }
    target.iter().try_for_each(|target| target.refuse_back(&found))?;
    let schemas = moves::schemas(&seen.cluster, &pipeline::cache(&wanted.reach), &found);
    if seen.look.json {
        moves::objects(&found).iter().try_for_each(|object| report::say(object))?;
        for text in &schemas {
            report::say(&serde_json::json!({"event": "schema", "text": text}).to_string())?;
        }
    } else {
        report::say(&moves::table(&found, seen.look.out))?;
        schemas.iter().try_for_each(|text| report::say(&format!("\n{}", report::style::harmless(text))))?;
    }
    if let Some(target) = target.as_ref().filter(|_| !write) {
        target.tell(&seen.look)?;
    }
    if check {
        return Ok(Kind::Converged);
    }
    confirm(
        &format!("\n{} will be upgraded, within the disruption budget of each role.", nodes(found.len())),
        yes,
    )?;
    wanted.mode = Mode::Apply;
    wanted.judges = true;
    let ended = pipeline::run(&wanted)?;
    let kind = ended.conclude()?;
    match &target {
        Some(target) if write && ended.result.is_success() => target.write(&ended.look)?,
        Some(target) => target.tell(&ended.look)?,
        None => {}
    }
    Ok(kind)
}
