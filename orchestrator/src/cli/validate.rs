//! `validate`: check all input files without contacting a host.

use std::collections::BTreeMap;

use super::exit::{Exit, Kind};
use super::options::{Files, Output, Plays, Shown};
use super::read;
use crate::report::style::count;
use crate::report::{self, Look, remark};
use apim_product::{Artifact, Cluster};
use apim_rollout::artifact;
use apim_rollout::plan::show;

/// Options of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    plays: Plays,
    #[command(flatten)]
    pub(super) shown: Shown,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let look = Look::detect(args.shown.output == Output::Json, args.shown.verbose, false);
    let (read, playbook, drafted) = read::all(&args.files, &args.plays)?;
    let missing = missing(&read.cluster);
    read::tell(&read, &look)?;
    if !look.json {
        for note in &missing {
            remark(&format!("{} {note}\n", look.err.change("note:")));
        }
    }
    let plan = drafted.finish(&BTreeMap::new());
    let steps: usize = plan.stages.iter().flat_map(|stage| &stage.lanes).map(|lane| lane.steps.len()).sum();
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
