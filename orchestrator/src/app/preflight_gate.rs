//! The preflight gate: judges the answers of the hosts between the survey and the first change.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use apim_protocol::observation::Answer;
use apim_protocol::outcome::Failure;
use apim_protocol::value::Sha256;

use crate::app::release_changes::{self, ReleaseChange};
use crate::report::style::count;
use apim_product::Cluster;
use apim_product::preflight::{self, Row, Seen, Status};
use apim_rollout::artifact::Cache;
use apim_rollout::engine::{Preflight, PreflightResult};

/// The answers of one host.
pub(crate) struct Heard<'a> {
    pub(crate) host: &'a str,
    pub(crate) facts: Option<&'a apim_protocol::facts::Facts>,
    pub(crate) answers: Result<&'a [Answer], Failure>,
    pub(crate) heard: Option<SystemTime>,
}

pub(crate) fn judged(cluster: &Cluster, heard: &[Heard<'_>], sizes: &BTreeMap<Sha256, u64>) -> Vec<Row> {
    let seen: Vec<Seen<'_>> = heard
        .iter()
        .map(|one| Seen {
            host: one.host,
            facts: one.facts,
            answers: one.answers.clone(),
            heard_millis: one.heard.and_then(millis),
        })
        .collect();
    preflight::judge(cluster, &seen, sizes)
}

fn millis(at: SystemTime) -> Option<u64> {
    u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Returns the preflight gate of a run that changes hosts or shows pending changes.
pub(crate) fn judge(cluster: &Cluster, sizes: &BTreeMap<Sha256, u64>, cache: &Cache) -> Preflight {
    let (cluster, sizes, cache) = (cluster.clone(), sizes.clone(), cache.clone());
    Preflight(std::sync::Arc::new(move |hosts| {
        let heard: Vec<Heard<'_>> = hosts
            .iter()
            .map(|one| Heard {
                host: &one.host.0,
                facts: one.facts.as_ref(),
                answers: one.answers.as_deref().map_err(Failure::new),
                heard: one.heard,
            })
            .collect();
        let rows = judged(&cluster, &heard, &sizes);
        let mut result = PreflightResult::default();
        for one in hosts {
            let failed: Vec<&Row> =
                rows.iter().filter(|row| row.host == one.host.0 && row.status == Status::Fail).collect();
            if !failed.is_empty() {
                result.failures.push((one.step, failure(&failed)));
            }
        }
        let warned: Vec<&Row> = rows.iter().filter(|row| row.status == Status::Warn).collect();
        if !warned.is_empty() {
            let mut checks: Vec<&str> = warned.iter().map(|row| row.check.word()).collect();
            checks.sort_unstable();
            checks.dedup();
            result.warnings.push(format!(
                "preflight: {} ({}); `apim-deploy preflight` shows details",
                count(warned.len(), "warning"),
                checks.join(", ")
            ));
        }
        let changes = hosts.iter().flat_map(|one| &one.moves);
        let changes: Vec<ReleaseChange> =
            changes.map(|(node, moved)| ReleaseChange::of(&cluster, node, moved)).collect();
        result.warnings.extend(release_changes::schemas(&cluster, &cache, &changes));
        result
    }))
}

fn failure(rows: &[&Row]) -> Failure {
    let mut failure = match rows {
        [only] => Failure::new(format!("{}: {}", only.check.word(), only.found)),
        _ => Failure {
            causes: rows.iter().map(|row| format!("{}: {}", row.check.word(), row.found)).collect(),
            ..Failure::new(format!("{} preflight checks failed", rows.len()))
        },
    };
    let remedies: Vec<&str> = rows.iter().filter_map(|row| row.remedy.as_deref()).collect();
    failure.hint = (!remedies.is_empty()).then(|| remedies.join("\n"));
    failure
}
