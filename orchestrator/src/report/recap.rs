//! The recap: results per host and duration per stage. Returns text, prints nothing.

use std::time::Duration;

use super::node_titles::NodeTitles;
use super::style::{Style, count, harmless, time};
use super::table::{Paint, Table};
use super::{probes, releases};
use apim_rollout::engine::{HostEnd, NodeResult, RunResult, Standing};
use apim_rollout::plan::model::Plan;
use apim_rollout::probe::Sum;

/// Shorter stages are summarized in one line.
const WORTH_A_LINE: Duration = Duration::from_millis(500);

/// Renders the recap.
#[must_use]
pub fn text(plan: &Plan, result: &RunResult, probed: &[Sum], titles: &NodeTitles, style: Style) -> String {
    let mut text = table(result, style);
    text.push('\n');
    stages(&mut text, plan, result);
    text.push_str(&releases::restarts(plan, result, titles));
    if let Some(stopped) = &result.stopped {
        let line = format!("stopped in stage {}, {}: {}", stopped.stage + 1, stopped.title, stopped.why);
        line_to(&mut text, &style.bad(harmless(&line)));
    }
    if !result.is_success() {
        rollout(&mut text, result);
    }
    text.push_str(&probes::text(probed, style));
    line_to(&mut text, &verdict(result, style));
    if let Some(line) = probes::verdict(probed) {
        line_to(&mut text, &style.bad(line));
    }
    text
}

/// Lists the nodes of every role with a node that was taken down or found down.
fn rollout(text: &mut String, result: &RunResult) {
    for together in result.nodes.chunk_by(|one, next| one.pool == next.pool) {
        let standing = |node: &NodeResult| match &node.standing {
            Standing::Renewed => format!("{} restarted, healthy", node.node),
            Standing::Untouched => format!("{} unchanged", node.node),
            Standing::Down(why) => format!("{} down ({why})", node.node),
        };
        let nodes: Vec<String> = together.iter().map(standing).collect();
        let pool = together.first().map_or("", |node| node.pool.as_str());
        line_to(text, &format!("{}: {}", harmless(pool), harmless(&nodes.join(", "))));
    }
}

fn table(result: &RunResult, style: Style) -> String {
    let heads = ["host", ">ok", ">changed", ">skipped", ">failed", ">unreachable", ""];
    let mut table = Table::new(style, &heads);
    for (name, host) in &result.hosts {
        let tally = host.tally;
        let number =
            |number: usize, paint: Paint| (number.to_string(), if number > 0 { paint } else { Paint::Plain });
        let mut stand = stand(&host.end);
        if tally.ignored > 0 {
            let ignored = count(tally.ignored, "failure");
            stand = if stand.is_empty() {
                format!("{ignored} ignored")
            } else {
                format!("{stand}; {ignored} ignored")
            };
        }
        table.row([
            (name.0.clone(), Paint::Plain),
            number(tally.ok, Paint::Good),
            number(tally.changed, Paint::Change),
            number(tally.skipped, Paint::Plain),
            number(tally.failed, Paint::Bad),
            number(tally.unreachable, Paint::Bad),
            (stand, Paint::Plain),
        ]);
    }
    table.text()
}

/// Returns the state of a host that did not complete.
fn stand(end: &HostEnd) -> String {
    match end {
        HostEnd::Done => String::new(),
        HostEnd::Failed(title) => format!("failed at: {title}"),
        HostEnd::Unreachable(..) => "unreachable".to_owned(),
        HostEnd::Stopped(Some(title)) => format!("stopped before: {title}"),
        HostEnd::Stopped(None) => "stopped".to_owned(),
    }
}

fn stages(text: &mut String, plan: &Plan, result: &RunResult) {
    let mut short = 0;
    let mut short_time = Duration::ZERO;
    for (index, took) in &result.stages {
        if *took < WORTH_A_LINE {
            short += 1;
            short_time += *took;
            continue;
        }
        let title = plan.stages.get(*index).map_or("", |stage| stage.title.as_str());
        line_to(text, &format!("{:>12}  {}. {}", time(*took), index + 1, harmless(title)));
    }
    if short > 0 && !result.nothing_to_do {
        line_to(text, &format!("{:>12}  {}", time(short_time), count(short, "other stage")));
    }
}

fn verdict(result: &RunResult, style: Style) -> String {
    let took = time(result.wall);
    if result.interrupted {
        return style.bad(format!("interrupted after {took}. Re-run to continue."));
    }
    let failed = result.hosts.values().filter(|host| host.end != HostEnd::Done).count();
    if failed > 0 || !result.is_success() {
        let hosts = count(failed, "host");
        return style.bad(format!("{hosts} failed or incomplete ({took}). Re-run to continue."));
    }
    match result.changes() {
        0 => {
            style.good(format!("nothing to change: {} up to date, {took}", count(result.hosts.len(), "host")))
        }
        changes => style.good(format!(
            "{} on {}, {took}",
            count(changes, "change"),
            count(result.hosts.len(), "host")
        )),
    }
}

fn line_to(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
