//! Nodes that do not become healthy: reported in time with the cause; the next apply repairs them.

use std::time::Duration;

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use serde_json::json;

use super::{SOON, Site};

/// The timeout of health checks in the inventory, in seconds.
const HEALTH_SECS: u64 = 12;
/// The time limit for the rest of an apply.
const REST: Duration = Duration::from_secs(30);

#[test]
fn failed_start_is_reported_with_cause_and_repaired() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.set("health.started_secs", json!(HEALTH_SECS));
    site.inventory.set("health.complete_secs", json!(HEALTH_SECS));
    site.inventory.set("health.restart_after_secs", json!(0));
    site.run("apply", &[]).ended_with(0);

    for (number, case) in CASES.iter().enumerate() {
        eprintln!("-- {}", case.name);
        case.begin(&site);
        // A new value in the configuration requires a restart.
        let mut config = json!({"lab": {"case": number}});
        if let Begin::Setting(table, key, value) = case.begin {
            config[table] = json!({"tls": {key: value}});
        }
        site.inventory.set("traffic_manager.config", config);
        let run = site.run("apply", &[]).ended_with(1);
        let text = run.text();
        assert!(text.contains(HOST), "{}: the host is missing in\n{text}", case.name);
        let is_shown = text.to_lowercase().contains(case.cause);
        assert!(is_shown, "{}: `{}` is not in\n{text}", case.name, case.cause);
        assert!(run.took < Duration::from_secs(HEALTH_SECS) + REST, "{} took {:?}", case.name, run.took);
        case.end(&site);
        site.inventory.set("traffic_manager.config", json!({"lab": {"case": number}}));
        site.run("apply", &[]).ended_with(0);
    }
}

/// A fault of the traffic manager, the last node to be started, so that no other node is affected.
struct Case {
    name: &'static str,
    begin: Begin,
    /// The expected cause, in lower case.
    cause: &'static str,
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
    Case { name: "database down", begin: Begin::NoDatabase, cause: "database" },
    Case {
        name: "wrong keystore password",
        begin: Begin::Setting("keystore", "password", "wrong"),
        cause: "keystore",
    },
    Case { name: "port taken", begin: Begin::PortTaken, cause: "9443" },
    Case {
        name: "hang before the marker",
        begin: Begin::Switch("hang_before_marker = true"),
        cause: "carbon initialization is delayed due to the following unsatisfied items",
    },
    Case {
        name: "crash after the marker",
        begin: Begin::Switch("crash_after_marker = 0.3"),
        cause: "java.lang.outofmemoryerror: java heap space",
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
            // A hanging server is still running; the next apply restarts it.
            Begin::Switch(_) => drop(site.sh(HOST, &format!("rm {SWITCHES}"))),
            Begin::Setting(..) => {}
        }
    }
}

/// A gateway of 4.5.0 that is started before its control plane, as documented, loses its listener until
/// it is restarted.
#[test]
fn gateway_with_dead_listener_is_restarted_once() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.inventory.release("4.5.0");
    let run = site.run("apply", &["-v"]).ended_with(0);
    assert!(run.text().contains("restart"), "the restart is not shown\n{}", run.text());
    let log = site.sh("gw1", "cat /opt/wso2/gateway/current/repository/logs/wso2carbon.log");
    assert!(log.contains("NullPointerException"), "the listener did not die, so the test proves nothing");
    let address = site.lab.host("cp1").expect("a host").address;
    let connections = format!("ss --no-header --tcp --numeric state established dst {address}:5672");
    assert!(until(SOON, || !site.sh("gw1", &connections).trim().is_empty()), "gw1 is not connected to cp1");
    site.assert_up_to_date();
}
