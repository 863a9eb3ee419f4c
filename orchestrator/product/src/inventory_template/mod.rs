//! The inventory template of `init`: turns a few answers into a commented file that passes
//! `validate`.
//!
//! Pure: the caller prompts the user, computes file digests and generates passwords.

use super::release::Version;
use super::role::Role;

#[cfg(test)]
mod tests;
mod text;

/// The shape of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One node of each role.
    Single,
    /// Two of each role behind a load balancer.
    Ha,
    /// Two control planes, and separate gateways for production and sandbox traffic.
    ProductionSandbox,
    /// Two control planes and traffic managers, and gateways in two regions.
    MultiRegion,
    /// Everything in one process on one host.
    AllInOne,
}

impl Shape {
    /// Every shape with its word.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("single", Self::Single),
        ("ha", Self::Ha),
        ("production-sandbox", Self::ProductionSandbox),
        ("multi-region", Self::MultiRegion),
        ("all-in-one", Self::AllInOne),
    ];

    /// Returns the default hosts of the shape: group, environment, short name.
    #[must_use]
    pub const fn hosts(self) -> &'static [(Role, Option<&'static str>, &'static str)] {
        use Role::{AllInOne, ControlPlane, Gateway, KeyManager, TrafficManager};
        match self {
            Self::Single => &[
                (KeyManager, None, "km1"),
                (Gateway, None, "gw1"),
                (ControlPlane, None, "cp1"),
                (TrafficManager, None, "tm1"),
            ],
            Self::Ha => &[
                (KeyManager, None, "km1"),
                (KeyManager, None, "km2"),
                (Gateway, None, "gw1"),
                (Gateway, None, "gw2"),
                (ControlPlane, None, "cp1"),
                (ControlPlane, None, "cp2"),
                (TrafficManager, None, "tm1"),
                (TrafficManager, None, "tm2"),
            ],
            Self::ProductionSandbox => &[
                (ControlPlane, None, "cp1"),
                (ControlPlane, None, "cp2"),
                (Gateway, Some("Production"), "prod-gw1"),
                (Gateway, Some("Production"), "prod-gw2"),
                (Gateway, Some("Sandbox"), "sandbox-gw1"),
                (Gateway, Some("Sandbox"), "sandbox-gw2"),
            ],
            Self::MultiRegion => &[
                (ControlPlane, None, "cp1"),
                (ControlPlane, None, "cp2"),
                (TrafficManager, None, "tm1"),
                (TrafficManager, None, "tm2"),
                (Gateway, Some("Region1"), "region1-gw1"),
                (Gateway, Some("Region1"), "region1-gw2"),
                (Gateway, Some("Region2"), "region2-gw1"),
                (Gateway, Some("Region2"), "region2-gw2"),
            ],
            Self::AllInOne => &[(AllInOne, None, "am1")],
        }
    }

    /// Returns whether nodes are behind a load balancer.
    #[must_use]
    pub const fn is_balanced(self) -> bool {
        !matches!(self, Self::Single | Self::AllInOne)
    }
}

/// A database for a new inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// H2 files on the node: for an all-in-one, for evaluation.
    Files,
    /// MySQL.
    Mysql,
    /// PostgreSQL.
    Postgresql,
}

impl Database {
    /// Every kind with its word.
    pub const WORDS: [(&'static str, Self); 3] =
        [("mysql", Self::Mysql), ("postgresql", Self::Postgresql), ("h2", Self::Files)];
    /// Databases that several nodes can share.
    pub const SHARED: [(&'static str, Self); 2] = [("mysql", Self::Mysql), ("postgresql", Self::Postgresql)];
}

/// The user's answers.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The shape.
    pub shape: Shape,
    /// The version to install.
    pub version: Version,
    /// The domain of hosts and of the names that clients use.
    pub domain: String,
    /// The account to log in with.
    pub user: String,
    /// Where the zips are: a folder or a URL.
    pub source: String,
    /// The digests of the distributions whose zips were found.
    pub digests: Vec<(Role, String)>,
    /// The JDK home on the hosts.
    pub java_home: String,
    /// The database server's kind and name.
    pub database: Database,
    /// The database server's name or address.
    pub database_host: String,
    /// Addresses in the order of [`Answers::names`]; may be incomplete.
    pub addresses: Vec<String>,
    /// The folder of the password files, relative to the inventory's folder.
    pub secrets: String,
}

impl Answers {
    /// Returns the hosts' names, then the load balancer's, if any.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let balancer = self.shape.is_balanced().then_some("lb");
        let short = self.shape.hosts().iter().map(|(.., name)| *name).chain(balancer);
        short.map(|name| format!("{name}.{}", self.domain)).collect()
    }

    /// Returns the roles whose distributions are needed.
    #[must_use]
    pub fn distributions(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = Vec::new();
        for (role, ..) in self.shape.hosts() {
            let role = role.distribution();
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        roles.sort();
        roles
    }

    /// Returns the names of the inventory's password files.
    #[must_use]
    pub const fn secret_files(&self) -> &'static [&'static str] {
        match self.database {
            Database::Files => &["admin"],
            Database::Mysql | Database::Postgresql => &["admin", "apim_db", "shared_db"],
        }
    }

    /// Returns the inventory.
    #[must_use]
    pub fn inventory(&self) -> String {
        text::inventory(self)
    }
}
