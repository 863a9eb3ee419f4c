//! Phase `fetch`: makes the artifacts available locally.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::value::Sha256;

use crate::app::exit::{Exit, Kind};
use crate::app::process;
use crate::report::{self, Look};
use apim_product::settings::source::Fetch;
use apim_product::yaml::Mistakes;
use apim_product::{Artifact, Cluster};
use apim_rollout::artifact::Cache;
use apim_rollout::engine::Outliner;
use apim_rollout::plan::PlanDraft;

/// Paths and sizes in bytes of local artifacts.
pub(crate) type FetchedFiles = BTreeMap<Sha256, (PathBuf, u64)>;

/// Returns the artifacts that the plan needs: all of them if `needs_files`, otherwise those that
/// are available locally.
pub(crate) fn needed(
    cluster: &Cluster,
    drafted: &PlanDraft,
    cache: &Cache,
    needs_files: bool,
) -> Vec<Artifact> {
    let needed = drafted.needs();
    let mut artifacts = cluster.artifacts();
    artifacts.retain(|artifact| needed.contains(&artifact.sha256));
    // Artifacts that are read locally must be available locally, even if hosts download them.
    let local = drafted.local_artifacts();
    for artifact in artifacts.iter_mut().filter(|artifact| local.contains(&artifact.sha256)) {
        artifact.fetch = Fetch::Push;
    }
    artifacts.retain(|artifact| needs_files || cache.is_here(artifact));
    artifacts
}

/// Provides the artifacts that hosts may request. Checks local files before anything is downloaded.
pub(crate) async fn fetch(cache: &Cache, artifacts: &[Artifact], look: &Look) -> Result<FetchedFiles, Exit> {
    let mut mistakes = Mistakes::default();
    for (artifact, what, hint) in cache.check_local(artifacts).await {
        mistakes.add_hint(&artifact.place, what, hint);
    }
    if !mistakes.0.is_empty() {
        return Err(mistakes.into());
    }
    let ready = cache.provide(artifacts, &report::fetching(look)).await.map_err(|errors| {
        let mut exits = errors.iter().map(|error| (Exit::from_error(Kind::Failed, error), error.hint()));
        let (mut exit, hint) = exits.next().unwrap_or((Exit::new(Kind::Bug, "no reason given"), ""));
        let mut hints = vec![hint];
        for (other, hint) in exits {
            exit = exit.and(&other);
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints.into_iter().fold(exit, Exit::hint)
    })?;
    Ok(ready.into_iter().map(|(sha256, file)| (sha256, (file.path, file.size))).collect())
}

/// Returns the artifacts that are available locally, without downloading.
pub(crate) fn at_hand(
    cluster: &Cluster,
    drafted: &PlanDraft,
    cache: &Cache,
    look: &Look,
) -> Result<FetchedFiles, Exit> {
    let needed = drafted.needs();
    let mut artifacts = cluster.artifacts();
    artifacts.retain(|artifact| needed.contains(&artifact.sha256) && cache.is_here(artifact));
    process::runtime()?.block_on(fetch(cache, &artifacts, look))
}

/// Stores outlines in the cache, next to the artifacts.
pub(crate) fn outliner(cache: &Cache) -> Outliner {
    let cache = cache.clone();
    let make = move |sha256, zip: &Path| cache.outline(sha256, zip).map_err(|error| error.to_string());
    Outliner(Arc::new(make))
}
