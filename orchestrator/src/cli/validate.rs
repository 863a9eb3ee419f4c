//! `validate`: everything that can be known without contacting a host.

use std::collections::BTreeMap;

use super::exit::{Exit, Kind};
use super::options::{Files, Output, Plays, Shown};
use super::read;
use crate::plan::show;
use crate::report::style::count;
use crate::report::{self, Look};

/// Options of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    plays: Plays,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn run(args: &Args) -> Result<Kind, Exit> {
    let look = Look::detect(args.shown.output == Output::Json, args.shown.verbose, false);
    let (read, playbook, drafted) = read::all(&args.files, &args.plays)?;
    read::tell_notes(&read.cluster, look.err);
    let plan = drafted.finish(&BTreeMap::new());
    let steps: usize = plan.stages.iter().flat_map(|stage| &stage.lanes).map(|lane| lane.steps.len()).sum();
    if look.json {
        let (hosts, nodes) = (read.inventory.hosts.len(), read.cluster.nodes().len());
        let value = serde_json::json!({
            "event": "valid", "hosts": hosts, "nodes": nodes, "playbook": playbook.name,
            "stages": plan.stages.len(), "steps": steps, "notes": read.cluster.notes(),
        });
        report::say(&value.to_string())?;
        return Ok(Kind::Converged);
    }
    if look.verbosity > 0 {
        report::say(&show::text(&plan))?;
    }
    report::say(&look.out.good(format!(
        "no mistake found: {}, {}; {}: {}, {}",
        count(read.inventory.hosts.len(), "host"),
        count(read.cluster.nodes().len(), "node"),
        playbook.name,
        count(plan.stages.len(), "stage"),
        count(steps, "step"),
    )))?;
    Ok(Kind::Converged)
}
