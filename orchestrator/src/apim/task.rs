//! The tasks that know API Manager, as a playbook's author writes them; `steps` says what each means on a host.

use super::role::Role;

/// One line of an author's intent, done for every node of the hosts that a play names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApimTask {
    /// `apim_account`: the service account and its group exist.
    Account,
    /// `apim_java`: the JDK is there.
    Java,
    /// `apim_hosts_file`: the names of the cluster resolve.
    HostsFile,
    /// `apim_distribution`: the release is unpacked beside the one in use, its profile set up.
    Distribution,
    /// `apim_keystores`: keystores and truststore are in place and private.
    Keystores,
    /// `apim_driver`: the JDBC driver is in place.
    Driver,
    /// `apim_configuration`: `deployment.toml` is in place.
    Configuration,
    /// `apim_service: {state: …}`: the unit is installed and in this state; where a role is named, for its nodes only.
    Service(ServiceState, Option<Role>),
    /// `apim_health: {gate: …}`: the nodes passed this gate; where a role is named, its nodes only.
    Health(Gate, Option<Role>),
    /// `apim_database`: the database server answers on its port; databases and schemas are there, where they are to be made.
    Database,
    /// `apim_prune`: of the releases side by side only so many stay as the inventory says.
    Prune,
    /// `apim_rollback`: the nodes run again from the release that was in use before the present one, as it was; where a role is named, its
    /// nodes only.
    Rollback(Option<Role>),
    /// `apim_hardening`: kernel settings and limits of the account.
    Hardening,
    /// `apim_audit`: the host is asked for the evidence of an audit.
    Audit,
    /// `apim_preflight`: the host is looked at before anything is changed.
    Preflight,
    /// `apim_load_balancer`: nginx stands in front of the nodes, where we see to it.
    LoadBalancer,
    /// `apim_database_login`: the users of the nodes can log in from their hosts.
    DatabaseLogin,
}

/// What the service of a node should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// Running with its present release, configuration, keystores, driver, JDK and settings; restarted when any of them changed.
    Started,
    /// Not running.
    Stopped,
    /// Restarted in this run whatever it ran with.
    Restarted,
    /// The unit file and the start at boot are seen to; running or not stays as it is.
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

/// How much of a node's health is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The node itself started: the next role may follow.
    Started,
    /// And its connections to its peers stand; a gateway has deployed its APIs.
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

    /// Returns the task called `name` that takes no options; `apim_service` and `apim_health` do, and have [`ServiceState::WORDS`] and [`Gate::WORDS`].
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
