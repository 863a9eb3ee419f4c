//! The machine lab: systemd, OpenSSH, sudo, MariaDB. One test at a time, since the lab exists once per
//! machine.

mod bad_distribution;
mod cluster;
mod daily_use;
mod databases;
mod faults;
mod fleet;
mod interrupted;
mod lab;
mod order;
mod password;
mod production;
mod readiness;
mod rolling;
mod secrets;
mod under_load;

use std::time::{Duration, Instant};

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::inventory::Inventory;
use apim_tests::machine::{Machines, Owner, Topology, can_run};
use apim_tests::skip::skip;

use crate::{JSON, assert_nothing_changed};

/// Returns a lab with these hosts, or skips the test.
fn lab(topology: &Topology) -> Option<Machines> {
    if let Err(why) = can_run() {
        skip(&why);
        return None;
    }
    Some(
        Machines::up(topology, Owner::Process)
            .unwrap_or_else(|error| panic!("the lab does not come up: {error}")),
    )
}

/// Machines, their inventory, and an operator.
struct Site {
    lab: Machines,
    inventory: Inventory,
    operator: Operator,
}

impl Site {
    fn up(topology: &Topology) -> Option<Self> {
        let distributions = Distributions::ready();
        let lab = lab(topology)?;
        let inventory = Inventory::of_machines(&lab, &distributions);
        Some(Self { lab, inventory, operator: Operator::new() })
    }

    /// Runs a verb with the current inventory.
    fn run(&self, verb: &str, options: &[&str]) -> Run {
        let inventory = self.operator.file("inventory.yaml", &self.inventory.text());
        let begun = Instant::now();
        let run = self.operator.run([&[verb, &inventory.to_string_lossy()], options].concat());
        eprintln!("{verb} {} ended with {} after {:.1?}", options.join(" "), run.code, begun.elapsed());
        run
    }

    /// Runs a verb and prints JSON, for tests that read counts.
    fn run_json(&self, verb: &str, options: &[&str]) -> Run {
        self.run(verb, &[options, &JSON[..]].concat())
    }

    /// Applies and asserts that nothing changed.
    #[track_caller]
    fn assert_up_to_date(&self) {
        assert_nothing_changed(self.run_json("apply", &[]));
    }

    /// Runs a shell command on a host as root.
    fn sh(&self, host: &str, line: &str) -> String {
        self.lab.sh(host, line).unwrap_or_else(|error| panic!("{host}: {error}"))
    }

    /// Returns when the node's process was started, in microseconds of the monotonic clock, which all
    /// hosts share.
    fn started(&self, node: &Node) -> u64 {
        let unit = format!("wso2-{}", node.folder);
        let line = format!("systemctl show -P ExecMainStartTimestampMonotonic {unit}");
        self.sh(&node.host, &line).trim().parse().unwrap_or_else(|_| panic!("{unit} has no start time"))
    }

    /// Returns the time of the last start marker in the node's log, in microseconds of the monotonic
    /// clock.
    fn marked(&self, node: &Node) -> u64 {
        let log = format!("{}/repository/logs/wso2carbon.log", node.home());
        let line = format!(
            "line=$(grep 'WSO2 Carbon started in' {log} | tail -n 1); \
             stamp=$(echo \"$line\" | grep -oE '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T][0-9:]{{8}},[0-9]{{3}}' | tr ',' '.'); \
             then=$(date -d \"$stamp\" +%s%6N); now=$(date +%s%6N); \
             up=$(awk '{{printf \"%d\", $1 * 1000000}}' /proc/uptime); echo $((up - (now - then)))"
        );
        let micros = self.sh(&node.host, &line);
        // /proc/uptime has a resolution of 10 ms.
        micros
            .trim()
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{}: no marker", node.host))
            .saturating_sub(20_000)
    }

    /// Returns the current time of the monotonic clock, in microseconds.
    fn now(&self) -> u64 {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("the machine's clock");
        let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
        (seconds * 1e6) as u64
    }

    /// Returns the nodes in the documented start order.
    fn nodes(&self) -> Vec<Node> {
        ROLES
            .iter()
            .flat_map(|(group, folder)| {
                let hosts = self.lab.hosts().iter().filter(move |host| host.group == *group);
                hosts.map(|host| Node { host: host.name.clone(), group, folder })
            })
            .collect()
    }
}

/// One node of the cluster.
#[derive(Debug, Clone)]
struct Node {
    host: String,
    group: &'static str,
    folder: &'static str,
}

impl Node {
    fn home(&self) -> String {
        format!("/opt/wso2/{}/current", self.folder)
    }
}

/// Inventory groups and folders in `/opt/wso2`, in the start order of step 7 of the product's page on
/// distributed deployment.
const ROLES: &[(&str, &str)] = &[
    ("key_manager", "key-manager"),
    ("gateway", "gateway"),
    ("control_plane", "control-plane"),
    ("traffic_manager", "traffic-manager"),
];

/// The time limit for states that only the product's own retries reach.
const SOON: Duration = Duration::from_secs(30);
