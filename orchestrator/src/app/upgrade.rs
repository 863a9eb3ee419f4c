//! `upgrade`: apply an inventory that names another version or zip, after showing which node moves
//! from which release to which.

use apim_protocol::operation::Mode;

use crate::app::confirm::confirm;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, ProbeOptions, Reach, Shown};
use crate::app::release_changes;
use crate::app::rollout;
use crate::app::rollout::request::{Common, RolloutRequest, Scope};
use crate::app::target_version::Target;
use crate::app::verb::Verb;
use crate::report;

/// Options of `upgrade`.
#[derive(Debug, Clone)]
pub(crate) struct UpgradeRequest {
    pub(crate) files: Files,
    pub(crate) reach: Reach,
    /// Upgrade to this version; overrides `apim.version` (the inventory must list the digests of
    /// its zips by file name)
    pub(crate) to: Option<String>,
    /// Write the version to the inventory after all nodes run it; changes only that value
    pub(crate) write: bool,
    /// Skip the confirmation prompt
    pub(crate) yes: bool,
    /// Show what would be upgraded and the required database changes; change nothing
    pub(crate) check: bool,
    pub(crate) probe: ProbeOptions,
    pub(crate) shown: Shown,
}

pub(crate) fn run(args: UpgradeRequest) -> Result<Kind, Exit> {
    let UpgradeRequest { mut files, reach, to, write, yes, check, probe, shown } = args;
    if write && files.limit.is_some() {
        let text = "--write cannot be combined with --limit: it sets the version of every node; no host was contacted";
        return Err(Exit::new(Kind::Usage, text).hint("remove one of the two flags"));
    }
    let target = to.as_deref().map(|to| Target::set(&mut files, to)).transpose()?;
    let scope = Scope { upgrade_to: to, ..Scope::default() };
    let common = Common { files, reach, shown };
    let mut request = RolloutRequest { scope, probe, ..RolloutRequest::check(Verb::Upgrade, common) };
    let seen = rollout::run(&request)?;
    if seen.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    if release_changes::has_unreachable_hosts(&seen.result) {
        report::say(&report::failure::text(&seen.plan, &seen.result, &seen.titles, seen.look.out))?;
        return Err(Exit::new(Kind::Failed, "not all hosts could be checked; no host was changed")
            .hint("exclude the unreachable hosts with --limit, or fix them first"));
    }
    let found = release_changes::upgrades(&seen.cluster, &seen.plan, &seen.result);
    if found.is_empty() {
        if let Some(target) = &target {
            target.report(&seen.look)?;
        }
        let text = match &request.scope.upgrade_to {
            Some(to) => format!("nothing to upgrade: every node runs {to}"),
            None => "nothing to upgrade: every node runs the release that the inventory names".to_owned(),
        };
        return Err(Exit::new(Kind::Failed, text)
            .hint("change `apim.version` and `distributions.sha256`; use `apply` for other changes"));
    }
    target.iter().try_for_each(|target| target.refuse_downgrade(&found))?;
    let schemas = release_changes::schemas(&seen.cluster, &request.reach.cache(), &found);
    if seen.look.json {
        release_changes::objects(&found).iter().try_for_each(|object| report::say(object))?;
        for text in &schemas {
            report::say(&serde_json::json!({"event": "schema", "text": text}).to_string())?;
        }
    } else {
        report::say(&release_changes::table(&found, seen.look.out))?;
        schemas.iter().try_for_each(|text| report::say(&format!("\n{}", report::style::harmless(text))))?;
    }
    if let Some(target) = target.as_ref().filter(|_| !write) {
        target.report(&seen.look)?;
    }
    if check {
        return Ok(Kind::Converged);
    }
    let nodes = report::style::count(found.len(), "node");
    let question = format!("\n{nodes} will be upgraded, within the disruption budget of each role.");
    confirm(Verb::Upgrade, &question, yes)?;
    request.mode = Mode::Apply;
    let finished = rollout::run(&request)?;
    let kind = finished.conclude()?;
    match &target {
        Some(target) if write && finished.result.is_success() => target.write(&finished.look)?,
        Some(target) => target.report(&finished.look)?,
        None => {}
    }
    Ok(kind)
}
