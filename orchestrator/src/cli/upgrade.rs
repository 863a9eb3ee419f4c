//! `upgrade`: `apply`, for an inventory that names another version or another zip; what goes from where to where is said first.

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
    /// To this version, whatever the inventory names; its files must have the digests of the zips by their names
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Write the version into the inventory once every node runs from it: only that value is changed
    #[arg(long, requires = "to", conflicts_with = "check")]
    write: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Only say what would be upgraded, and what the databases need
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
        let text =
            "--write changes the version of every node, and --limit leaves some out; nothing was contacted";
        return Err(Exit::new(Kind::Usage, text).hint("leave one of them out"));
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
        return Err(Exit::new(Kind::Failed, "not every host could be looked at; no host was changed")
            .hint("leave those out with --limit, or bring them back first"));
    }
    let found = moves::upgrades(&seen.plan, &seen.result);
    if found.is_empty() {
        if let Some(target) = &target {
            target.tell(&seen.look)?;
        }
        let text = match &wanted.rolling.forward_to {
            Some(to) => format!("nothing would be upgraded: every node runs from {to}"),
            None => "nothing would be upgraded: no node runs from another release than the inventory names"
                .to_owned(),
        };
        return Err(Exit::new(Kind::Failed, text).hint(
            "name another `apim.version`, with its `distributions.sha256`; for everything else there is `apply`",
        ));
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
    confirm(&format!("\n{} will be upgraded, within the budget of each role.", nodes(found.len())), yes)?;
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
