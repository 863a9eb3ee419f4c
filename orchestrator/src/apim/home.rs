//! Every path of a node on its host.

use apim_protocol::value::{AbsPath, UnitName, ValueError};

use super::role::Role;

/// What a node itself makes below its home and needs after an upgrade (documentation, "updating WSO2 API Manager": the local registry and
/// the search index, older text says `repository/data`; optionally the H2 files of metrics and of the message broker's store; what belongs
/// to tenants). Everything else there comes from the distribution or from us.
pub const STATE: [&str; 6] = [
    "repository/database/WSO2CARBON_DB*",
    "repository/database/WSO2METRICS_DB*",
    "repository/database/WSO2MB_DB*",
    "solr/data",
    "repository/data",
    "repository/tenants",
];

/// The paths of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The component's folder, such as `/opt/wso2/gateway`.
    pub component: AbsPath,
    /// Where its releases lie side by side.
    pub releases: AbsPath,
    /// The home of the release that is wished for.
    pub release: AbsPath,
    /// The link to the release in use.
    pub current: AbsPath,
    /// `deployment.toml`, the one input of the configuration.
    pub deployment_toml: AbsPath,
    /// Variables of the service that are secrets, where it has any; with the release, because they go with its configuration.
    pub variables: AbsPath,
    /// Encrypts the secrets of the configuration, where that is wished.
    pub seal: AbsPath,
    /// The password of the keystore that decrypts them.
    pub password: AbsPath,
    /// Where keystores lie.
    pub security: AbsPath,
    /// Where JDBC drivers are put.
    pub drivers: AbsPath,
    /// The server's log.
    pub log: AbsPath,
    /// The log of the server in use, whatever its release is.
    pub current_log: AbsPath,
    /// The pid file (a hint only: stale and padded as a rule).
    pub pid_file: AbsPath,
    /// There while a hook keeps the node from getting requests.
    pub drained: AbsPath,
    /// The start script, below `current`.
    pub script: AbsPath,
}

impl Home {
    /// Returns the paths of a node whose component folder is called `component` below `install_dir`.
    ///
    /// # Errors
    /// When a path would not be valid.
    pub fn of(install_dir: &AbsPath, component: &str, release: &str, role: Role) -> Result<Self, ValueError> {
        let folder = install_dir.join(component)?;
        let releases = folder.join("releases")?;
        let home = releases.join(release)?;
        let current = folder.join("current")?;
        Ok(Self {
            deployment_toml: home.join("repository/conf/deployment.toml")?,
            variables: home.join("secrets.env")?,
            seal: folder.join("seal-secrets.sh")?,
            password: home.join("password-persist")?,
            security: home.join("repository/resources/security")?,
            drivers: home.join("repository/components/lib")?,
            log: home.join("repository/logs/wso2carbon.log")?,
            current_log: current.join("repository/logs/wso2carbon.log")?,
            pid_file: home.join("wso2carbon.pid")?,
            script: current.join("bin")?.join(role.script())?,
            drained: folder.join("drained")?,
            component: folder,
            releases,
            release: home,
            current,
        })
    }
}

/// Returns the unit name of the component folder `component`.
///
/// # Errors
/// When it would not be valid.
pub fn unit_name(component: &str) -> Result<UnitName, ValueError> {
    UnitName::parse(&format!("wso2-{component}"))
}
