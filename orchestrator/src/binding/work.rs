//! What the steps of a plan would do, and how a look at the hosts found each: as keyed digests, so that a plan holds no secret.

use std::collections::BTreeMap;

use apim_protocol::facts::Facts;
use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::outcome::Outcome;
use apim_protocol::query::Query;
use apim_protocol::value::{Secret, Sha256};
use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::inventory::host::HostName;
use crate::plan::model::{DatabaseWish, Plan, Step, Work};

/// A stage of a bound plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageBound {
    /// Its title.
    pub title: String,
    /// Its lanes.
    pub lanes: Vec<LaneBound>,
}

/// A lane of a bound plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneBound {
    /// The host.
    pub host: String,
    /// Its steps.
    pub steps: Vec<StepBound>,
}

/// A step of a bound plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepBound {
    /// Its title.
    pub title: String,
    /// The keyed digest of all that it would do.
    pub work: Sha256,
    /// How its host was found.
    pub found: Found,
}

/// How a step was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", deny_unknown_fields)]
pub enum Found {
    /// As wished.
    AsWished,
    /// It differs, and the keyed digest of how; `None` where that varies from look to look.
    Differs {
        /// How.
        how: Option<Sha256>,
    },
    /// It could not be looked at, as long as what comes before it is not done.
    NotYet,
    /// It only looks, or was not looked at.
    NotBound,
}

/// Who a host was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSeen {
    /// What tells machines apart; empty where the host has nothing of the kind.
    pub machine: String,
    /// Its own name.
    pub hostname: String,
    /// `uname -m`.
    pub architecture: String,
}

impl From<&Facts> for HostSeen {
    fn from(facts: &Facts) -> Self {
        let Facts { machine, hostname, architecture, .. } = facts;
        Self { machine: machine.clone(), hostname: hostname.clone(), architecture: architecture.clone() }
    }
}

/// Returns who the hosts are that were reached.
pub fn hosts<'a>(seen: impl Iterator<Item = (&'a HostName, &'a Facts)>) -> BTreeMap<String, HostSeen> {
    seen.map(|(host, facts)| (host.0.clone(), facts.into())).collect()
}

/// Returns the stages of `plan`, each step as `seen` tells that it was found.
#[must_use]
pub fn stages(plan: &Plan, seen: &BTreeMap<StepId, Outcome>, key: &Key) -> Vec<StageBound> {
    let step = |host: &HostName, step: &Step| StepBound {
        title: step.title.clone(),
        work: work(host, step, key),
        found: found(step, seen.get(&step.id), key),
    };
    let lanes = |stage: &crate::plan::model::Stage| {
        let lanes = stage.lanes.iter().map(|lane| LaneBound {
            host: lane.host.0.clone(),
            steps: lane.steps.iter().map(|one| step(&lane.host, one)).collect(),
        });
        lanes.collect()
    };
    plan.stages.iter().map(|stage| StageBound { title: stage.title.clone(), lanes: lanes(stage) }).collect()
}

/// Returns the keyed digest of all that a step would do.
pub(super) fn work(host: &HostName, step: &Step, key: &Key) -> Sha256 {
    let Step { id: _, title, work, node, budget, proves_health, ignore_failure, .. } = step;
    let Step { check_only, no_log, retries, delay_secs, tags, .. } = step;
    let how = (proves_health, ignore_failure, check_only, no_log, retries, delay_secs, tags);
    let who = (&host.0, title, node.as_ref().map(|node| &node.0), budget, how);
    let mut bytes = serde_json::to_vec(&who).unwrap_or_default();
    let mut secrets: Vec<&Secret> = Vec::new();
    match work {
        Work::Host(operation) => bytes.extend(serde_json::to_vec(operation).unwrap_or_default()),
        Work::Query(query) => bytes.extend(serde_json::to_vec(query).unwrap_or_default()),
        Work::Database(database) => {
            // Shown, its secrets are masked; they are part of what is done all the same.
            bytes.extend(format!("{database:?}").into_bytes());
            match &database.wish {
                DatabaseWish::Schemas(wish) => {
                    secrets.extend(wish.creation.admin.iter().map(|admin| &admin.password));
                    secrets.extend(wish.schemas.iter().map(|schema| &schema.login.password));
                }
                DatabaseWish::Logins { logins, .. } => {
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

/// Returns how a step was found.
pub(super) fn found(step: &Step, seen: Option<&Outcome>, key: &Key) -> Found {
    if matches!(step.query(), Some(Query::Examine(_) | Query::Inspect(_))) {
        return Found::NotBound;
    }
    let is_wait = matches!(step.operation(), Some(Operation::Wait(_)));
    match seen {
        None | Some(Outcome::Observed(_)) => Found::NotBound,
        Some(Outcome::Ok | Outcome::Skipped(_)) => Found::AsWished,
        // What exactly a server that is not up answers is another thing each time.
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

/// Takes out how long something has lasted: `up for 93 s` is the same thing a minute later.
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
    fn how_long_it_lasts_does_not_count_and_other_numbers_do() {
        let stuck = |secs| format!("its last start is stuck: up for {secs} s, and it has not said so");
        assert_eq!(without_time(&stuck(93)), without_time(&stuck(1200)));
        assert_ne!(without_time("mode 0644 -> 0600"), without_time("mode 0640 -> 0600"));
    }
}
