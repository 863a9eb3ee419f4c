//! The systemd unit of a node: its file, what it runs with, and how its process is told from others.

use std::collections::BTreeMap;

use apim_protocol::operation::unit::{ProcessMatch, Script};
use apim_protocol::value::Sha256;

use super::cluster::Cluster;
use super::config;
use super::hardening;
use super::sealing;
use super::settings::secrets::SecretsMode;
use super::topology::Node;

/// How long a node that starts with its machine waits for its database server, in seconds. It is tried then, come what may.
const DATABASE_SECS: u32 = 180;

/// Returns the text of the unit file.
///
/// After a power cut all machines boot at once, and a server that finds no database hangs half-started for ever (carbon-kernel
/// opens its data sources once: no retry, no exit). So the unit waits for the database server's port first; apply made sure of it before.
///
/// The start script runs in the foreground, so its output reaches the journal; `start` would throw it away and prove nothing.
/// Its exit status is 0 whatever became of the JVM, so `Restart=` seldom fires. TERM must reach the JVM itself
/// (`KillMode=control-group`): the wrapping shell passes it to nobody. `CARBON_HOME` from outside would beat the script's own place.
/// (wso2/product-apim, `startup-scripts`.)
#[must_use]
pub fn text(node: &Node) -> String {
    let settings = &node.settings;
    let home = &node.home.release;
    let environment: String = environment(node)
        .iter()
        .map(|(key, value)| format!("Environment=\"{key}={}\"\n", value.replace('%', "%%")))
        .collect();
    let variables = match settings.secrets {
        SecretsMode::Environment => format!("EnvironmentFile={}\n", node.home.variables),
        SecretsMode::Plain | SecretsMode::Cipher => String::new(),
    };
    format!(
        "# Written by apim-deploy; the next apply puts edits right.
[Unit]
Description=WSO2 API Manager {version}, {words}
Documentation=https://apim.docs.wso2.com/
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=3

[Service]
Type=simple
User={user}
Group={group}
UMask=0077
WorkingDirectory={home}
{environment}{variables}UnsetEnvironment=CARBON_HOME
{wait}ExecStart=/bin/sh {home}/bin/{script}{arguments}
KillMode=control-group
SuccessExitStatus=143
TimeoutStopSec={stop}
Restart=on-failure
RestartSec=10
LimitNOFILE=65535
LimitNPROC=20000
{sandbox}
[Install]
WantedBy=multi-user.target
",
        version = node.version,
        words = node.words(),
        wait = wait_for_database(node),
        user = settings.user,
        group = settings.group,
        script = node.role.script(),
        arguments = hardening::arguments(node).iter().map(|one| format!(" {one}")).collect::<String>(),
        stop = node.stop_secs(),
        sandbox = hardening::sandbox(node),
    )
}

/// Lines that hold the start back until somebody listens at the database server's port; failing at that is no reason not to start.
fn wait_for_database(node: &Node) -> String {
    let Some(databases) = &node.settings.databases else { return String::new() };
    format!(
        "TimeoutStartSec={}\nExecStartPre=-/usr/bin/timeout {DATABASE_SECS} /bin/bash -c \
         'until (: </dev/tcp/{}/{}) 2>/dev/null; do sleep 1; done'\n",
        DATABASE_SECS + 30,
        databases.host,
        databases.port,
    )
}

/// Returns the environment of the start script; no secret is in it.
#[must_use]
pub fn environment(node: &Node) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        ("JAVA_HOME".to_owned(), node.java_home.to_string()),
        ("JVM_MEM_OPTS".to_owned(), node.own.heap.options()),
    ]);
    if let Some(options) = hardening::java_opts(node) {
        environment.insert("JAVA_OPTS".to_owned(), options);
    }
    environment
}

/// Returns the same service for a host without systemd.
#[must_use]
pub fn script(node: &Node) -> Script {
    let start = format!("{}/bin/{}", node.home.release, node.role.script());
    Script {
        argv: match node.settings.secrets {
            SecretsMode::Environment => sealing::with_variables(node, &start),
            SecretsMode::Plain | SecretsMode::Cipher => vec!["/bin/sh".to_owned(), start],
        }
        .into_iter()
        .chain(hardening::arguments(node))
        .collect(),
        directory: Some(node.home.release.clone()),
        environment: environment(node),
        run_as: Some(node.settings.user.clone()),
        pid_file: Some(node.home.pid_file.clone()),
    }
}

/// Returns what the node runs with, by the words shown when one of them is why it is restarted (`thing: detail` where a thing has details).
#[must_use]
pub fn inputs(cluster: &Cluster, node: &Node) -> BTreeMap<String, String> {
    let mut inputs = BTreeMap::from([
        ("release".to_owned(), node.release.clone()),
        ("JDK".to_owned(), node.java_home.to_string()),
        ("heap".to_owned(), node.own.heap.options()),
    ]);
    // By key, so that the reason for a restart can be told.
    let keys = config::render(cluster, node).keys;
    inputs.extend(keys.into_iter().map(|(key, digest)| (format!("deployment.toml: {key}"), digest)));
    if node.settings.secrets != SecretsMode::Plain {
        inputs.insert("secrets".to_owned(), node.settings.secrets.word().to_owned());
    }
    if let Some(options) = hardening::java_opts(node) {
        inputs.insert("JVM options".to_owned(), options);
    }
    inputs.extend(hardening::inputs(node));
    for store in &node.keystores {
        inputs.insert(format!("keystores: {}", store.path.name()), Sha256::of(&store.bytes).to_string());
    }
    if let Some(driver) = node.settings.databases.as_ref().and_then(|databases| databases.driver.as_ref()) {
        inputs.insert("JDBC driver".to_owned(), driver.file.sha256.to_string());
    }
    inputs
}

/// Returns how the node's server is told from every other process: from the diagnostics JVM beside it, which has another main class, and
/// from other components, which have another folder.
#[must_use]
pub fn process(node: &Node) -> ProcessMatch {
    ProcessMatch {
        arguments: vec![
            "org.wso2.carbon.bootstrap.Bootstrap".to_owned(),
            format!("{}/", node.home.component),
        ],
    }
}
