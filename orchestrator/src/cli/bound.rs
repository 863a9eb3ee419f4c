//! A plan that is kept: `plan --out` writes it, `apply --plan` carries out exactly that, or says what has moved since.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::outcome::Outcome;
use apim_protocol::value::Sha256;
use serde_json::json;
use sha2::Digest as _;

use super::connect;
use super::exit::{Exit, Kind};
use super::options::{self, Files, Plays, Reach};
use super::pipeline::{Ended, Wanted, operator};
use super::read::Read;
use crate::apim::Artifact;
use crate::binding::{self, Asked, BoundPlan, Key, Made, PlanFileError};
use crate::engine::Confirm;
use crate::plan::model::Plan;
use crate::playbook::Playbook;
use crate::report::style::{count, harmless};
use crate::report::{Look, remark, say};
use crate::state;
use crate::yaml::{FILE_BYTES, read_bounded};

/// So many of the things that moved are named.
const NAMED: usize = 20;

/// Whether a run makes a plan that is kept, or carries one out.
#[derive(Debug, Default)]
pub(super) enum Bind {
    /// Neither.
    #[default]
    No,
    /// It makes one.
    Make,
    /// It carries this one out.
    Follow(Box<BoundPlan>),
}

/// A run that is bound to a plan.
pub(super) struct Binding {
    key: Key,
    /// What the plan would be, without its steps.
    now: BoundPlan,
    then: Option<Box<BoundPlan>>,
}

/// Reads the plan to be carried out; what the flags leave open is as it was when the plan was made.
pub(super) fn read(
    path: &Path,
    files: &mut Files,
    plays: &mut Plays,
    reach: &mut Reach,
) -> Result<Bind, Exit> {
    let plan = BoundPlan::read(path, &key(reach)?).map_err(|error| refused(&error))?;
    let asked = &plan.asked;
    files.limit = files.limit.take().or_else(|| asked.limit.clone());
    plays.playbook = plays.playbook.take().or_else(|| asked.playbook.clone());
    for (given, then) in [(&mut plays.tags, &asked.tags), (&mut plays.skip_tags, &asked.skip_tags)] {
        if given.is_empty() {
            given.clone_from(then);
        }
    }
    if reach.max_unavailable.is_empty() {
        let limits = asked.max_unavailable.iter().map(|text| options::limit(text));
        reach.max_unavailable = limits.collect::<Result<_, _>>().map_err(|why| {
            Exit::new(Kind::Usage, format!("the plan's --max-unavailable cannot be read: {why}"))
        })?;
    }
    // Flags without a value can only be given, so a run may not have more of them than its plan.
    reach.allow_outage |= asked.allow_outage;
    reach.no_drain |= asked.no_drain;
    Ok(Bind::Follow(Box::new(plan)))
}

fn refused(error: &PlanFileError) -> Exit {
    Exit::from_error(Kind::Usage, error).hint(error.hint())
}

/// Returns the folder of this user's runs and keys.
pub(super) fn state_folder(reach: &Reach) -> PathBuf {
    reach.state_dir.clone().unwrap_or_else(state::of_user)
}

/// Returns the key of this user's digests.
pub(super) fn key(reach: &Reach) -> Result<Key, Exit> {
    let folder = state_folder(reach);
    Key::of(&folder).map_err(|error| {
        let text = format!("the key of plans cannot be used in `{}`: {error}", folder.display());
        Exit::new(Kind::Usage, text).hint("name a folder of your own with --state-dir")
    })
}

impl Binding {
    /// Notes what the run is made from; where it carries out a plan that must be what the plan was made from.
    pub(super) fn begin(
        wanted: &Wanted,
        read: &Read,
        playbook: &Playbook,
        artifacts: &[Artifact],
        look: &Look,
    ) -> Result<Option<Self>, Exit> {
        let then = match &wanted.bind {
            Bind::No => return Ok(None),
            Bind::Make => None,
            Bind::Follow(plan) => Some(plan.clone()),
        };
        let key = key(&wanted.reach)?;
        let Wanted { files, plays, .. } = wanted;
        let extra_vars = serde_json::to_vec(&files.extra_vars).unwrap_or_default();
        let asked = Asked {
            inventory: absolute(&files.inventory),
            playbook: plays.playbook.clone(),
            limit: files.limit.clone(),
            tags: plays.tags.clone(),
            skip_tags: plays.skip_tags.clone(),
            extra_vars: (!files.extra_vars.is_empty()).then(|| key.digest("extra-vars", &extra_vars)),
            max_unavailable: wanted.reach.max_unavailable.iter().map(options::limit_text).collect(),
            allow_outage: wanted.reach.allow_outage,
            no_drain: wanted.reach.no_drain,
        };
        let now = BoundPlan {
            made: made(&wanted.reach)?,
            asked,
            files: digests(&files.inventory, read.inventory.files.iter().chain(&playbook.files), &key)?,
            artifacts: artifacts.iter().map(|one| (one.name.0.clone(), one.sha256)).collect(),
            stages: Vec::new(),
            hosts: BTreeMap::new(),
        };
        if let Some(then) = &then {
            let moved = binding::basis(then, &now);
            refuse(&moved, "nothing was contacted", look)?;
        }
        Ok(Some(Self { key, now, then }))
    }

    /// Makes sure that the steps are those that were planned.
    pub(super) fn check(&self, plan: &Plan, look: &Look) -> Result<(), Exit> {
        let Some(then) = &self.then else { return Ok(()) };
        refuse(&binding::since_planned(then, plan, &self.key), "nothing was contacted", look)
    }

    /// Returns who says whether the hosts are found as they were when the plan was made.
    pub(super) fn confirm(&self, plan: &Arc<Plan>, reach: &Reach) -> Result<Option<Confirm>, Exit> {
        let Some(then) = self.then.clone() else { return Ok(None) };
        let (plan, key) = (Arc::clone(plan), key(reach)?);
        Ok(Some(Confirm(Arc::new(move |seen| {
            binding::since_seen(&then, &plan, &seen.outcomes, &seen.facts, &key)
        }))))
    }

    /// Writes the plan that was made, with what the hosts were found like.
    pub(super) fn write(self, path: &Path, ended: &Ended) -> Result<(), Exit> {
        let Self { key, now, .. } = self;
        let facts = ended.result.hosts.iter().filter_map(|(host, one)| Some((host, one.facts.as_ref()?)));
        let stages = binding::stages(&ended.plan, &ended.result.outcomes, &key);
        let bound = BoundPlan { stages, hosts: binding::hosts(facts), ..now };
        bound.write(path, &key).map_err(|error| refused(&error))?;
        let steps: usize =
            bound.stages.iter().flat_map(|stage| &stage.lanes).map(|lane| lane.steps.len()).sum();
        let differ =
            ended.result.outcomes.values().filter(|one| matches!(one, Outcome::WouldChange(_))).count();
        if ended.look.json {
            let object = json!({"event": "plan_written", "file": path, "steps": steps, "differ": differ});
            return Ok(say(&object.to_string())?);
        }
        let inventory = bound.asked.inventory.display();
        remark(&format!(
            "the plan is in `{}`: {}, {differ} of them to be done\n\
             carry it out with: apim-deploy apply --plan {} {inventory}",
            path.display(),
            count(steps, "step"),
            path.display(),
        ));
        Ok(())
    }
}

/// Says what has moved, if anything has: then a plan is not carried out.
pub(super) fn refuse(moved: &[String], done: &str, look: &Look) -> Result<(), Exit> {
    if moved.is_empty() {
        return Ok(());
    }
    if look.json {
        say(&json!({"event": "moved", "moved": moved, "done": done}).to_string())?;
    }
    let mut text = format!("the plan cannot be carried out as it was made; {done}");
    for line in moved.iter().take(NAMED) {
        text.push_str(&format!("\n  {}", harmless(line)));
    }
    if moved.len() > NAMED {
        text.push_str(&format!("\n  … and {} more", moved.len() - NAMED));
    }
    Err(Exit::new(Kind::Moved, text)
        .hint("see what has moved, then make a new plan with `apim-deploy plan INVENTORY --out FILE`"))
}

fn made(reach: &Reach) -> Result<Made, Exit> {
    let own = std::env::current_exe().and_then(|path| digest_of(&path));
    let build = own.map_err(|error| {
        Exit::new(Kind::Failed, format!("cannot read this program's own executable: {error}"))
    })?;
    Ok(Made {
        at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        by: operator(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build,
        agents: connect::agent_builds(reach)?,
    })
}

/// Returns the keyed digest of each file; a pipe has none, and what came out of it is in the steps.
pub(super) fn digests<'a>(
    inventory: &Path,
    files: impl Iterator<Item = &'a PathBuf>,
    key: &Key,
) -> Result<BTreeMap<String, Sha256>, Exit> {
    let folder = if inventory.is_dir() { Some(inventory) } else { inventory.parent() };
    let folder = folder.map(absolute).unwrap_or_default();
    let mut found = BTreeMap::new();
    for file in files.filter(|file| file.is_file()) {
        let bytes = read_bounded(file, FILE_BYTES as u64).map_err(|error| {
            Exit::new(Kind::Usage, format!("cannot read `{}` a second time: {error}", file.display()))
        })?;
        let path = absolute(file);
        let name = path.strip_prefix(&folder).unwrap_or(&path).display().to_string();
        found.insert(name, key.digest("file", &bytes));
    }
    Ok(found)
}

/// Without a working folder a path stays as it was given.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
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
