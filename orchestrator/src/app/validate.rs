//! `validate`: check all input files without contacting a host.

use std::collections::BTreeMap;

use crate::app::exit::{Exit, Kind};
use crate::app::inputs::Inputs;
use crate::app::options::{Files, Plays, Shown};
use crate::app::read;
use crate::report::style::count;
use crate::report::{self, remark};
use apim_product::{Artifact, Cluster};
use apim_rollout::artifact::{self, Cache};
use apim_rollout::plan::show;

/// Options of `validate`.
#[derive(Debug, Clone)]
pub(crate) struct ValidateRequest {
    pub(crate) files: Files,
    pub(crate) plays: Plays,
    pub(crate) shown: Shown,
}

pub(crate) fn run(args: &ValidateRequest) -> Result<Kind, Exit> {
    let look = args.shown.look();
    let (Inputs { read, playbook, .. }, drafted) =
        Inputs::drafted(&args.files, &args.plays, &Cache::of_user())?;
    let missing = missing(&read.cluster);
    read::report(&read, &look)?;
    if !look.json {
        for note in &missing {
            remark(&format!("{} {note}\n", look.err.change("note:")));
        }
    }
    let plan = drafted.finish(&BTreeMap::new());
    let steps = plan.steps().count();
    if look.json {
        let (hosts, nodes) = (read.inventory.hosts.len(), read.cluster.nodes().len());
        let value = serde_json::json!({
            "event": "valid", "hosts": hosts, "nodes": nodes, "playbook": playbook.name,
            "stages": plan.stages.len(), "steps": steps, "notes": read.cluster.notes(), "missing": missing,
            "warnings": read.warnings(),
        });
        report::say(&value.to_string())?;
        return Ok(Kind::Converged);
    }
    if look.verbosity > 0 {
        report::say(&show::text(&plan))?;
    }
    report::say(&look.out.good(format!(
        "valid: {}, {}; {}: {}, {}",
        count(read.inventory.hosts.len(), "host"),
        count(read.cluster.nodes().len(), "node"),
        playbook.name,
        count(plan.stages.len(), "stage"),
        count(steps, "step"),
    )))?;
    Ok(Kind::Converged)
}

/// Returns notes about missing local files. They are not errors, because they may be added later.
fn missing(cluster: &Cluster) -> Vec<String> {
    let note = |artifact: &Artifact| {
        let path = artifact::missing(artifact)?;
        Some(format!(
            "{} does not exist yet, `apply` needs it: `{}` (`{}`, {})",
            artifact.name,
            path.display(),
            artifact.setting,
            artifact.place
        ))
    };
    cluster.artifacts().iter().filter_map(note).collect()
}
