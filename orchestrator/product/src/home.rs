//! The paths of a node on its host.

use apim_protocol::value::{AbsPath, UnitName, ValueError};

use super::role::Role;

/// State that a node creates below its home and needs after an upgrade (documentation, "updating
/// WSO2 API Manager": the local registry and the search index, older text says `repository/data`;
/// optionally the H2 files of metrics and of the message broker's store; tenant data). Everything
/// else there comes from the distribution or from apim-deploy.
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
    /// The folder of all releases.
    pub releases: AbsPath,
    /// The home of the desired release.
    pub release: AbsPath,
    /// The link to the release in use.
    pub current: AbsPath,
    /// `deployment.toml`, the one input of the configuration.
    pub deployment_toml: AbsPath,
    /// The service's secret environment variables, if any. Part of the release, because they belong
    /// to its configuration.
    pub variables: AbsPath,
    /// The script that encrypts the secrets of the configuration, if enabled.
    pub seal: AbsPath,
    /// The password of the keystore that decrypts them.
    pub password: AbsPath,
    /// The folder of the keystores.
    pub security: AbsPath,
    /// The folder of JDBC drivers.
    pub drivers: AbsPath,
    /// The server's log.
    pub log: AbsPath,
    /// The server's log in the release in use.
    pub current_log: AbsPath,
    /// The pid file (a hint only: stale and padded as a rule).
    pub pid_file: AbsPath,
    /// Marker file; exists while the node is drained by hooks.
    pub drained: AbsPath,
    /// The start script, below `current`.
    pub script: AbsPath,
}

impl Home {
    /// Returns the paths of a node whose component folder is called `component` below
    /// `install_dir`.
    ///
    /// # Errors
    /// When a path is invalid.
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
/// When the name is invalid.
pub fn unit_name(component: &str) -> Result<UnitName, ValueError> {
    UnitName::parse(&format!("wso2-{component}"))
}
