//! A cluster on the process lab: for machines without root, and for tests with several nodes.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use serde_json::json;

use crate::distributions::Distributions;
use crate::inventory::Inventory;
use crate::process::{ProcessHost, ProcessLab, ProcessLabError};

/// The nodes of the highly available cluster: name, inventory group, folder in `/opt/wso2`.
pub const NODES: &[(&str, &str, &str)] = &[
    ("km1", "key_manager", "key-manager"),
    ("km2", "key_manager", "key-manager"),
    ("gw1", "gateway", "gateway"),
    ("gw2", "gateway", "gateway"),
    ("cp1", "control_plane", "control-plane"),
    ("cp2", "control_plane", "control-plane"),
    ("tm1", "traffic_manager", "traffic-manager"),
    ("tm2", "traffic_manager", "traffic-manager"),
];

/// A process lab and its inventory.
#[derive(Debug)]
pub struct Rehearsal {
    /// The hosts.
    pub lab: ProcessLab,
    /// Their inventory.
    pub inventory: Inventory,
    folders: Vec<String>,
}

impl Rehearsal {
    /// Starts a host for each of `nodes` (same form as [`NODES`]).
    ///
    /// # Errors
    /// If the lab cannot be started.
    pub fn up(nodes: &[(&str, &str, &str)], distributions: &Distributions) -> Result<Self, ProcessLabError> {
        let names: Vec<_> = nodes.iter().map(|(name, _, _)| *name).collect();
        let groups: Vec<_> = nodes.iter().map(|(_, group, _)| *group).collect();
        let lab = ProcessLab::up(&names)?;
        let mut inventory = Inventory::of_processes(&lab, &groups, distributions);
        for (group, base) in
            [("control_plane", 9443), ("key_manager", 9443), ("traffic_manager", 9443), ("gateway", 9443)]
        {
            if let Some(first) = groups.iter().position(|other| *other == group) {
                inventory.set(&format!("endpoints.{group}.port"), json!(base + Inventory::offset(first)));
            }
        }
        inventory.set("databases.port", json!(listen_as_database()?));
        inventory.set("databases.login_check", json!(false));
        let folders = nodes.iter().map(|(_, _, folder)| (*folder).to_owned()).collect();
        let rehearsal = Self { lab, inventory, folders };
        rehearsal.reset()?;
        Ok(rehearsal)
    }

    /// Resets every host to a new machine.
    ///
    /// # Errors
    /// If a folder cannot be created.
    pub fn reset(&self) -> Result<(), ProcessLabError> {
        for (host, folder) in self.lab.hosts().iter().zip(&self.folders) {
            host.reset()?;
            write_switches(host, folder).map_err(|source| ProcessLabError::Io {
                what: format!("write the switches of {}", host.name),
                source,
            })?;
        }
        Ok(())
    }

    /// Writes the inventory into the lab's folder and returns its path.
    #[must_use]
    pub fn write(&self) -> PathBuf {
        let path = self.lab.folder().join("inventory.yaml");
        self.inventory.write(&path);
        path
    }
}

/// Accepts and closes connections in place of a database server, which the stand-ins do not use.
fn listen_as_database() -> Result<u16, ProcessLabError> {
    let failed =
        |source| ProcessLabError::Io { what: "listen in place of a database server".to_owned(), source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            drop(client);
        }
    });
    Ok(port)
}

/// Configures the stand-ins of the host: names from its own `/etc/hosts`, and no database.
fn write_switches(host: &ProcessHost, folder: &str) -> io::Result<()> {
    let home = host.root.join("opt/wso2").join(folder);
    fs::create_dir_all(&home)?;
    let hosts_file = host.root.join("etc/hosts");
    let text = format!(
        "hosts_file = \"{}\"\ndatabase = \"off\"\nnode = \"{}\"\nstartup_secs = 0.2\n",
        hosts_file.display(),
        host.name
    );
    fs::write(home.join("standin.toml"), text)
}
