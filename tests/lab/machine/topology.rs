//! The hosts of a lab and their addresses.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::LabError;
use super::network;

/// The last octet of the first host address; lower ones are for the bridge and spare.
const FIRST: u8 = 11;

/// What is installed on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only sshd.
    Bare,
    /// MariaDB with databases and accounts.
    Database,
    /// MariaDB with only an administrator.
    EmptyDatabase,
    /// PostgreSQL with only an administrator.
    EmptyPostgresql,
}

/// A host of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host name: at most 10 letters, digits and dashes.
    pub name: String,
    /// The IPv4 address.
    pub address: Ipv4Addr,
    /// The inventory group.
    pub group: String,
    /// What is installed.
    pub kind: Kind,
}

/// The hosts of a lab.
#[derive(Debug, Clone)]
pub struct Topology {
    hosts: Vec<Host>,
}

impl Topology {
    /// Returns `count` bare hosts: `h1`, `h2` ...
    ///
    /// # Errors
    /// If the subnet is too small.
    pub fn bare(count: usize) -> Result<Self, LabError> {
        let names: Vec<_> = (1..=count).map(|n| (format!("h{n}"), "lab", Kind::Bare)).collect();
        Self::place(names)
    }

    /// Returns the highly available cluster: two hosts of each role and a database host.
    ///
    /// # Errors
    /// Never: `ROLES` is valid.
    pub fn ha() -> Result<Self, LabError> {
        Self::place(
            ROLES
                .iter()
                .flat_map(|(short, group)| ["1", "2"].map(|n| (format!("{short}{n}"), *group, Kind::Bare)))
                .chain(std::iter::once(("db".to_owned(), "database", Kind::Database)))
                .collect(),
        )
    }

    /// Returns one host of each role and a database host.
    ///
    /// # Errors
    /// Never: `ROLES` is valid.
    pub fn single() -> Result<Self, LabError> {
        Self::place(
            ROLES
                .iter()
                .map(|(short, group)| (format!("{short}1"), *group, Kind::Bare))
                .chain(std::iter::once(("db".to_owned(), "database", Kind::Database)))
                .collect(),
        )
    }

    /// Returns a number of hosts per role (`km`, `gw`, `cp`, `tm`) and a database host.
    ///
    /// # Errors
    /// If a role is unknown, or the subnet is too small.
    pub fn of(counts: &[(&str, usize)]) -> Result<Self, LabError> {
        let mut names = Vec::new();
        for (short, count) in counts {
            let known = ROLES.iter().find(|(name, _)| name == short);
            let (_, group) = known.ok_or_else(|| LabError::Topology(format!("unknown role `{short}`")))?;
            names.extend((1..=*count).map(|n| (format!("{short}{n}"), *group, Kind::Bare)));
        }
        names.push(("db".to_owned(), "database", Kind::Database));
        Self::place(names)
    }

    /// Adds a host `lb` for a load balancer.
    #[must_use]
    pub fn behind_balancer(mut self) -> Self {
        let last = self.hosts.last().map_or(FIRST, |host| host.address.octets()[3].saturating_add(1));
        self.hosts.push(Host {
            name: "lb".to_owned(),
            address: network::address(last),
            group: "load_balancer".to_owned(),
            kind: Kind::Bare,
        });
        self
    }

    /// Sets the kind of the database host.
    #[must_use]
    pub fn on(mut self, kind: Kind) -> Self {
        for host in self.hosts.iter_mut().filter(|host| host.kind != Kind::Bare) {
            host.kind = kind;
        }
        self
    }

    /// Returns the hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    fn place(names: Vec<(String, &str, Kind)>) -> Result<Self, LabError> {
        if names.is_empty() || names.len() > usize::from(u8::MAX - FIRST) {
            return Err(LabError::Topology(format!("a lab must have 1 to 244 hosts, not {}", names.len())));
        }
        let hosts = (FIRST..)
            .zip(names)
            .map(|(last, (name, group, kind))| Host {
                name,
                address: network::address(last),
                group: group.to_owned(),
                kind,
            })
            .collect();
        Ok(Self { hosts })
    }
}

/// The roles in the documented start order: short name, inventory group.
const ROLES: &[(&str, &str)] =
    &[("km", "key_manager"), ("gw", "gateway"), ("cp", "control_plane"), ("tm", "traffic_manager")];
