//! The steps of a saved plan and their survey results, as keyed digests, so that the file contains
//! no secrets.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::value::{Secret, Sha256};
use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::plan::model::{Plan, Step};
use apim_product::StepOptions;
use apim_product::work::{DatabaseSpec, Work};
use apim_transport::host::HostName;

/// A stage of a saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedStage {
    /// Its title.
    pub title: String,
    /// Its lanes.
    pub lanes: Vec<SavedLane>,
}

/// A lane of a saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedLane {
    /// The host.
    pub host: String,
    /// Its steps.
    pub steps: Vec<SavedStep>,
}

/// A step of a saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedStep {
    /// Its title.
    pub title: String,
    /// Keyed digest of everything that the step would do.
    pub work: Sha256,
    /// Its survey result.
    pub found: Found,
}

/// Survey result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", deny_unknown_fields)]
pub enum Found {
    /// Up to date.
    #[serde(rename = "as_wished")]
    UpToDate,
    /// Differs: keyed digest of the difference; `None` if it varies between checks.
    Differs {
        /// Keyed digest of the difference.
        how: Option<Sha256>,
    },
    /// Cannot be checked before earlier steps are applied.
    NotYet,
    /// Read-only, or not checked.
    #[serde(rename = "not_bound")]
    NotCompared,
}

/// Identity of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostIdentity {
    /// Machine id; empty if the host has none.
    pub machine: String,
    /// Host name as reported by the host.
    pub hostname: String,
    /// `uname -m`.
    pub architecture: String,
}

impl From<&Facts> for HostIdentity {
    fn from(facts: &Facts) -> Self {
        let Facts { machine, hostname, architecture, .. } = facts;
        Self { machine: machine.clone(), hostname: hostname.clone(), architecture: architecture.clone() }
    }
}

/// Returns the identities of the hosts that were reached.
pub fn hosts<'a>(seen: impl Iterator<Item = (&'a HostName, &'a Facts)>) -> BTreeMap<String, HostIdentity> {
    seen.map(|(host, facts)| (host.0.clone(), facts.into())).collect()
}

/// Returns the stages of `plan`, each step with its result from `seen`.
#[must_use]
pub fn stages(plan: &Plan, seen: &BTreeMap<StepId, Outcome>, key: &Key) -> Vec<SavedStage> {
    let step = |host: &HostName, step: &Step| SavedStep {
        title: step.title.clone(),
        work: work(host, step, key),
        found: found(step, seen.get(&step.id), key),
    };
    let lanes = |stage: &crate::plan::model::Stage| {
        let lanes = stage.lanes.iter().map(|lane| SavedLane {
            host: lane.host.0.clone(),
            steps: lane.steps.iter().map(|one| step(&lane.host, one)).collect(),
        });
        lanes.collect()
    };
    plan.stages.iter().map(|stage| SavedStage { title: stage.title.clone(), lanes: lanes(stage) }).collect()
}

/// Returns the keyed digest of everything that a step would do.
pub(super) fn work(host: &HostName, step: &Step, key: &Key) -> Sha256 {
    let Step { title, work, node, budget, proves_health, options, .. } = step;
    let StepOptions { tags, ignore_failure, check_only, no_log, retries, delay_secs } = options;
    let how = (proves_health, ignore_failure, check_only, no_log, retries, delay_secs, tags);
    let identity = (&host.0, title, node.as_ref().map(|node| &node.0), budget, how);
    let mut bytes = serde_json::to_vec(&identity).unwrap_or_default();
    let mut secrets: Vec<&Secret> = Vec::new();
    match work {
        Work::Host(operation) => bytes.extend(serde_json::to_vec(operation).unwrap_or_default()),
        Work::Query(query) => bytes.extend(serde_json::to_vec(query).unwrap_or_default()),
        Work::Database(database) => {
            // The debug output masks secrets. They are part of the work, so they are added below.
            bytes.extend(format!("{database:?}").into_bytes());
            match &database.spec {
                DatabaseSpec::Schemas(spec) => {
                    secrets.extend(spec.creation.admin.iter().map(|admin| &admin.password));
                    secrets.extend(spec.schemas.iter().map(|schema| &schema.login.password));
                }
                DatabaseSpec::Logins { logins, .. } => {
                    secrets.extend(logins.iter().map(|login| &login.password));
                }
            }
        }
        Work::Shift(shift) => {
            bytes.extend(format!("{shift:?}").into_bytes());
            secrets.extend(shift.hooks.secrets());
        }
    }
    for secret in secrets {
        bytes.push(0);
        bytes.extend(secret.expose().as_bytes());
    }
    key.digest("step", &bytes)
}

/// Returns the survey result of a step.
pub(super) fn found(step: &Step, seen: Option<&Outcome>, key: &Key) -> Found {
    if matches!(step.query(), Some(Query::Examine(_) | Query::Inspect(_))) {
        return Found::NotCompared;
    }
    let is_wait = matches!(step.operation(), Some(Operation::Wait(_)));
    match seen {
        None | Some(Outcome::Observed(_)) => Found::NotCompared,
        Some(Outcome::Ok | Outcome::Skipped(_)) => Found::UpToDate,
        // The exact error of a server that is down varies between checks.
        Some(Outcome::WouldChange(_) | Outcome::Changed(_) | Outcome::Failed(_)) if is_wait => {
            Found::Differs { how: None }
        }
        Some(Outcome::WouldChange(difference) | Outcome::Changed(difference)) => {
            let items: Vec<String> = difference.statements().iter().map(|item| without_time(item)).collect();
            let bytes = serde_json::to_vec(&(items, &difference.diff)).unwrap_or_default();
            Found::Differs { how: Some(key.digest("found", &bytes)) }
        }
        Some(Outcome::Failed(_)) => Found::NotYet,
    }
}

/// Removes durations: `up for 93 s` is the same finding a minute later.
fn without_time(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let shown = words.iter().enumerate().map(|(at, word)| {
        let is_unit = words
            .get(at + 1)
            .is_some_and(|next| matches!(next.trim_end_matches([',', ':', ';']), "s" | "min" | "h"));
        if is_number(word) && is_unit { "#" } else { word }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_time;

    #[test]
    fn durations_are_ignored_and_other_numbers_count() {
        let stuck = |secs| format!("startup is stuck: up for {secs} s, not ready");
        assert_eq!(without_time(&stuck(93)), without_time(&stuck(1200)));
        assert_ne!(without_time("mode 0644 -> 0600"), without_time("mode 0640 -> 0600"));
    }
}
