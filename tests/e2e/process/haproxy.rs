//! A real HAProxy in front of two gateways, told by hooks over its socket: no request is lost while they are restarted.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use apim_tests::cli::Operator;
use apim_tests::distributions::Distributions;
use apim_tests::inventory::Inventory;
use apim_tests::load::{Load, Target};
use apim_tests::poll::until;
use apim_tests::rehearsal::Rehearsal;
use serde_json::json;

const NODES: &[(&str, &str, &str)] = &[
    ("gw1", "gateway", "gateway"),
    ("gw2", "gateway", "gateway"),
    ("cp1", "control_plane", "control-plane"),
];

/// As `inventory/haproxy.yaml` has it: HAProxy says something when it did not do what it was asked.
const TELL: &str = r#"
said=$(socat -t 5 stdio "unix-connect:$0") || exit 1
[ -z "$said" ] || { echo "$said" >&2; exit 1; }
"#;

/// HAProxy; gone when dropped.
struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn is_there(program: &str) -> bool {
    let version = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok()
}

/// Starts HAProxy in `folder` in front of the gateways' HTTP ports; it does not look after them by itself.
fn haproxy(folder: &Path) -> (Haproxy, SocketAddr) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|one| one.local_addr()).expect("a port");
    let server =
        |at: usize, name: &str| format!("  server {name} 127.0.0.1:{}\n", 8280 + Inventory::offset(at));
    let text = format!(
        "global\n  stats socket {}/admin.sock mode 600 level admin\n\
         defaults\n  mode http\n  timeout connect 2s\n  timeout client 20s\n  timeout server 20s\n  retries 0\n\
         frontend calls\n  bind {free}\n  default_backend gateway\n\
         backend gateway\n  balance roundrobin\n{}{}",
        folder.display(),
        server(0, "gw1"),
        server(1, "gw2")
    );
    let path = folder.join("haproxy.cfg");
    fs::write(&path, text).expect("its configuration");
    let log = fs::File::create(folder.join("haproxy.log")).expect("its log");
    let child =
        Command::new("haproxy").args(["-db", "-f"]).arg(&path).stderr(log).spawn().expect("HAProxy starts");
    let haproxy = Haproxy(child);
    assert!(until(Duration::from_secs(10), || std::net::TcpStream::connect(free).is_ok()), "HAProxy listens");
    (haproxy, free)
}

#[test]
fn behind_a_real_haproxy_no_request_is_lost_while_gateways_are_restarted() {
    if !is_there("haproxy") || !is_there("socat") {
        eprintln!(
            "skipped: there is no haproxy or no socat on this machine (`apt-get install haproxy socat`)"
        );
        return;
    }
    let mut rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
    let operator = Operator::new();
    let (_haproxy, address) = haproxy(operator.folder());
    let socket = operator.folder().join("admin.sock");
    let hook = |state: &str, node: &str| {
        json!({
            "name": format!("HAProxy: {state}"),
            "command": ["sh", "-c", TELL, socket],
            "stdin": format!("set server gateway/{node} state {state}\n"),
            "retries": 0,
        })
    };
    let inventory = &mut rehearsal.inventory;
    inventory
        .set("load_balancer.kind", json!("external"))
        .set("load_balancer.drain_secs", json!(10))
        .set("load_balancer.drain", hook("drain", "{{ node.name }}"))
        .set("load_balancer.undrain", hook("ready", "{{ node.name }}"));
    let path = rehearsal.write();
    let run =
        |words: &[&str]| operator.run([words[0], path.to_str().expect("a path")].iter().chain(&words[1..]));
    run(&["apply"]).ended_with(0);

    let target =
        Target { name: "gw.wso2.com".to_owned(), address, path: "/pizza/1.0/menu".to_owned(), trust: None };
    let load = Load::on(&[target]);
    std::thread::sleep(Duration::from_secs(1));
    let restarted = run(&["restart", "--role", "gateway"]).ended_with(0);
    std::thread::sleep(Duration::from_secs(1));
    let tally = load.end();
    assert!(tally.sent > 100, "{tally:?}");
    assert!(tally.failed.is_empty(), "{tally:?}\n{}", restarted.text());
    let text = restarted.text();
    assert!(text.contains("gw1 is out of rotation (hook `HAProxy: drain`)"), "{text}");

    // What HAProxy says when it cannot do it is what the user reads.
    rehearsal.inventory.set("load_balancer.drain", hook("drain", "gw9"));
    let path = rehearsal.write();
    let refused = operator.run(["restart", path.to_str().expect("a path"), "--limit", "gw1"]).ended_with(1);
    assert!(
        refused.text().contains("hook `HAProxy: drain`: exit status 1; it said: No such server."),
        "{}",
        refused.text()
    );
}
