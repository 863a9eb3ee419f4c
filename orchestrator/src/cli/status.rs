//! `status`: how every node is, and whether it differs from what the files say.

use apim_agent::observation::Observation;
use apim_agent::operation::Operation;
use apim_agent::outcome::Outcome;
use serde_json::json;

use super::exit::{Exit, Kind};
use super::options::{Files, Reach, Shown};
use super::pipeline::{self, Ended, Wanted};
use crate::apim::Node;
use crate::engine::HostEnd;
use crate::inventory::host::HostName;
use crate::report::style::time;
use crate::report::table::{Paint, Table};
use crate::report::{self, Style};

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pub(super) shown: Shown,
}

/// One node as it was seen.
struct Row<'a> {
    node: &'a Node,
    /// `None` where its host could not be looked at; then this is why.
    seen: Result<&'a Observation, String>,
    /// How many steps would change something; `None` where it could not be found out.
    drift: Option<usize>,
}

pub(super) fn run(args: Args) -> Result<Kind, Exit> {
    let Args { files, reach, shown } = args;
    let wanted = Wanted { inspects: true, ..Wanted::look("status", None, (files, reach, shown)) };
    let mut ended = pipeline::run(&wanted)?;
    if ended.result.interrupted {
        return Ok(Kind::Interrupted);
    }
    let look = ended.look;
    let rows = rows(&ended);
    let healthy = !rows.is_empty() && rows.iter().all(Row::is_healthy);
    if look.json {
        for row in &rows {
            report::say(&row.json())?;
        }
        report::say(&json!({"event": "status", "healthy": healthy}).to_string())?;
    } else {
        report::say(&table(&rows, look.out))?;
        // Steps that fail while looking only (a gate that is shut) are in the table; hosts that cannot be reached are told.
        ended.result.outcomes.clear();
        report::say(&report::failure::text(&ended.plan, &ended.result, look.out))?;
    }
    Ok(if healthy { Kind::Converged } else { Kind::Failed })
}

fn rows(ended: &Ended) -> Vec<Row<'_>> {
    let lanes = || ended.plan.stages.iter().flat_map(|stage| &stage.lanes);
    let mut rows = Vec::new();
    for node in ended.cluster.nodes() {
        let steps = || lanes().filter(|lane| lane.host.0 == node.host).flat_map(|lane| &lane.steps);
        let own = |step: &&crate::plan::model::Step| step.node.as_ref().is_none_or(|name| *name == node.name);
        let Some(look) = steps().find(|step| {
            matches!(step.operation(), Some(Operation::Inspect(_))) && step.node.as_ref() == Some(&node.name)
        }) else {
            continue;
        };
        let host = ended.result.hosts.get(&HostName(node.host.clone()));
        let seen = match (ended.result.outcomes.get(&look.id), host.map(|host| &host.end)) {
            (Some(Outcome::Observed(seen)), _) => Ok(seen.as_ref()),
            (_, Some(HostEnd::Unreachable(..))) => Err("unreachable".to_owned()),
            (Some(Outcome::Failed(failure)), _) => Err(failure.what.clone()),
            _ => Err("not looked at".to_owned()),
        };
        let is_wish = |step: &&crate::plan::model::Step| {
            !matches!(
                step.operation(),
                Some(Operation::Wait(_) | Operation::Inspect(_) | Operation::Examine(_))
            )
        };
        let differs = |step: &&crate::plan::model::Step| {
            matches!(ended.result.outcomes.get(&step.id), Some(Outcome::WouldChange(_) | Outcome::Failed(_)))
        };
        let drift = seen.is_ok().then(|| steps().filter(own).filter(is_wish).filter(differs).count());
        rows.push(Row { node, seen, drift });
    }
    rows
}

impl Row<'_> {
    fn is_up(seen: &Observation) -> bool {
        matches!(seen.unit.as_str(), "active" | "running")
    }

    fn is_healthy(&self) -> bool {
        self.seen.as_ref().is_ok_and(|seen| Self::is_up(seen) && seen.gates.iter().all(|gate| gate.holds))
    }

    /// The release that `current` points to.
    fn release(&self) -> Option<&str> {
        let seen = self.seen.as_ref().ok()?;
        let target = seen.links.get(self.node.home.current.as_str())?.as_deref()?;
        target.rsplit('/').next()
    }

    fn gates(&self) -> (String, Paint) {
        let seen = match &self.seen {
            Ok(seen) => seen,
            Err(why) => return (why.clone(), Paint::Bad),
        };
        let shut: Vec<String> = seen
            .gates
            .iter()
            .filter(|gate| !gate.holds)
            .map(|gate| format!("{}: {}", gate.what, gate.answer))
            .collect();
        match shut.len() {
            0 => (format!("{} hold", seen.gates.len()), Paint::Good),
            _ => (shut.join("\n"), Paint::Bad),
        }
    }

    fn json(&self) -> String {
        let seen = self.seen.as_ref().ok();
        json!({
            "event": "node", "node": self.node.name.0, "host": self.node.host, "role": self.node.role.group(),
            "release": self.release(), "wished_release": self.node.release, "observed": seen,
            "problem": self.seen.as_ref().err(), "healthy": self.is_healthy(), "drift": self.drift,
        })
        .to_string()
    }
}

fn table(rows: &[Row<'_>], style: Style) -> String {
    let mut table = Table::new(style, &["node", "role", "release", "unit", "up", "drift", "gates"]);
    for row in rows {
        let seen = row.seen.as_ref().ok();
        let unit = match seen {
            Some(seen) => (seen.unit.clone(), if Row::is_up(seen) { Paint::Good } else { Paint::Bad }),
            None => ("?".to_owned(), Paint::Plain),
        };
        let uptime = seen.and_then(|seen| seen.uptime_secs).map(std::time::Duration::from_secs);
        let drift = match row.drift {
            None => ("?".to_owned(), Paint::Plain),
            Some(0) => ("no".to_owned(), Paint::Good),
            Some(steps) => (format!("yes ({steps})"), Paint::Change),
        };
        table.row([
            (row.node.name.0.clone(), Paint::Plain),
            (row.node.role.group().to_owned(), Paint::Plain),
            (row.release().unwrap_or("-").to_owned(), Paint::Plain),
            unit,
            (uptime.map_or_else(|| "-".to_owned(), time), Paint::Plain),
            drift,
            row.gates(),
        ]);
    }
    table.text()
}
