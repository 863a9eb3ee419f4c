//! Shows a plan without contacting a host.

use super::model::{OnFailure, Plan};

/// Returns every stage with its hosts and steps. Hosts with the same steps are grouped.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        let rule = match stage.on_failure {
            OnFailure::StopAtBarrier => String::new(),
            OnFailure::StopAbove(percent) => format!("  (continues with up to {percent} % failed hosts)"),
            OnFailure::StopAtOnce => "  (stops at the first failure)".to_owned(),
        };
        line(&mut text, &format!("{}. {}{rule}", number + 1, stage.title));
        let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for lane in &stage.lanes {
            let titles: Vec<&str> = lane.steps.iter().map(|step| step.title.as_str()).collect();
            match groups.iter_mut().find(|(_, known)| *known == titles) {
                Some((hosts, _)) => hosts.push(&lane.host.0),
                None => groups.push((vec![&lane.host.0], titles)),
            }
        }
        for (hosts, titles) in groups {
            line(&mut text, &format!("   {}", hosts.join(", ")));
            for title in titles {
                line(&mut text, &format!("     - {title}"));
            }
        }
    }
    text
}

/// Returns one line of JSON per step.
#[must_use]
pub fn json(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, stage) in plan.stages.iter().enumerate() {
        for (host, step) in
            stage.lanes.iter().flat_map(|lane| lane.steps.iter().map(|step| (&lane.host, step)))
        {
            let object = serde_json::json!({
                "event": "planned", "stage": number, "stage_title": stage.title, "host": host.0,
                "node": step.node.as_ref().map(|node| &node.0), "step": step.id, "title": step.title,
            });
            line(&mut text, &object.to_string());
        }
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
