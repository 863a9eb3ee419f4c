//! External load balancers, controlled by hooks: a command, and an HTTP server of the test. Both append
//! to one file what they receive, and which process the node has then.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::poll::until;
use apim_tests::process::processes;
use apim_tests::rehearsal::Rehearsal;
use rustix::process::Signal;
use serde_json::json;

use crate::{JSON, Recap, assert_nothing_changed};

const NODES: &[(&str, &str, &str)] = &[
    ("gw1", "gateway", "gateway"),
    ("gw2", "gateway", "gateway"),
    ("cp1", "control_plane", "control-plane"),
];

/// Must not be in any output.
const SECRET: &str = "sesame-of-the-balancer";

/// Appends to the file `$0`. Waits while `$0.hold-ACTION` exists; fails if `$0.refuse-ACTION` exists.
const COMMAND: &str = r#"
case "$LB_KEY" in sesame-of-the-*) ;; *) exit 9 ;; esac
echo "$APIM_ACTION $APIM_NODE $(cat)" >> "$0"
while [ -e "$0.hold-$APIM_ACTION" ]; do sleep 0.05; done
if [ -e "$0.refuse-$APIM_ACTION" ]; then echo "pool is locked, key $LB_KEY" >&2; exit 3; fi
"#;

struct Hooked {
    operator: Operator,
    rehearsal: Rehearsal,
    log: PathBuf,
}

impl Hooked {
    fn new() -> Self {
        let mut rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
        let mut operator = Operator::new();
        operator.set_variable("BALANCER_KEY", SECRET);
        let log = operator.file("calls", "");
        let port = balancer(&rehearsal, &log);
        let command = |stdin: &str| {
            json!({
                "command": ["sh", "-c", COMMAND, log],
                "stdin": stdin,
                "environment": {"LB_KEY": "{{ balancer_key }}"},
                "retries": 0,
                "timeout_secs": 60,
            })
        };
        let http = |state: &str| {
            json!({"http": {
                "method": "PUT",
                "url": format!("http://127.0.0.1:{port}/{{{{ node.name }}}}"),
                "headers": {"X-Token": "{{ balancer_key }}"},
                "json": {"state": state},
            }})
        };
        let inventory = &mut rehearsal.inventory;
        inventory.variables.insert("balancer_key".to_owned(), json!("KEY"));
        inventory
            .set("load_balancer.kind", json!("external"))
            .set("load_balancer.drain", json!([command("from {{ node.host }}"), http("drain")]))
            .set("load_balancer.drained", json!({"command": ["sh", "-c", "echo drained >> \"$0\"", log]}))
            .set("load_balancer.undrain", json!([http("ready"), command("to {{ node.role }}")]));
        Self { operator, rehearsal, log }
    }

    fn inventory(&self) -> PathBuf {
        let path = self.rehearsal.write();
        let text = fs::read_to_string(&path).expect("the inventory");
        let text = text.replace("balancer_key: KEY", "balancer_key: !env BALANCER_KEY");
        fs::write(&path, text).expect("the inventory");
        path
    }

    fn run(&self, words: &[&str]) -> Run {
        let inventory = self.inventory();
        let (verb, rest) = words.split_first().expect("a verb");
        let run = self.operator.run([*verb, inventory.to_str().expect("a path")].iter().chain(rest));
        assert!(!run.text().contains(SECRET), "a secret is shown\n{}", run.text());
        run
    }

    /// Returns and clears the recorded calls.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).expect("the calls");
        fs::write(&self.log, "").expect("the emptied file");
        text.lines().map(str::to_owned).collect()
    }

    fn switch(&self, what: &str, on: bool) {
        let path = self.log.with_file_name(format!("calls.{what}"));
        if on { fs::write(path, "") } else { fs::remove_file(path) }.expect("a switch");
    }

    /// Applies and asserts that nothing changed and no hook was called.
    #[track_caller]
    fn assert_up_to_date(&self) {
        assert_nothing_changed(self.run(&[&["apply"], &JSON[..]].concat()));
        assert_eq!(self.calls(), Vec::<String>::new());
    }

    fn mark(&self, host: &str) -> PathBuf {
        self.rehearsal.lab.host(host).expect("a host").root.join("opt/wso2/gateway/drained")
    }

    fn server(&self, host: &str) -> String {
        server(&self.rehearsal.lab.host(host).expect("a host").root)
    }
}

/// The process of the node below `root`, or `none`.
fn server(root: &Path) -> String {
    let mark = root.join("opt").display().to_string();
    let pids = processes(|arguments| arguments.contains(&mark));
    pids.first().map_or_else(|| "none".to_owned(), |pid| pid.as_raw_nonzero().to_string())
}

/// A load balancer with an HTTP API. Records requests and which process the node has then.
fn balancer(rehearsal: &Rehearsal, log: &Path) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let log = log.to_owned();
    let roots: Vec<(String, PathBuf)> =
        rehearsal.lab.hosts().iter().map(|host| (host.name.clone(), host.root.clone())).collect();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let request = request(&mut client);
            let state = if request.contains("\"drain\"") { "drain" } else { "ready" };
            let node = request.split(['/', ' ']).nth(2).unwrap_or_default();
            let root = roots.iter().find(|(name, _)| name == node).map(|(_, root)| root);
            let process = root.map_or_else(|| "unknown".to_owned(), |root| server(root));
            let is_known = request.contains(SECRET);
            let mut file = fs::OpenOptions::new().append(true).open(&log).expect("the file");
            writeln!(file, "PUT {node} {state} {process}").expect("written");
            let answer = if is_known { "204 No Content" } else { "403 Forbidden" };
            write!(client, "HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n").expect("an answer");
        }
    });
    port
}

fn request(client: &mut TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !heard.ends_with(b"}") {
        match client.read(&mut buffer) {
            Ok(bytes @ 1..) => heard.extend_from_slice(&buffer[..bytes]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

/// The calls for a node that is restarted, with its process before and after.
fn restart_calls(node: &str, (before, after): (&str, &str)) -> Vec<String> {
    vec![
        format!("drain {node} from {node}"),
        format!("PUT {node} drain {before}"),
        "drained".to_owned(),
        format!("PUT {node} ready {after}"),
        format!("undrain {node} to gateway"),
    ]
}

#[test]
fn hooks_drain_and_undrain_every_restarted_node() {
    let mut lab = Hooked::new();
    lab.run(&["apply"]).ended_with(0);
    assert_eq!(lab.calls(), Vec::<String>::new(), "a new node was drained");
    restart_drains_each_node(&lab);
    failed_drain_keeps_node_up(&lab);
    missing_hook_programs_are_reported(&mut lab);
    stopped_node_stays_drained(&lab);
    drain_and_undrain_verbs(&lab);
    lab.assert_up_to_date();
}

fn restart_drains_each_node(lab: &Hooked) {
    let before = [lab.server("gw1"), lab.server("gw2")];
    let restarted = lab.run(&["restart"]).ended_with(0);
    let after = [lab.server("gw1"), lab.server("gw2")];
    assert!(before[0] != after[0] && before[1] != after[1]);
    let each = [restart_calls("gw1", (&before[0], &after[0])), restart_calls("gw2", (&before[1], &after[1]))];
    let calls = lab.calls();
    let orders = [[each[0].clone(), each[1].clone()].concat(), [each[1].clone(), each[0].clone()].concat()];
    assert!(orders.contains(&calls), "{calls:#?}\n{}", restarted.text());
    let text = restarted.text();
    assert!(text.contains("gw1 is out of rotation (hook `sh -c"), "{text}");
    assert!(!lab.mark("gw1").exists() && !lab.mark("gw2").exists());
    let listed = lab.operator.run(["history", "-n", "1", "-o", "json"]).ended_with(0);
    let id = listed.stdout.split("\"run\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    let history = lab.operator.run(["history", "show", id]).ended_with(0);
    let back = "gw2 is back in rotation (hook `PUT http://127.0.0.1:";
    assert!(history.stdout.contains(back) && !history.stdout.contains(SECRET), "{}", history.text());
}

/// The error is quoted, and possible effects of the failed hook are undone.
fn failed_drain_keeps_node_up(lab: &Hooked) {
    let servers = [lab.server("gw1"), lab.server("gw2")];
    lab.switch("refuse-drain", true);
    let failed = lab.run(&["restart", "--role", "gateway"]).ended_with(1);
    lab.switch("refuse-drain", false);
    let text = failed.text();
    assert!(text.contains("exit status 3; output: pool is locked, key ****"), "{text}");
    assert_eq!([lab.server("gw1"), lab.server("gw2")], servers, "a node was restarted\n{text}");
    let calls = lab.calls();
    let node = if calls[0].contains("gw1") { "gw1" } else { "gw2" };
    let process = lab.server(node);
    let expected = [
        format!("drain {node} from {node}"),
        format!("PUT {node} ready {process}"),
        format!("undrain {node} to gateway"),
    ];
    assert_eq!(calls, expected, "{text}");
    assert!(!lab.mark(node).exists());

    lab.run(&["restart", "--limit", "gw1", "--no-drain"]).ended_with(0);
    assert_eq!(lab.calls(), Vec::<String>::new(), "a hook was called in spite of --no-drain");
}

fn missing_hook_programs_are_reported(lab: &mut Hooked) {
    let drain = lab.rehearsal.inventory.settings["load_balancer"]["drain"].take();
    let broken = json!([{"command": ["no-such-balancer"]}, {"http": {"url": "http://lb.invalid/"}}]);
    lab.rehearsal.inventory.set("load_balancer.drain", broken);
    let warned = lab.run(&["plan"]).ended_with(0);
    for words in
        ["`no-such-balancer` is not an executable program on this machine", "cannot resolve `lb.invalid`"]
    {
        assert!(warned.stderr.contains(words), "{}", warned.text());
    }
    lab.rehearsal.inventory.set("load_balancer.drain", drain);
}

fn stopped_node_stays_drained(lab: &Hooked) {
    lab.run(&["stop", "--limit", "gw1"]).ended_with(0);
    assert_eq!(lab.calls().last().map(String::as_str), Some("drained"));
    assert!(lab.mark("gw1").exists());
    let refused = lab.run(&["restart", "--limit", "gw2"]).ended_with(1);
    assert!(refused.text().contains("gw1"), "{}", refused.text());
    lab.run(&["start", "--limit", "gw1"]).ended_with(0);
    assert_eq!(lab.calls(), restart_calls("gw1", ("", &lab.server("gw1")))[3..]);
    assert!(!lab.mark("gw1").exists());
}

fn drain_and_undrain_verbs(lab: &Hooked) {
    let all = lab.run(&["drain", "gateway"]).ended_with(2);
    assert!(all.text().contains("every gateway out of rotation"), "{}", all.text());
    let shown = lab.run(&["drain", "gw2", "--check"]).ended_with(0);
    assert!(shown.stdout.contains("call hook `PUT http://127.0.0.1:"), "{}", shown.text());
    assert_eq!(lab.calls(), Vec::<String>::new());
    lab.run(&["drain", "gw2"]).ended_with(0);
    assert_eq!(lab.calls(), restart_calls("gw2", (&lab.server("gw2"), ""))[..3]);
    let refused = lab.run(&["restart", "--limit", "gw1"]).ended_with(1);
    assert!(refused.text().contains("gw2 (drained by a hook"), "{}", refused.text());
    assert_eq!(lab.calls(), Vec::<String>::new());
    lab.run(&["undrain", "gw2"]).ended_with(0);
    assert_eq!(lab.calls().len(), 2);
    assert!(!lab.mark("gw2").exists());
}

#[test]
fn run_after_killed_drain_undrains_node() {
    let lab = Hooked::new();
    lab.run(&["apply"]).ended_with(0);
    for (moment, is_restarted) in [("hold-drain", false), ("hold-undrain", true)] {
        let before = lab.server("gw2");
        lab.switch(moment, true);
        let inventory = lab.inventory();
        let run = lab.operator.start(["restart", inventory.to_str().expect("a path"), "--limit", "gw2"]);
        let action = moment.trim_start_matches("hold-");
        let is_called =
            || fs::read_to_string(&lab.log).is_ok_and(|text| text.contains(&format!("{action} gw2")));
        assert!(until(Duration::from_secs(120), is_called), "{}", run.output());
        run.signal(Signal::KILL);
        drop(run);
        lab.switch(moment, false);
        assert!(lab.mark("gw2").exists(), "{moment}");
        let mark = fs::read_to_string(lab.mark("gw2")).expect("the mark");
        assert!(mark.contains("gw2 was drained by hooks in run"), "{mark}");
        assert_eq!(lab.server("gw2") != before, is_restarted, "{moment}");
        let mark = lab.rehearsal.lab.host("gw2").expect("gw2").state.display().to_string();
        let free = || {
            processes(|arguments| arguments.contains("apim-agent") && arguments.contains(&mark)).is_empty()
        };
        assert!(until(Duration::from_secs(30), free), "the agent of the killed run is still running");
        lab.calls();

        // No other gateway is restarted while gw2 is out of rotation.
        let refused = lab.run(&["restart", "--limit", "gw1"]).ended_with(1);
        assert!(refused.text().contains("gw2 (drained by a hook"), "{}", refused.text());
        let planned = lab.run(&["plan"]).ended_with(0);
        assert!(planned.stdout.contains("call hook `PUT http://127.0.0.1:"), "{}", planned.text());
        assert_eq!(lab.calls(), Vec::<String>::new());

        let again = lab.run(&[&["apply"], &JSON[..]].concat()).ended_with(0);
        let process = lab.server("gw2");
        assert_eq!(
            lab.calls(),
            [format!("PUT gw2 ready {process}"), "undrain gw2 to gateway".to_owned()],
            "{}",
            again.text()
        );
        assert_eq!(Recap::of(&again).changed(), 1, "{}", again.text());
        assert!(!lab.mark("gw2").exists());
        lab.assert_up_to_date();
    }
}
