//! `status`: its fields, and `--watch`, which reports changes over one connection.

use std::time::Duration;

use apim_tests::cli::Running;
use apim_tests::poll::until;
use apim_tests::process::Fault;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::Small;

const LIMIT: Duration = Duration::from_secs(60);

/// The server processes of the host.
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

/// Waits until the last line about am1 is one that `fits`.
#[track_caller]
fn await_line(run: &Running, what: &str, fits: impl Fn(&str) -> bool) {
    let is_shown =
        until(LIMIT, || run.output().lines().rfind(|line| line.contains("am1")).is_some_and(&fits));
    assert!(is_shown, "not shown: {what}\n{}", run.output());
}

#[test]
fn watch_reports_crash_and_recovery_over_one_connection() {
    let small = Small::new();
    small.apply().ended_with(0);
    let before = small.host().traffic().connections;
    let mut watch = status(&small, &["--watch=1s"]);
    await_line(&watch, "healthy", |line| line.contains("am1 healthy"));

    for pid in servers(&small) {
        rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
    }
    await_line(&watch, "down", |line| line.contains("am1 not healthy") && line.contains("stopped"));
    small.apply().ended_with(0);
    await_line(&watch, "healthy again", |line| line.contains("am1 healthy"));
    assert_eq!(small.host().traffic().connections - before, 2, "one login of `apply`, one of `status`");

    // Loss and return of the network are shown.
    small.host().fault(Fault::Refuse);
    await_line(&watch, "unreachable", |line| line.contains("unreachable"));
    small.host().fault(Fault::None);
    await_line(&watch, "reachable again", |line| line.contains("am1 healthy"));
    assert!(!watch.has_ended());
    watch.signal(Signal::INT);
    watch.wait(LIMIT).ended_with(0);
}

#[test]
fn status_reports_memory_certificate_and_drift() {
    let small = Small::new();
    let run = status(&small, &[]).wait(LIMIT).ended_with(1);
    assert!(run.stdout.contains("stopped"), "{}", run.stdout);
    small.apply().ended_with(0);
    let query = |words: &[&str], code: i32| {
        let run = status(&small, words).wait(LIMIT).ended_with(code);
        // Notes about the inventory precede it.
        serde_json::from_str::<Value>(run.stdout.lines().last().unwrap_or_default()).expect("one document")
    };
    let found = query(&["-o", "json"], 0);
    let node = &found["nodes"][0];
    assert_eq!(
        (&found["healthy"], &node["healthy"], &node["drift"]),
        (&true.into(), &true.into(), &0.into())
    );
    assert_eq!((&node["heap"], &node["certificate_served"]), (&"1024m".into(), &true.into()), "{node}");
    assert!(node["certificate_days"].as_i64().is_some_and(|days| days > 0), "{node}");
    assert!(node["observed"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{node}");

    let toml = super::secrets::find(&small, "deployment.toml");
    let text = std::fs::read_to_string(&toml).expect("the configuration");
    std::fs::write(&toml, format!("{text}\n# by hand\n")).expect("an edit");
    let found = query(&["-o", "json"], 0);
    assert!(found["nodes"][0]["drift"].as_u64().is_some_and(|steps| steps > 0), "{found}");
    let found = query(&["-o", "json", "--drift", "off"], 0);
    assert_eq!(found["nodes"][0]["drift"], Value::Null);

    let run = status(&small, &["--watch=soon"]).wait(LIMIT).ended_with(2);
    assert!(run.stderr.contains("--watch") && run.stderr.contains("10m"), "{}", run.stderr);
}

#[test]
fn watch_prints_one_json_document_per_refresh() {
    let small = Small::new();
    small.apply().ended_with(0);
    let watch = status(&small, &["--watch=1", "-o", "json"]);
    assert!(until(LIMIT, || watch.output().lines().count() >= 3), "{}", watch.output());
    watch.signal(Signal::INT);
    let run = watch.wait(LIMIT).ended_with(0);
    let documents =
        run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("one document a line"));
    let refreshes: Vec<Value> = documents.filter(|one| one["event"] == "status").collect();
    assert!(refreshes.len() >= 2, "{refreshes:?}");
    assert!(refreshes.iter().all(|one| one["nodes"][0]["node"] == "am1"), "{refreshes:?}");
}
