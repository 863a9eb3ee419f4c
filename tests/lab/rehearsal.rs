//! The highly available cluster on the process lab: for machines without root, and for tests that need many nodes and no machines.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use serde_json::json;

use crate::distributions::Distributions;
use crate::inventory::Inventory;
use crate::process::{ProcessHost, ProcessLab, ProcessLabError};

/// The nodes: name, inventory group, folder below `/opt/wso2`.
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

/// A process lab with an inventory for it.
#[derive(Debug)]
pub struct Rehearsal {
    /// The hosts.
    pub lab: ProcessLab,
    /// Their inventory.
    pub inventory: Inventory,
    folders: Vec<String>,
}

impl Rehearsal {
    /// Starts the hosts of `nodes` (a part of [`NODES`], or others of their kind).
    ///
    /// # Errors
    /// When the lab cannot be had.
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
        inventory.set("databases.port", json!(stand_for_a_database()?));
        inventory.set("databases.login_check", json!(false));
        let folders = nodes.iter().map(|(_, _, folder)| (*folder).to_owned()).collect();
        let rehearsal = Self { lab, inventory, folders };
        rehearsal.reset()?;
        Ok(rehearsal)
    }

    /// Makes every host a new machine.
    ///
    /// # Errors
    /// When a folder cannot be made anew.
    pub fn reset(&self) -> Result<(), ProcessLabError> {
        for (host, folder) in self.lab.hosts().iter().zip(&self.folders) {
            host.reset()?;
            furnish(host, folder)
                .map_err(|source| ProcessLabError::Io { what: format!("furnish {}", host.name), source })?;
        }
        Ok(())
    }

    /// Returns the path of the inventory, written anew into the lab's folder.
    #[must_use]
    pub fn write(&self) -> PathBuf {
        let path = self.lab.folder().join("inventory.yaml");
        self.inventory.write(&path);
        path
    }
}

/// Listens where the cluster looks for its database, and says nothing; the stand-ins are told not to mind.
fn stand_for_a_database() -> Result<u16, ProcessLabError> {
    let failed = |source| ProcessLabError::Io { what: "listen where a database would".to_owned(), source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            drop(client);
        }
    });
    Ok(port)
}

/// Tells the stand-ins of the host that names are looked up in its own `/etc/hosts`, and that there is no database here.
fn furnish(host: &ProcessHost, folder: &str) -> io::Result<()> {
    let place = host.root.join("opt/wso2").join(folder);
    fs::create_dir_all(&place)?;
    let hosts_file = host.root.join("etc/hosts");
    let text = format!(
        "hosts_file = \"{}\"\ndatabase = \"off\"\nnode = \"{}\"\nstartup_secs = 0.2\n",
        hosts_file.display(),
        host.name
    );
    fs::write(place.join("standin.toml"), text)
}
