//! Inventories for tests: the hosts of a lab and the settings of a small cluster.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde_json::{Map, Value, json};

use crate::distributions::Distributions;
use crate::machine::Machines;
use crate::process::ProcessLab;

/// An inventory that tests can change.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// Variables of all hosts.
    pub variables: Map<String, Value>,
    /// The settings, `apim`.
    pub settings: Value,
    hosts: Vec<(String, String, Value)>,
    distributions: Distributions,
    /// Values with tags, which JSON does not have: the placeholder in the text, and the value.
    tagged: Vec<(String, String)>,
}

/// The maximum number of process labs on a machine at the same time.
const SLOTS: usize = 64;
/// The distances of the port offsets of two labs, and of two hosts of a lab. A test checks that no two
/// ports collide.
const LAB_DISTANCE: usize = 29;
const HOST_DISTANCE: usize = 2232;

/// The version that tests deploy by default.
pub const VERSION: &str = "4.6.0";

impl Inventory {
    /// Returns the port offset of the host with this index. Hosts of the process lab share one network with
    /// each other and with the labs of other tests, up to eight hosts each. All ports are below the
    /// ephemeral ports of the kernel.
    #[must_use]
    pub fn offset(at: usize) -> usize {
        Self::offset_of(Self::slot(), at)
    }

    fn offset_of(slot: usize, at: usize) -> usize {
        400 + slot * LAB_DISTANCE + at * HOST_DISTANCE
    }

    /// Returns the range of ports that is reserved for this process until it ends.
    fn slot() -> usize {
        static SLOT: OnceLock<(usize, OwnedFd)> = OnceLock::new();
        let (slot, _) = SLOT.get_or_init(|| {
            let first = std::process::id() as usize % SLOTS;
            let own = (first..first + SLOTS).find_map(|number| {
                let number = number % SLOTS;
                let path = std::env::temp_dir().join(format!("apim-lab-ports-{number}"));
                let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
                let file = rustix::fs::open(path, flags, Mode::from(0o666)).ok()?;
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
                Some((number, file))
            });
            own.expect("a range of ports that no other lab uses")
        });
        *slot
    }

    /// Returns the inventory of a machine lab.
    #[must_use]
    pub fn of_machines(lab: &Machines, distributions: &Distributions) -> Self {
        let hosts = lab.hosts().iter();
        let mut inventory = Self {
            variables: object(json!({
                "ansible_user": crate::machine::DEPLOY,
                "ansible_become": true,
                "ansible_ssh_private_key_file": lab.key(),
                "ansible_ssh_common_args": format!("-F none -o UserKnownHostsFile={}", lab.known_hosts().display()),
            })),
            settings: settings(distributions, VERSION),
            distributions: distributions.clone(),
            tagged: Vec::new(),
            hosts: hosts
                .map(|host| (host.group.clone(), host.name.clone(), json!({"ansible_host": host.address})))
                .collect(),
        };
        inventory.set("databases.host", json!("db"));
        inventory
    }

    /// Returns the inventory of a process lab. `groups` has the group of each host. Every host has its own
    /// ports, since all share one network.
    #[must_use]
    pub fn of_processes(lab: &ProcessLab, groups: &[&str], distributions: &Distributions) -> Self {
        let hosts = lab.hosts().iter().zip(groups).enumerate();
        let mut inventory = Self {
            variables: object(json!({
                "ansible_user": crate::process::USER,
                "ansible_become": false,
                "ansible_ssh_private_key_file": lab.key(),
                "ansible_ssh_common_args": format!("-F none -o UserKnownHostsFile={}", lab.known_hosts().display()),
            })),
            settings: settings(distributions, VERSION),
            distributions: distributions.clone(),
            tagged: Vec::new(),
            hosts: hosts
                .map(|(at, (host, group))| {
                    let variables = json!({
                        "ansible_host": host.address.ip(),
                        "ansible_port": host.address.port(),
                        "apim_agent_root": host.root,
                        "apim_agent_state": host.state,
                        "apim": {*group: {"port_offset": Self::offset(at)}},
                    });
                    ((*group).to_owned(), host.name.clone(), variables)
                })
                .collect(),
        };
        inventory.set("databases.host", json!("127.0.0.1"));
        inventory
    }

    /// Sets one key of the settings, by its dotted path.
    ///
    /// # Panics
    /// If the path leads through a value that is not a map.
    pub fn set(&mut self, path: &str, value: Value) -> &mut Self {
        let mut place = &mut self.settings;
        for key in path.split('.') {
            place = place.as_object_mut().expect("a map of settings").entry(key).or_insert_with(|| json!({}));
        }
        *place = value;
        self
    }

    /// Sets one key of the settings to a value with a tag, such as `!env NAME` or a `!vault |` block.
    pub fn set_tagged(&mut self, path: &str, value: &str) -> &mut Self {
        let mark = format!("tagged-{}-", self.tagged.len());
        self.tagged.push((mark.clone(), value.to_owned()));
        self.set(path, json!(mark))
    }

    /// Sets the version of the product.
    pub fn release(&mut self, version: &str) -> &mut Self {
        let zips = zips(&self.distributions, version);
        self.set("version", json!(version)).set("distributions.sha256", zips)
    }

    /// Sets a variable of one host.
    ///
    /// # Panics
    /// If the host does not exist.
    pub fn host(&mut self, name: &str, variable: &str, value: Value) -> &mut Self {
        let host = self.hosts.iter_mut().find(|(_, host, _)| host == name);
        let (_, _, variables) = host.unwrap_or_else(|| panic!("no host {name}"));
        variables.as_object_mut().expect("a map of variables").insert(variable.to_owned(), value);
        self
    }

    /// Removes a host.
    pub fn without(&mut self, name: &str) -> &mut Self {
        self.hosts.retain(|(_, host, _)| host != name);
        self
    }

    /// Returns the text of the file.
    ///
    /// # Panics
    /// Never: all values can be written as YAML.
    #[must_use]
    pub fn text(&self) -> String {
        let mut groups = Map::new();
        for (group, host, variables) in &self.hosts {
            let entry = groups.entry(group.clone()).or_insert_with(|| json!({"hosts": {}}));
            entry["hosts"][host] = variables.clone();
        }
        let mut variables = self.variables.clone();
        variables.insert("apim".to_owned(), self.settings.clone());
        let text =
            serde_yaml::to_string(&json!({"all": {"vars": variables, "children": groups}})).expect("YAML");
        text.lines().map(|line| self.with_tags(line)).collect()
    }

    /// Replaces a placeholder by its tagged value; further lines of the value are indented more than the
    /// key.
    fn with_tags(&self, line: &str) -> String {
        let Some((mark, value)) = self.tagged.iter().find(|(mark, _)| line.ends_with(mark)) else {
            return format!("{line}\n");
        };
        let indent = line.len() - line.trim_start().len() + 2;
        let mut lines = value.lines();
        let first = lines.next().unwrap_or_default();
        let rest: String = lines.map(|more| format!("{:indent$}{more}\n", "")).collect();
        format!("{}\n{rest}", line.replace(mark.as_str(), first))
    }

    /// Writes the file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.text()).expect("the inventory");
    }
}

fn zips(distributions: &Distributions, version: &str) -> Value {
    let zip = |component: &str| distributions.digest(&format!("wso2am-{component}{version}.zip")).to_owned();
    json!({
        "control_plane": zip("acp-"),
        "gateway": zip("universal-gw-"),
        "traffic_manager": zip("tm-"),
        "all_in_one": zip(""),
    })
}

fn settings(distributions: &Distributions, version: &str) -> Value {
    let file = |name: &str| json!({"source": distributions.folder().join(name), "sha256": distributions.digest(name)});
    json!({
        "version": version,
        "distributions": {
            "source": distributions.folder(),
            "sha256": zips(distributions, version),
        },
        "java": {"archive": file("jdk-stand-in.tar.gz")},
        "endpoints": {
            "control_plane": {"name": "api.am.wso2.com", "port": 9443},
            "key_manager": {"name": "km.wso2.com", "port": 9443},
            "traffic_manager": {"name": "tm.wso2.com", "port": 9443},
            "gateway": {"name": "gw.wso2.com", "port": 9443, "http_port": 8280, "https_port": 8243},
        },
        "admin": {"username": "admin", "password": "admin"},
        "databases": {
            "type": "mysql",
            "driver": file("mysql-connector-j.jar"),
            "apim_db": {"name": "apim_db", "username": "apimadmin", "password": "apimadmin"},
            "shared_db": {"name": "shared_db", "username": "sharedadmin", "password": "sharedadmin"},
        },
        "health": {"started_secs": 60, "complete_secs": 60, "restart_after_secs": 15},
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Inventory, SLOTS};

    /// The listening ports of the product, of all components.
    const PORTS: [usize; 14] =
        [5672, 8021, 8099, 8243, 8280, 8672, 9021, 9099, 9443, 9611, 9711, 9763, 9999, 11111];

    #[test]
    fn ports_of_labs_and_hosts_do_not_collide() {
        let mut used = BTreeSet::new();
        for (slot, at) in (0..SLOTS).flat_map(|slot| (0..8).map(move |at| (slot, at))) {
            for port in PORTS.map(|port| port + Inventory::offset_of(slot, at)) {
                assert!(port < 32_768 && used.insert(port), "port {port} of host {at} in slot {slot}");
            }
        }
    }
}
