//! On machines: systemd, OpenSSH, sudo, MariaDB. One at a time, for there is one lab per machine.

mod balanced;
mod cluster;
mod databases;
mod faults;
mod fleet;
mod interrupted;
mod lab;
mod looked_after;
mod order;
mod password;
mod poisoned;
mod production;
mod readiness;
mod refused;
mod rolling;

use std::time::{Duration, Instant};

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::inventory::Inventory;
use apim_tests::machine::{Machines, Owner, Topology, can_run};

/// Returns a lab of these hosts, or says why there is none and returns nothing.
fn lab(topology: &Topology) -> Option<Machines> {
    if let Err(why) = can_run() {
        eprintln!("SKIPPED: {why}");
        return None;
    }
    Some(
        Machines::up(topology, Owner::Process)
            .unwrap_or_else(|error| panic!("the lab does not come up: {error}")),
    )
}

/// Machines, their inventory, and somebody who deploys to them.
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

    /// Runs a verb on the inventory as it is now.
    fn run(&self, verb: &str, options: &[&str]) -> Run {
        let inventory = self.operator.file("inventory.yaml", &self.inventory.text());
        let begun = Instant::now();
        let run = self.operator.run([&[verb, &inventory.to_string_lossy()], options].concat());
        eprintln!("{verb} {} ended with {} after {:.1?}", options.join(" "), run.code, begun.elapsed());
        run
    }

    /// Runs a shell line on a host as root.
    fn sh(&self, host: &str, line: &str) -> String {
        self.lab.sh(host, line).unwrap_or_else(|error| panic!("{host}: {error}"))
    }

    /// Returns when the node's process was started, in microseconds of the machine's monotonic clock, which all hosts share.
    fn started(&self, node: &Node) -> u64 {
        let unit = format!("wso2-{}", node.folder);
        let line = format!("systemctl show -P ExecMainStartTimestampMonotonic {unit}");
        self.sh(&node.host, &line).trim().parse().unwrap_or_else(|_| panic!("{unit} has no start time"))
    }

    /// Returns when the node's log said last that it was started, by the machine's monotonic clock.
    fn marked(&self, node: &Node) -> u64 {
        let log = format!("{}/repository/logs/wso2carbon.log", node.home());
        let line = format!(
            "line=$(grep 'WSO2 Carbon started in' {log} | tail -n 1); \
             stamp=$(echo \"$line\" | grep -oE '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T][0-9:]{{8}},[0-9]{{3}}' | tr ',' '.'); \
             then=$(date -d \"$stamp\" +%s%6N); now=$(date +%s%6N); \
             up=$(awk '{{printf \"%d\", $1 * 1000000}}' /proc/uptime); echo $((up - (now - then)))"
        );
        let micros = self.sh(&node.host, &line);
        // /proc/uptime has hundredths of a second.
        micros
            .trim()
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{}: no marker", node.host))
            .saturating_sub(20_000)
    }

    /// Returns now, by the machine's monotonic clock.
    fn now(&self) -> u64 {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("the machine's clock");
        let seconds: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).expect("seconds");
        (seconds * 1e6) as u64
    }

    /// Returns the nodes, in the documented start order.
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

/// Inventory groups and folders below `/opt/wso2`, in the order of step 7 of the distributed deployment page.
const ROLES: &[(&str, &str)] = &[
    ("key_manager", "key-manager"),
    ("gateway", "gateway"),
    ("control_plane", "control-plane"),
    ("traffic_manager", "traffic-manager"),
];

/// How long a state may take that nothing but the product's own retries brings about.
const SOON: Duration = Duration::from_secs(30);
