//! Settings and fault switches, from `standin.toml` and `standin-faults.toml` (the same keys in both) in the
//! parent folder of the releases, then in the home folder, then from `STANDIN_<KEY>` in the environment.
//! Later ones take precedence.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The depth of the database check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DatabaseCheck {
    Off,
    /// A connection is accepted.
    Connect,
    /// The server's greeting arrives.
    Greeting,
    /// The configured user may log in to the configured database.
    Login,
    /// The tables of the product exist.
    Tables,
}

/// All switches.
#[derive(Debug, Clone)]
pub(crate) struct Switches {
    /// The time from the start of the process to the marker.
    pub(crate) startup: Duration,
    /// Added to it.
    pub(crate) slow_start: Duration,
    /// The server never opens its HTTPS port.
    pub(crate) hang_before_marker: bool,
    /// The process exits before the marker.
    pub(crate) crash_before_marker: bool,
    /// The time from the marker until the process exits.
    pub(crate) crash_after_marker: Option<Duration>,
    /// TERM starts a shutdown that never ends.
    pub(crate) ignore_term: bool,
    /// How long all ports are still served after TERM.
    pub(crate) drain: Duration,
    /// Health URLs answer with an error.
    pub(crate) refuse_health: bool,
    /// Whether listeners without a broker at start are lost; the default depends on the version.
    pub(crate) listener_death: Option<bool>,
    /// The first retry delay of broker connections; doubled up to `jms_retry_cap`.
    pub(crate) jms_retry: Duration,
    pub(crate) jms_retry_cap: Duration,
    /// The same for pulling artifacts.
    pub(crate) artifact_retry: Duration,
    pub(crate) artifact_retry_cap: Duration,
    /// The retry delay of connections to the receivers of a traffic manager.
    pub(crate) publisher_retry: Duration,
    /// The interval of heartbeats on broker connections.
    pub(crate) heartbeat: Duration,
    /// A broker connection with heartbeats counts as lost after this time without one.
    pub(crate) idle: Duration,
    /// The interval of warnings of a server that waits for its own services.
    pub(crate) warn_every: Duration,
    pub(crate) database: DatabaseCheck,
    /// Whether the class of the JDBC driver must exist.
    pub(crate) driver_check: bool,
    /// Whether certificates of peers must chain to the truststore.
    pub(crate) verify_peers: bool,
    /// The address of all ports; if it is not 0.0.0.0, also used for `localhost`.
    pub(crate) bind: IpAddr,
    /// A file in the format of /etc/hosts, searched before the system.
    pub(crate) hosts_file: Option<PathBuf>,
    /// The name of the node in answers to API calls; by default the name of the machine.
    pub(crate) node: Option<String>,
}

impl Default for Switches {
    fn default() -> Switches {
        let millis = Duration::from_millis;
        Switches {
            startup: millis(400),
            slow_start: Duration::ZERO,
            hang_before_marker: false,
            crash_before_marker: false,
            crash_after_marker: None,
            ignore_term: false,
            drain: millis(200),
            refuse_health: false,
            listener_death: None,
            jms_retry: millis(300),
            jms_retry_cap: millis(2000),
            artifact_retry: millis(500),
            artifact_retry_cap: millis(2000),
            publisher_retry: millis(1000),
            heartbeat: millis(1000),
            idle: millis(6000),
            warn_every: millis(5000),
            database: DatabaseCheck::Login,
            driver_check: true,
            verify_peers: false,
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            hosts_file: None,
            node: None,
        }
    }
}

impl Switches {
    /// Reads the files and the environment.
    pub(crate) fn load(home: &Path) -> Result<Switches, String> {
        let mut switches = Switches::default();
        let real = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
        let above = real.ancestors().nth(2).unwrap_or(&real).to_owned();
        for folder in [&above, home] {
            for name in ["standin.toml", "standin-faults.toml"] {
                switches.read(&folder.join(name))?;
            }
        }
        for (name, value) in std::env::vars() {
            if let Some(key) = name.strip_prefix("STANDIN_") {
                switches
                    .set(&key.to_ascii_lowercase(), &value)
                    .map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(switches)
    }

    fn read(&mut self, path: &Path) -> Result<(), String> {
        let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
        let place = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let document: toml_edit::DocumentMut = text.parse().map_err(|error| place(&error))?;
        for (key, item) in document.iter() {
            let value = match item.as_str() {
                Some(text) => text.to_owned(),
                None => item.to_string().trim().to_owned(),
            };
            self.set(key, &value).map_err(|error| place(&error))?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "startup_secs" => self.startup = secs(value)?,
            "slow_start" => self.slow_start = secs(value)?,
            "hang_before_marker" => self.hang_before_marker = flag(value)?,
            "crash_before_marker" => self.crash_before_marker = flag(value)?,
            "crash_after_marker" => self.crash_after_marker = Some(secs(value)?),
            "ignore_term" => self.ignore_term = flag(value)?,
            "drain_secs" => self.drain = secs(value)?,
            "refuse_health" => self.refuse_health = flag(value)?,
            "listener_death" => self.listener_death = Some(flag(value)?),
            "jms_retry_secs" => self.jms_retry = secs(value)?,
            "jms_retry_cap_secs" => self.jms_retry_cap = secs(value)?,
            "artifact_retry_secs" => self.artifact_retry = secs(value)?,
            "artifact_retry_cap_secs" => self.artifact_retry_cap = secs(value)?,
            "publisher_retry_secs" => self.publisher_retry = secs(value)?,
            "heartbeat_secs" => self.heartbeat = secs(value)?,
            "idle_secs" => self.idle = secs(value)?,
            "warn_every_secs" => self.warn_every = secs(value)?,
            "database" => {
                self.database = match value {
                    "off" => DatabaseCheck::Off,
                    "connect" => DatabaseCheck::Connect,
                    "greeting" => DatabaseCheck::Greeting,
                    "login" => DatabaseCheck::Login,
                    "tables" => DatabaseCheck::Tables,
                    other => {
                        return Err(format!("`{other}` is not one of off, connect, greeting, login, tables"));
                    }
                }
            }
            "driver_check" => self.driver_check = flag(value)?,
            "verify_peers" => self.verify_peers = flag(value)?,
            "bind" => self.bind = value.parse().map_err(|_| format!("invalid address `{value}`"))?,
            "hosts_file" => self.hosts_file = Some(PathBuf::from(value)),
            "node" => self.node = Some(value.to_owned()),
            other => return Err(format!("unknown switch `{other}`")),
        }
        Ok(())
    }
}

fn secs(value: &str) -> Result<Duration, String> {
    let number: f64 = value.parse().map_err(|_| format!("invalid number of seconds `{value}`"))?;
    Duration::try_from_secs_f64(number).map_err(|error| format!("`{value}`: {error}"))
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        other => Err(format!("`{other}` is not true or false")),
    }
}
