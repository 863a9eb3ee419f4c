//! HAProxy in front of two gateways, controlled by hooks over its socket: no request is lost during
//! restarts.

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
use apim_tests::skip::skip;
use serde_json::json;

const NODES: &[(&str, &str, &str)] = &[
    ("gw1", "gateway", "gateway"),
    ("gw2", "gateway", "gateway"),
    ("cp1", "control_plane", "control-plane"),
];

/// Same as in `inventory/haproxy.yaml`: HAProxy prints a text only if it did not execute the command.
const COMMAND: &str = r#"
said=$(socat -t 5 stdio "unix-connect:$0") || exit 1
[ -z "$said" ] || { echo "$said" >&2; exit 1; }
"#;

/// HAProxy, ended on drop.
struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok()
}

/// Starts HAProxy in `folder` in front of the gateways' HTTP ports, without health checks of its own.
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
fn restart_behind_haproxy_loses_no_request() {
    if !is_installed("haproxy") || !is_installed("socat") {
        return skip(&"haproxy or socat is not installed (`apt-get install haproxy socat`)");
    }
    let mut rehearsal = Rehearsal::up(NODES, &Distributions::ready()).expect("the process lab comes up");
    let operator = Operator::new();
    let (_haproxy, address) = haproxy(operator.folder());
    let socket = operator.folder().join("admin.sock");
    let hook = |state: &str, node: &str| {
        json!({
            "name": format!("HAProxy: {state}"),
            "command": ["sh", "-c", COMMAND, socket],
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
    load.await_total(50);
    let restarted = run(&["restart", "--role", "gateway"]).ended_with(0);
    load.await_total(load.sent() + 50);
    let tally = load.end();
    assert!(tally.sent > 100, "{tally:?}");
    assert!(tally.failed.is_empty(), "{tally:?}\n{}", restarted.text());
    let text = restarted.text();
    assert!(text.contains("gw1 is out of rotation (hook `HAProxy: drain`)"), "{text}");

    // The error text of HAProxy is shown to the user.
    rehearsal.inventory.set("load_balancer.drain", hook("drain", "gw9"));
    let path = rehearsal.write();
    let refused = operator.run(["restart", path.to_str().expect("a path"), "--limit", "gw1"]).ended_with(1);
    assert!(
        refused.text().contains("hook `HAProxy: drain`: exit status 1; output: No such server."),
        "{}",
        refused.text()
    );
}
