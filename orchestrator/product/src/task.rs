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
    /// Every task; those with options have their first options.
    const ALL: [Self; 17] = [
        Self::Account,
        Self::Rollback(None),
        Self::Java,
        Self::HostsFile,
        Self::Distribution,
        Self::Keystores,
        Self::Driver,
        Self::Configuration,
        Self::Service(ServiceState::Started, None),
        Self::Health(Gate::Started, None),
        Self::Database,
        Self::Prune,
        Self::Preflight,
        Self::Hardening,
        Self::Audit,
        Self::DatabaseLogin,
        Self::LoadBalancer,
    ];

    /// Returns the names of all tasks in a playbook.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::ALL.into_iter().map(Self::name)
    }

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

    /// Returns the task `name`, if it has no options. (`apim_service`, `apim_health` and
    /// `apim_rollback` have options.)
    #[must_use]
    pub fn plain(name: &str) -> Option<Self> {
        let has_options =
            |task: &Self| matches!(task, Self::Service(..) | Self::Health(..) | Self::Rollback(_));
        Self::ALL.into_iter().filter(|task| !has_options(task)).find(|task| task.name() == name)
    }
}
