//! API Manager tasks of a playbook. `steps` translates each into operations on a host.

use super::role::Role;

/// A task, applied to every node of the hosts in a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApimTask {
    /// `apim_account`: the service account and its group exist.
    Account,
    /// `apim_java`: the JDK is installed.
    Java,
    /// `apim_hosts_file`: the names of the cluster resolve.
    HostsFile,
    /// `apim_distribution`: the release is unpacked next to the one in use, with its profile.
    Distribution,
    /// `apim_keystores`: keystores and truststore are in place and private.
    Keystores,
    /// `apim_driver`: the JDBC driver is in place.
    Driver,
    /// `apim_configuration`: `deployment.toml` is in place.
    Configuration,
    /// `apim_service: {state: …}`: the unit is installed and in this state. With a role, only for
    /// its nodes.
    Service(ServiceState, Option<Role>),
    /// `apim_health: {gate: …}`: the nodes pass this gate. With a role, only its nodes.
    Health(Gate, Option<Role>),
    /// `apim_database`: the database server is reachable; databases and schemas exist, if they are
    /// managed.
    Database,
    /// `apim_prune`: old releases are removed, up to the number that the inventory keeps.
    Prune,
    /// `apim_rollback`: the nodes run the previous release again, with its own configuration. With
    /// a role, only its nodes.
    Rollback(Option<Role>),
    /// `apim_hardening`: kernel settings and limits of the account.
    Hardening,
    /// `apim_audit`: collects the evidence for an audit.
    Audit,
    /// `apim_preflight`: checks the host before any change.
    Preflight,
    /// `apim_load_balancer`: nginx is configured, if the load balancer is managed by apim-deploy.
    LoadBalancer,
    /// `apim_database_login`: the users of the nodes can log in from their hosts.
    DatabaseLogin,
}

/// The desired state of a node's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Running with the current release, configuration, keystores, driver, JDK and settings;
    /// restarted when any of them changed.
    Started,
    /// Not running.
    Stopped,
    /// Restarted in this run in any case.
    Restarted,
    /// The unit is installed and enabled at boot; whether it runs does not change.
    Installed,
}

impl ServiceState {
    /// Every state with its word in a playbook.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("started", Self::Started),
        ("stopped", Self::Stopped),
        ("restarted", Self::Restarted),
        ("installed", Self::Installed),
    ];
}

/// A health gate of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The node itself started: the next role may follow.
    Started,
    /// In addition, it is connected to its peers; a gateway has deployed its APIs.
    Complete,
}

impl Gate {
    /// Every gate with its word in a playbook.
    pub const WORDS: [(&'static str, Self); 2] = [("started", Self::Started), ("complete", Self::Complete)];
}

impl ApimTask {
    /// The names of all tasks in a playbook.
    pub const NAMES: [&'static str; 17] = [
        "apim_account",
        "apim_rollback",
        "apim_java",
        "apim_hosts_file",
        "apim_distribution",
        "apim_keystores",
        "apim_driver",
        "apim_configuration",
        "apim_service",
        "apim_health",
        "apim_database",
        "apim_prune",
        "apim_preflight",
        "apim_hardening",
        "apim_audit",
        "apim_database_login",
        "apim_load_balancer",
    ];

    /// Returns the name of the task in a playbook.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "apim_account",
            Self::Java => "apim_java",
            Self::HostsFile => "apim_hosts_file",
            Self::Distribution => "apim_distribution",
            Self::Keystores => "apim_keystores",
            Self::Driver => "apim_driver",
            Self::Configuration => "apim_configuration",
            Self::Service(..) => "apim_service",
            Self::Health(..) => "apim_health",
            Self::Database => "apim_database",
            Self::Prune => "apim_prune",
            Self::Rollback(_) => "apim_rollback",
            Self::Preflight => "apim_preflight",
            Self::Hardening => "apim_hardening",
            Self::Audit => "apim_audit",
            Self::DatabaseLogin => "apim_database_login",
            Self::LoadBalancer => "apim_load_balancer",
        }
    }

    /// Returns the task `name` that has no options. (`apim_service` and `apim_health` have options:
    /// [`ServiceState::WORDS`] and [`Gate::WORDS`].)
    #[must_use]
    pub fn plain(name: &str) -> Option<Self> {
        [
            Self::Account,
            Self::Java,
            Self::HostsFile,
            Self::Distribution,
            Self::Keystores,
            Self::Driver,
            Self::Configuration,
            Self::Database,
            Self::Prune,
            Self::Preflight,
            Self::Hardening,
            Self::Audit,
            Self::DatabaseLogin,
            Self::LoadBalancer,
        ]
        .into_iter()
        .find(|task| task.name() == name)
    }
}
