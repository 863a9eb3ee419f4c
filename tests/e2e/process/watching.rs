//! `status`, once and again and again: what it tells of a node, that it sees one die and come back, and that it keeps its connection.

use std::time::Duration;

use apim_tests::cli::Running;
use apim_tests::poll::until;
use apim_tests::process::Fault;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::Small;

const PATIENCE: Duration = Duration::from_secs(60);

/// The server of the host.
fn servers(small: &Small) -> Vec<Pid> {
    let mark = small.host().root.join("opt/wso2").display().to_string();
    apim_tests::process::processes(|arguments| {
        arguments.contains("org.wso2.carbon.bootstrap.Bootstrap") && arguments.contains(&mark)
    })
}

fn status(small: &Small, words: &[&str]) -> Running {
    let inventory = small.inventory();
    let before = ["status".as_ref(), inventory.as_os_str()];
    small.operator.start(before.into_iter().chain(words.iter().map(AsRef::as_ref)))
}

/// Waits until the last line said is one that `fits`.
#[track_caller]
fn says(run: &Running, what: &str, fits: impl Fn(&str) -> bool) {
    let said = until(PATIENCE, || run.said().lines().rfind(|line| line.contains("am1")).is_some_and(&fits));
    assert!(said, "not said: {what}\n{}", run.said());
}

#[test]
fn a_node_that_dies_and_comes_back_is_seen_over_one_connection() {
    let small = Small::new();
    small.apply().ended_with(0);
    let before = small.host().traffic().connections;
    let mut watch = status(&small, &["--watch=1s"]);
    says(&watch, "that it is healthy", |line| line.contains("am1 healthy"));

    for pid in servers(&small) {
        rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
    }
    says(&watch, "that it is down", |line| line.contains("am1 not healthy") && line.contains("stopped"));
    small.apply().ended_with(0);
    says(&watch, "that it is back", |line| line.contains("am1 healthy"));
    assert_eq!(small.host().traffic().connections - before, 2, "one login of `apply`, one of `status`");

    // A network that is gone is shown, and so is that it is back.
    small.host().fault(Fault::Refuse);
    says(&watch, "that the host is away", |line| line.contains("unreachable"));
    small.host().fault(Fault::None);
    says(&watch, "that the host is back", |line| line.contains("am1 healthy"));
    assert!(!watch.has_ended());
    watch.signal(Signal::INT);
    watch.wait(PATIENCE).ended_with(0);
}

#[test]
fn a_status_tells_memory_certificate_and_drift() {
    let small = Small::new();
    let run = status(&small, &[]).wait(PATIENCE).ended_with(1);
    assert!(run.stdout.contains("stopped"), "{}", run.stdout);
    small.apply().ended_with(0);
    let look = |words: &[&str], code: i32| {
        let run = status(&small, words).wait(PATIENCE).ended_with(code);
        // Notes about the inventory stand before it.
        serde_json::from_str::<Value>(run.stdout.lines().last().unwrap_or_default()).expect("one document")
    };
    let said = look(&["-o", "json"], 0);
    let node = &said["nodes"][0];
    assert_eq!((&said["healthy"], &node["healthy"], &node["drift"]), (&true.into(), &true.into(), &0.into()));
    assert_eq!((&node["heap"], &node["certificate_served"]), (&"1024m".into(), &true.into()), "{node}");
    assert!(node["certificate_days"].as_i64().is_some_and(|days| days > 0), "{node}");
    assert!(node["observed"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{node}");

    let toml = super::secrets::find(&small, "deployment.toml");
    let text = std::fs::read_to_string(&toml).expect("the configuration");
    std::fs::write(&toml, format!("{text}\n# by hand\n")).expect("an edit");
    let said = look(&["-o", "json"], 0);
    assert!(said["nodes"][0]["drift"].as_u64().is_some_and(|steps| steps > 0), "{said}");
    let said = look(&["-o", "json", "--drift", "off"], 0);
    assert_eq!(said["nodes"][0]["drift"], Value::Null);

    let run = status(&small, &["--watch=soon"]).wait(PATIENCE).ended_with(2);
    assert!(run.stderr.contains("--watch") && run.stderr.contains("10m"), "{}", run.stderr);
}

#[test]
fn for_programs_every_round_is_one_document() {
    let small = Small::new();
    small.apply().ended_with(0);
    let watch = status(&small, &["--watch=1", "-o", "json"]);
    assert!(until(PATIENCE, || watch.said().lines().count() >= 3), "{}", watch.said());
    watch.signal(Signal::INT);
    let run = watch.wait(PATIENCE).ended_with(0);
    let said =
        run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("one document a line"));
    let rounds: Vec<Value> = said.filter(|said| said["event"] == "status").collect();
    assert!(rounds.len() >= 2 && rounds.iter().all(|round| round["nodes"][0]["node"] == "am1"), "{rounds:?}");
}
