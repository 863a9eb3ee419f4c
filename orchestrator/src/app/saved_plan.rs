//! Saved plans: `plan --out` writes one, `apply --plan` applies exactly that or reports why it is
//! stale.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;
use serde_json::json;
use sha2::Digest as _;

use crate::app::connect;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{BudgetError, Files, Plays, Reach};
use crate::app::process::{absolute, operator};
use crate::app::read::Read;
use crate::app::rollout::request::{RolloutRequest, SavedPlanUse};
use crate::report::style::{count, harmless};
use crate::report::{Look, remark, say};
use apim_documents::playbook::Playbook;
use apim_product::Artifact;
use apim_product::yaml::{FILE_BYTES, read_bounded};
use apim_rollout::engine::{Confirm, RunResult};
use apim_rollout::plan::model::Plan;
use apim_rollout::saved_plan::{self, CommandOptions, Key, Origin, PlanFileError, SavedPlan};

/// Maximum number of stale items to list.
const NAMED: usize = 20;

/// A run that saves a plan or applies a saved one.
pub(crate) struct Binding {
    key: Key,
    /// The current plan, without its steps.
    now: SavedPlan,
    then: Option<Box<SavedPlan>>,
}

/// Reads the saved plan. Flags that are not given take their values from it.
pub(crate) fn read(
    path: &Path,
    files: &mut Files,
    plays: &mut Plays,
    reach: &mut Reach,
) -> Result<SavedPlanUse, Exit> {
    let plan = SavedPlan::read(path, &key(reach)?).map_err(|error| refused(&error))?;
    let options = &plan.options;
    files.limit = files.limit.take().or_else(|| options.limit.clone());
    plays.playbook = plays.playbook.take().or_else(|| options.playbook.clone());
    for (given, then) in [(&mut plays.tags, &options.tags), (&mut plays.skip_tags, &options.skip_tags)] {
        if given.is_empty() {
            given.clone_from(then);
        }
    }
    if reach.max_unavailable.is_empty() {
        let limits = options.max_unavailable.iter().map(|text| text.parse());
        reach.max_unavailable = limits.collect::<Result<_, _>>().map_err(|error: BudgetError| {
            Exit::new(Kind::Usage, format!("invalid --max-unavailable in the saved plan: {error}"))
        })?;
    }
    // A flag without a value cannot be unset, so the flags of the saved plan are added.
    reach.allow_outage |= options.allow_outage;
    reach.no_drain |= options.no_drain;
    Ok(SavedPlanUse::Apply(Box::new(plan)))
}

fn refused(error: &PlanFileError) -> Exit {
    Exit::from_error(Kind::Usage, error).hint(error.hint())
}

/// Returns the key for digests in saved plans and records.
pub(crate) fn key(reach: &Reach) -> Result<Key, Exit> {
    let folder = reach.state_folder();
    Key::of(&folder).map_err(|error| {
        let text = format!("cannot use the key of saved plans in `{}`: {error}", folder.display());
        Exit::new(Kind::Usage, text).hint("set a folder that you own with --state-dir")
    })
}

impl Binding {
    /// Collects the input of the run. If it applies a saved plan, the input must be the same as
    /// when the plan was saved.
    pub(crate) fn begin(
        request: &RolloutRequest,
        read: &Read,
        playbook: &Playbook,
        artifacts: &[Artifact],
        look: &Look,
    ) -> Result<Option<Self>, Exit> {
        let then = match &request.saved_plan {
            SavedPlanUse::None => return Ok(None),
            SavedPlanUse::Save => None,
            SavedPlanUse::Apply(plan) => Some(plan.clone()),
        };
        let RolloutRequest { files, plays, reach, .. } = request;
        let key = key(reach)?;
        let extra_vars = serde_json::to_vec(&files.extra_vars).unwrap_or_default();
        let options = CommandOptions {
            inventory: absolute(&files.inventory),
            playbook: plays.playbook.clone(),
            limit: files.limit.clone(),
            tags: plays.tags.clone(),
            skip_tags: plays.skip_tags.clone(),
            extra_vars: (!files.extra_vars.is_empty()).then(|| key.digest("extra-vars", &extra_vars)),
            max_unavailable: reach.max_unavailable.iter().map(ToString::to_string).collect(),
            allow_outage: reach.allow_outage,
            no_drain: reach.no_drain,
        };
        let now = SavedPlan {
            origin: origin(reach)?,
            options,
            files: digests(&files.inventory, read.inventory.files.iter().chain(&playbook.files), &key)?,
            artifacts: artifacts.iter().map(|one| (one.name.0.clone(), one.sha256)).collect(),
            stages: Vec::new(),
            hosts: BTreeMap::new(),
        };
        if let Some(then) = &then {
            let differences = saved_plan::basis(then, &now);
            refuse(&differences, "no host was contacted", look)?;
        }
        Ok(Some(Self { key, now, then }))
    }

    /// Checks that the steps equal those of the saved plan.
    pub(crate) fn check(&self, plan: &Plan, look: &Look) -> Result<(), Exit> {
        let Some(then) = &self.then else { return Ok(()) };
        refuse(&saved_plan::since_planned(then, plan, &self.key), "no host was contacted", look)
    }

    /// Returns the check that hosts are in the same state as when the plan was saved.
    pub(crate) fn confirm(&self, plan: &Arc<Plan>, reach: &Reach) -> Result<Option<Confirm>, Exit> {
        let Some(then) = self.then.clone() else { return Ok(None) };
        let (plan, key) = (Arc::clone(plan), key(reach)?);
        Ok(Some(Confirm(Arc::new(move |seen| {
            saved_plan::since_seen(&then, &plan, &seen.outcomes, &seen.facts, &key)
        }))))
    }

    /// Saves the plan with the state of the hosts.
    pub(crate) fn write(self, path: &Path, plan: &Plan, result: &RunResult, look: &Look) -> Result<(), Exit> {
        let Self { key, now, .. } = self;
        let facts = result.hosts.iter().filter_map(|(host, one)| Some((host, one.facts.as_ref()?)));
        let stages = saved_plan::stages(plan, &result.outcomes, &key);
        let bound = SavedPlan { stages, hosts: saved_plan::hosts(facts), ..now };
        bound.write(path, &key).map_err(|error| refused(&error))?;
        let steps: usize =
            bound.stages.iter().flat_map(|stage| &stage.lanes).map(|lane| lane.steps.len()).sum();
        let differ = result.outcomes.values().filter(|one| matches!(one, Outcome::WouldChange(_))).count();
        if look.json {
            let object = json!({"event": "plan_written", "file": path, "steps": steps, "differ": differ});
            return Ok(say(&object.to_string())?);
        }
        let inventory = bound.options.inventory.display();
        remark(&format!(
            "plan saved to `{}`: {}, {differ} pending\n\
             apply it with: apim-deploy apply --plan {} {inventory}",
            path.display(),
            count(steps, "step"),
            path.display(),
        ));
        Ok(())
    }
}

/// Refuses a stale plan and lists what differs.
pub(crate) fn refuse(differences: &[String], done: &str, look: &Look) -> Result<(), Exit> {
    if differences.is_empty() {
        return Ok(());
    }
    if look.json {
        say(&json!({"event": "moved", "moved": differences, "done": done}).to_string())?;
    }
    let mut text = format!("the saved plan is stale; {done}");
    for line in differences.iter().take(NAMED) {
        text.push_str(&format!("\n  {}", harmless(line)));
    }
    if differences.len() > NAMED {
        text.push_str(&format!("\n  … and {} more", differences.len() - NAMED));
    }
    Err(Exit::new(Kind::PlanStale, text)
        .hint("review the differences, then save a new plan with `apim-deploy plan INVENTORY --out FILE`"))
}

fn origin(reach: &Reach) -> Result<Origin, Exit> {
    let own = std::env::current_exe().and_then(|path| digest_of(&path));
    let build = own.map_err(|error| {
        Exit::new(Kind::Failed, format!("cannot read the apim-deploy executable: {error}"))
    })?;
    Ok(Origin {
        at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        by: operator(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build,
        agents: connect::agent_builds(reach)?,
    })
}

/// Returns the keyed digest of each regular file. The content of a pipe is covered by the steps.
pub(crate) fn digests<'a>(
    inventory: &Path,
    files: impl Iterator<Item = &'a PathBuf>,
    key: &Key,
) -> Result<BTreeMap<String, Sha256>, Exit> {
    let folder = if inventory.is_dir() { Some(inventory) } else { inventory.parent() };
    let folder = folder.map(absolute).unwrap_or_default();
    let mut found = BTreeMap::new();
    for file in files.filter(|file| file.is_file()) {
        let bytes = read_bounded(file, FILE_BYTES as u64).map_err(|error| {
            Exit::new(Kind::Usage, format!("cannot read `{}` again: {error}", file.display()))
        })?;
        let path = absolute(file);
        let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
        found.insert(name, key.digest("file", &bytes));
    }
    Ok(found)
}

fn digest_of(path: &Path) -> std::io::Result<Sha256> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Sha256::from_bytes(hasher.finalize().into()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}
