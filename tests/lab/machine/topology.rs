//! Which hosts a lab has, and where they are on its network.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::LabError;
use super::network;

/// The addresses of hosts begin here within the subnet; below are the bridge and spares.
const FIRST: u8 = 11;

/// What a host has beyond a bare machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing: a fresh machine with sshd.
    Bare,
    /// MariaDB with the databases and accounts of the seed.
    Database,
    /// MariaDB with an administrator and nothing else.
    EmptyDatabase,
    /// PostgreSQL with an administrator and nothing else.
    EmptyPostgresql,
}

/// One machine of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its hostname; at most 10 letters, digits and dashes.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The inventory group that it belongs to.
    pub group: String,
    /// What it has.
    pub kind: Kind,
}

/// The hosts that a lab is made of.
#[derive(Debug, Clone)]
pub struct Topology {
    hosts: Vec<Host>,
}

impl Topology {
    /// Returns `count` bare hosts, `h1` and on.
    ///
    /// # Errors
    /// When the subnet has no room for so many.
    pub fn bare(count: usize) -> Result<Self, LabError> {
        let names: Vec<_> = (1..=count).map(|n| (format!("h{n}"), "lab", Kind::Bare)).collect();
        Self::place(names)
    }

    /// Returns the highly available cluster of the seed: two of each role and a database.
    ///
    /// # Errors
    /// Never, as long as the table below is well-formed.
    pub fn ha() -> Result<Self, LabError> {
        Self::place(
            ROLES
                .iter()
                .flat_map(|(short, group)| ["1", "2"].map(|n| (format!("{short}{n}"), *group, Kind::Bare)))
                .chain(std::iter::once(("db".to_owned(), "database", Kind::Database)))
                .collect(),
        )
    }

    /// Returns one of each role and a database.
    ///
    /// # Errors
    /// Never, as long as the table below is well-formed.
    pub fn single() -> Result<Self, LabError> {
        Self::place(
            ROLES
                .iter()
                .map(|(short, group)| (format!("{short}1"), *group, Kind::Bare))
                .chain(std::iter::once(("db".to_owned(), "database", Kind::Database)))
                .collect(),
        )
    }

    /// Returns as many of each role as `counts` says, by the short names `km`, `gw`, `cp` and `tm`, and a database.
    ///
    /// # Errors
    /// When a name is none of these, or the subnet has no room for so many.
    pub fn of(counts: &[(&str, usize)]) -> Result<Self, LabError> {
        let mut names = Vec::new();
        for (short, count) in counts {
            let known = ROLES.iter().find(|(name, _)| name == short);
            let (_, group) = known
                .ok_or_else(|| LabError::Topology(format!("there is no role with the short name {short}")))?;
            names.extend((1..=*count).map(|n| (format!("{short}{n}"), *group, Kind::Bare)));
        }
        names.push(("db".to_owned(), "database", Kind::Database));
        Self::place(names)
    }

    /// Returns the topology with one more machine, `lb`, for a load balancer.
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

    /// Returns the topology with its database host of another kind.
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
            return Err(LabError::Topology(format!("a lab has 1 to 244 hosts, not {}", names.len())));
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
