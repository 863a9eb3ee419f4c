//! The systemd unit of a node: its file, its inputs, and how to identify its process.

use std::collections::BTreeMap;

use apim_protocol::operation::unit::{ProcessMatch, Script};
use apim_protocol::value::Sha256;

use super::cluster::Cluster;
use super::config;
use super::hardening;
use super::sealing;
use super::settings::secrets::SecretsMode;
use super::topology::Node;

/// How long a node waits for its database server at boot, in seconds. After that it starts in any
/// case.
const DATABASE_SECS: u32 = 180;

/// Returns the text of the unit file.
///
/// After a power failure all machines boot at once, and a server without a database hangs
/// half-started (carbon-kernel opens its data sources once: no retry, no exit). So the unit waits
/// for the database server's port first.
///
/// The start script runs in the foreground, so its output reaches the journal; `start` would
/// discard it and always succeed. Its exit status is always 0, whatever happens to the JVM, so
/// `Restart=` rarely applies. TERM must reach the JVM itself (`KillMode=control-group`): the
/// wrapping shell does not forward it. An outer `CARBON_HOME` would override the script's own
/// location. (wso2/product-apim, `startup-scripts`.)
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
        "# Written by apim-deploy; the next apply overwrites manual changes.
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

/// Lines that delay the start until the database server's port is open. The service starts even if
/// that fails.
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

/// Returns the environment of the start script, without secrets.
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

/// Returns the equivalent service for a host without systemd.
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

/// Returns the inputs of the running node. The keys are shown as the reason of a restart (`thing:
/// detail` if a thing has details).
#[must_use]
pub fn inputs(cluster: &Cluster, node: &Node) -> BTreeMap<String, String> {
    let mut inputs = BTreeMap::from([
        ("release".to_owned(), node.release.clone()),
        ("JDK".to_owned(), node.java_home.to_string()),
        ("heap".to_owned(), node.own.heap.options()),
    ]);
    // By key, so that the reason for a restart can be shown.
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

/// Returns how to identify the node's server process. The diagnostics JVM has a different main
/// class, and other components have a different folder.
#[must_use]
pub fn process(node: &Node) -> ProcessMatch {
    ProcessMatch {
        arguments: vec![
            "org.wso2.carbon.bootstrap.Bootstrap".to_owned(),
            format!("{}/", node.home.component),
        ],
    }
}
