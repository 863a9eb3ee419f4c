//! Nodes that do not come up: each is reported as not healthy, in time, with the true cause; and the next apply puts it right.

use std::time::Duration;

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use serde_json::json;

use super::{SOON, Site};
use crate::changed;

/// How long a node may take here until it is given up, as set in the inventory.
const GIVEN_UP: u64 = 12;
/// Over everything else that an apply does.
const ROOM: Duration = Duration::from_secs(30);

#[test]
fn a_node_that_does_not_come_up_is_reported_with_its_cause_and_put_right() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.set("health.started_secs", json!(GIVEN_UP));
    site.inventory.set("health.complete_secs", json!(GIVEN_UP));
    site.inventory.set("health.restart_after_secs", json!(0));
    site.run("apply", &[]).ended_with(0);

    for (number, case) in CASES.iter().enumerate() {
        eprintln!("-- {}", case.name);
        case.begin(&site);
        // Another value in the configuration makes a restart due.
        let mut config = json!({"lab": {"case": number}});
        if let Begin::Setting(table, key, value) = case.begin {
            config[table] = json!({"tls": {key: value}});
        }
        site.inventory.set("traffic_manager.config", config);
        let run = site.run("apply", &[]).ended_with(1);
        let text = run.text();
        assert!(text.contains(HOST), "{}: the host is not named\n{text}", case.name);
        let said = text.to_lowercase().contains(case.said);
        assert!(said, "{}: nothing is said of `{}`\n{text}", case.name, case.said);
        assert!(run.took < Duration::from_secs(GIVEN_UP) + ROOM, "{} took {:?}", case.name, run.took);
        case.end(&site);
        site.inventory.set("traffic_manager.config", json!({"lab": {"case": number}}));
        site.run("apply", &[]).ended_with(0);
    }
}

/// A fault of the traffic manager, the last node to be started: nobody else is in its way.
struct Case {
    name: &'static str,
    begin: Begin,
    said: &'static str,
}

enum Begin {
    /// The database server is stopped.
    NoDatabase,
    /// Another process listens on the node's port.
    PortTaken,
    /// A switch of the stand-in.
    Switch(&'static str),
    /// A wrong value in the configuration.
    Setting(&'static str, &'static str, &'static str),
}

const CASES: &[Case] = &[
    Case { name: "database down", begin: Begin::NoDatabase, said: "database" },
    Case {
        name: "wrong keystore password",
        begin: Begin::Setting("keystore", "password", "wrong"),
        said: "keystore",
    },
    Case { name: "port taken", begin: Begin::PortTaken, said: "9443" },
    Case { name: "hang before the marker", begin: Begin::Switch("hang_before_marker = true"), said: "log" },
    Case {
        name: "crash after the marker",
        begin: Begin::Switch("crash_after_marker = 0.3"),
        said: "process",
    },
];

const HOST: &str = "tm1";
const SWITCHES: &str = "/opt/wso2/traffic-manager/standin-faults.toml";

impl Case {
    fn begin(&self, site: &Site) {
        match self.begin {
            Begin::NoDatabase => drop(site.sh("db", "systemctl stop mariadb")),
            Begin::PortTaken => {
                site.sh(HOST, "systemctl stop wso2-traffic-manager");
                let other =
                    "systemd-run --unit=taken --collect systemd-socket-activate --listen=9443 --accept cat";
                site.sh(HOST, other);
            }
            Begin::Switch(text) => drop(site.sh(HOST, &format!("echo '{text}' > {SWITCHES}"))),
            Begin::Setting(..) => {}
        }
    }

    fn end(&self, site: &Site) {
        match self.begin {
            Begin::NoDatabase => drop(site.sh("db", "systemctl start mariadb")),
            Begin::PortTaken => drop(site.sh(HOST, "systemctl stop taken")),
            // One that hangs is still up; the next apply starts it anew.
            Begin::Switch(_) => drop(site.sh(HOST, &format!("rm {SWITCHES}"))),
            Begin::Setting(..) => {}
        }
    }
}

/// The gateway of 4.5.0, started before its control plane as documented, loses its listener for good; a restart heals it.
#[test]
fn a_gateway_whose_listener_died_is_restarted_once_and_then_hears_everybody() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.release("4.5.0");
    let run = site.run("apply", &["-v"]).ended_with(0);
    assert!(run.text().contains("restart"), "nothing is said of the restart\n{}", run.text());
    let log = site.sh("gw1", "cat /opt/wso2/gateway/current/repository/logs/wso2carbon.log");
    assert!(log.contains("NullPointerException"), "the listener did not die, so nothing was healed");
    let address = site.lab.host("cp1").expect("a host").address;
    let connections = format!("ss --no-header --tcp --numeric state established dst {address}:5672");
    assert!(until(SOON, || !site.sh("gw1", &connections).trim().is_empty()), "gw1 does not hear cp1");
    assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0);
}
