//! The failure of a wait: what was awaited and is missing, the first cause found, the last lines of the log, and what to do.

use std::time::Duration;

use apim_protocol::mask;
use apim_protocol::operation::wait::{Condition, Wait};
use apim_protocol::outcome::Failure;

use super::service_watch::ServiceWatch;
use crate::probe::text::shortened;

/// How much of a log line is shown.
const LINE: usize = 500;
/// A log that says nothing for this long is worth telling.
const SILENCE: Duration = Duration::from_secs(10);
/// How many causes are shown.
const CAUSES: usize = 5;

/// Why a wait ended without success.
#[derive(Debug)]
pub(super) enum End {
    /// The time is over.
    Deadline(Duration),
    /// The service ended: how, and after how long.
    Gone(String, Duration),
    /// The service wrote that it cannot become healthy, after so long.
    Fatal(Duration),
    /// The run was called off.
    Cancelled,
}

/// Returns the failure for `wait`, of whose conditions those in `unmet` (words and last answer) do not hold.
pub(super) fn failure(
    wait: &Wait,
    end: &End,
    unmet: &[(String, String)],
    service: Option<&mut ServiceWatch<'_>>,
    remarks: &[String],
) -> Failure {
    let Some(service) = service else {
        return Failure {
            what: what(wait, end, unmet, None),
            causes: [others(unmet), remarks.to_vec()].concat(),
            log: Vec::new(),
            hint: generic_hint(wait, end),
        };
    };
    // what was printed may hold the cause, so it is read first
    let log = service.last_words();
    let seen = service.causes.seen();
    let mut causes = Vec::new();
    for (cause, line) in seen.iter().take(CAUSES) {
        causes.push(cause.cause.clone());
        causes.push(format!("logged: {line}"));
    }
    causes.extend(others(unmet));
    causes.extend(remarks.iter().cloned());
    if matches!(end, End::Deadline(_)) && service.grown.elapsed() > SILENCE {
        causes.push(format!("its log has said nothing new for {} s", service.grown.elapsed().as_secs()));
    }
    causes.extend(service.log_error().map(str::to_owned));
    let hint = seen.first().map(|(cause, _)| cause.hint.clone()).filter(|hint| !hint.is_empty());
    Failure {
        what: what(wait, end, unmet, seen.first().map(|(cause, _)| cause.cause.as_str())),
        causes,
        log: log.iter().map(|line| shortened(&mask::line(line), LINE)).collect(),
        hint: hint.or_else(|| generic_hint(wait, end)),
    }
}

fn what(wait: &Wait, end: &End, unmet: &[(String, String)], cause: Option<&str>) -> String {
    let awaited = &wait.awaited;
    let missing = unmet.first().map(|(words, answer)| format!("missing: {words} (last answer: {answer})"));
    let missing =
        missing.unwrap_or_else(|| "every condition was met once, but never all together".to_owned());
    let because = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    match end {
        // Time makes no other version.
        End::Deadline(_) if wait.conditions.iter().all(|one| matches!(one, Condition::Version { .. })) => {
            format!("{awaited}{because}; {missing}")
        }
        End::Deadline(elapsed) => {
            format!("{awaited}: not within {} s{because}; {missing}", elapsed.as_secs())
        }
        End::Gone(how, elapsed) => {
            format!("{awaited}: {how}, {} s into the wait{because}", elapsed.as_secs())
        }
        End::Fatal(elapsed) => format!(
            "{awaited}: startup failed, according to its log after {} s{because}; {missing}",
            elapsed.as_secs()
        ),
        End::Cancelled => {
            format!("{awaited}: not awaited any longer, because the run was cancelled; {missing}")
        }
    }
}

fn others(unmet: &[(String, String)]) -> Vec<String> {
    unmet.iter().skip(1).map(|(words, answer)| format!("also missing: {words} ({answer})")).collect()
}

fn generic_hint(wait: &Wait, end: &End) -> Option<String> {
    let log = wait.service.as_ref().and_then(|service| service.log.as_ref());
    match (end, log) {
        (End::Cancelled, _) => Some("run again to go on".to_owned()),
        (End::Gone(..), Some(log)) => Some(format!("see why it ended in {log}, then run again")),
        (_, Some(log)) => {
            Some(format!("see {log} on the host; if it is only slow, allow more time and run again"))
        }
        (_, None) => None,
    }
}
