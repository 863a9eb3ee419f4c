//! Availability probes: a restart of the only node fails requests, and the run reports them.

use apim_tests::cli::Run;
use apim_tests::inventory::Inventory;
use serde_json::{Value, json};

use super::Small;
use crate::Recap;

/// The name in the node's certificate; resolved by `--probe-resolve` only.
const NAME: &str = "am1";

fn url(path: &str) -> String {
    format!("https://{NAME}:{}{path}", 9443 + Inventory::offset(0))
}

fn run(small: &Small, verb: &str, more: &[&str]) -> Run {
    let (inventory, url) = (small.inventory(), url("/services/Version"));
    let inventory = inventory.to_str().expect("a path");
    let resolve = format!("{NAME}=127.0.0.1");
    let probe = ["--probe", &url, "--probe-resolve", &resolve, "--probe-interval", "50ms"];
    small.operator.run([&[verb, inventory][..], &probe, more].concat())
}

/// Returns the recap, and its part about the only URL.
#[track_caller]
fn probed(run: &Run) -> (Value, Recap) {
    let recap = Recap::of(run);
    (recap.probes[0].clone(), recap)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number: {value}"))
}

#[test]
fn restart_of_only_node_fails_probes() {
    let mut small = Small::new();
    small.rehearsal.inventory.set(
        "keystores",
        json!({"mode": "issued", "passphrase": "pass-of-the-pki", "password": "pass-of-the-stores"}),
    );

    // Before the first installation nothing is listening: probes count from the first good answer.
    let first = run(&small, "apply", &["-o", "json"]).ended_with(0);
    let (sum, recap) = probed(&first);
    assert!(first.text().contains("is not healthy yet (connection refused)"), "{}", first.text());
    assert!(first.text().contains("its probes count from now on"), "{}", first.text());
    assert_eq!((&sum["failed"], recap.success), (&json!(0), true), "{sum}");
    assert!(number(&sum["sent"]) > 0, "{sum}");

    // A saved plan without changes: all requests succeed.
    let plan = small.operator.folder().join("saved.plan");
    let inventory = small.inventory();
    small
        .operator
        .run(["plan".as_ref(), inventory.as_os_str(), "--out".as_ref(), plan.as_os_str()])
        .ended_with(0);
    let idle = run(&small, "apply", &["--plan", plan.to_str().expect("a path"), "-o", "json"]).ended_with(0);
    let (sum, recap) = probed(&idle);
    assert_eq!(recap.changed(), 0, "{recap:?}");
    assert!(number(&sum["sent"]) > 2 && sum["failed"] == 0, "{sum}");

    // The only node is down during its restart: connections are refused.
    let restart = run(&small, "restart", &["-o", "json"]).ended_with(1);
    let (sum, recap) = probed(&restart);
    let failed = number(&sum["failed"]);
    assert!(failed > 0 && number(&sum["sent"]) > failed, "{sum}");
    assert_eq!((recap.success, recap.hosts["am1"].state.as_str()), (false, "done"));
    assert!(sum["gap"]["seconds"].as_f64().is_some_and(|gap| gap > 0.1), "{sum}");
    assert_eq!(sum["gap"]["open"], false, "{sum}");
    assert!(sum["gap"]["doing"].as_str().is_some_and(|doing| doing.contains("all-in-one am1")), "{sum}");
    assert!(restart.stdout.contains(r#""event":"probe_failed""#), "{}", restart.stdout);
    assert!(restart.stdout.contains(r#""event":"probe_answers""#), "{}", restart.stdout);

    let history = small.operator.run(["history", "-n", "1", "-o", "json"]).ended_with(0);
    let line: Value = serde_json::from_str(history.stdout.lines().next().expect("a run")).expect("an object");
    assert_eq!((&line["verb"], &line["code"]), (&json!("restart"), &json!(1)));
    let id = line["run"].as_str().expect("an id");
    let shown = small.operator.run(["history", "show", id]).ended_with(0);
    assert!(shown.stdout.contains(&format!("{failed} failed")), "{}", shown.stdout);
    assert!(shown.stdout.contains(&format!("--probe {}", url("/services/Version"))), "{}", shown.stdout);

    unhealthy_url_refuses_run(&small);
}

/// A run is refused if its probe URL is not healthy before it starts.
fn unhealthy_url_refuses_run(small: &Small) {
    let text = run(small, "restart", &["--probe-expect", "204"]).ended_with(1).text();
    assert!(text.contains("status 200") && text.contains("no host was changed"), "{text}");
    assert!(text.contains("--probe-expect"), "{text}");

    let inventory = small.inventory();
    let inventory = inventory.to_str().expect("a path");
    let other = url("/").replace(NAME, "other.example.com");
    let text = small
        .operator
        .run(["restart", inventory, "--probe", &other, "--probe-resolve", "other.example.com=127.0.0.1"])
        .ended_with(1)
        .text();
    assert!(text.contains("not trusted") && text.contains("--probe-ca"), "{text}");

    run(small, "stop", &["--allow-outage"]).ended_with(1);
    let text = run(small, "restart", &[]).ended_with(1).text();
    assert!(text.contains("connection refused") && text.contains("no host was changed"), "{text}");
    let started = run(small, "start", &["-o", "json"]).ended_with(0);
    assert_eq!(probed(&started).0["failed"], 0, "probes must count from the first good answer");
}

#[test]
fn invalid_flags_are_refused() {
    let small = Small::new();
    let inventory = small.inventory();
    let inventory = inventory.to_str().expect("a path");
    let empty = small.operator.file("empty.pem", "no certificate");
    let empty = empty.to_str().expect("a path");
    for (flags, why) in [
        (&["--probe", "gw.example.com"][..], "invalid URL"),
        (&["--probe", "https://anna:hush@gw.example.com/"], "a user or a password"),
        (&["--probe", "https://gw.example.com/", "--check"], "cannot be used with"),
        (&["--probe-interval", "50ms"], "--probe <URL>"),
        (&["--probe", "https://gw.example.com/", "--probe-interval", "1ms"], "between 10 ms and 60 s"),
        (&["--probe", "https://gw.example.com/", "--probe-expect", "20"], "invalid status"),
        (&["--probe", "https://gw.example.com/", "--probe-stop-after", "0"], "0"),
        (&["--probe", "https://gw.example.com/", "--probe-resolve", "gv.example.com=::1"], "did you mean"),
        (&["--probe", "https://gw.example.com/", "--probe-ca", empty], "no certificate found"),
    ] {
        for verb in ["apply", "restart", "stop", "start", "upgrade", "remove"] {
            let host: &[&str] = if verb == "remove" { &["am1", "--allow-outage", "--yes"] } else { &[] };
            let outage: &[&str] = if verb == "stop" { &["--allow-outage"] } else { &[] };
            let run =
                small.operator.run([&[verb, inventory][..], host, outage, flags].concat()).ended_with(2);
            assert!(run.text().contains(why), "{verb} {flags:?}: {}", run.text());
            assert!(!run.text().contains("hush@"), "{}", run.text());
        }
        if !flags.contains(&"--check") {
            let run = small.operator.run([&["rollback", inventory][..], flags].concat()).ended_with(2);
            assert!(run.text().contains(why), "rollback {flags:?}: {}", run.text());
        }
    }
    for verb in ["plan", "status"] {
        small.operator.run([verb, inventory, "--probe", "https://gw.example.com/"]).ended_with(2);
    }
}
