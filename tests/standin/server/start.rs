//! The start, in the order of the product and with its log lines, and the effects of faults.
//!
//! Source of the order: wso2/carbon-kernel `CarbonCoreActivator`, `CarbonServerManager`, `StartupFinalizerServiceComponent`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::artifacts;
use crate::database::{self, Database};
use crate::keystore::KeystoreError;
use crate::links;
use crate::log::Level;
use crate::node::Node;
use crate::ports;
use crate::product::Kind;

const CORE: &str = "org.wso2.carbon.core.internal.CarbonCoreActivator";
const SERVER: &str = "org.wso2.carbon.core.init.CarbonServerManager";
const FINALIZER: &str = "org.wso2.carbon.core.internal.StartupFinalizerServiceComponent";
const CONSOLE: &str = "org.wso2.carbon.ui.internal.CarbonUIServiceComponent";

/// Runs a node. Returns only after a crash, with the exit code.
pub(crate) async fn run(node: Arc<Node>, keystore: Result<(), KeystoreError>) -> u8 {
    let began = Instant::now();
    let pause = node.switches.startup / 3;
    banner(&node);
    database::wrap_drivers(&node.home);
    let check = |id: &'static str| {
        let node = node.clone();
        async move {
            match Database::of(&node.config, id) {
                Some(database) => database.check(&node.home, &node.network, &node.switches).await,
                None => Ok(()),
            }
        }
    };
    tokio::time::sleep(pause).await;
    if let Err(cause) = check("shared_db").await {
        return shared_database_failed(&node, &cause).await;
    }
    node.is_managed.store(true, Ordering::SeqCst);
    node.log
        .info(SERVER, &format!("Repository       : {}/repository/deployment/server/", node.home.display()));
    if let Err(cause) = check("apim_db").await {
        node.log.error(
            "org.wso2.carbon.apimgt.impl.utils.APIMgtDBUtil",
            "Error while initializing the API Manager data source",
        );
        node.log.trace(&[&format!("Caused by: {cause}")]);
        return delayed(&node).await;
    }
    if let Err(error) = &keystore {
        keystore_failed(&node, error);
    }
    if node.product.kind.is_gateway() {
        node.log.info(
            "org.apache.synapse.transport.passthru.PassThroughHttpListener",
            "Initializing Pass-through HTTP/S Listener...",
        );
        ports::open_traffic(&node).await;
    }
    if node.product.kind.has_broker() {
        ports::open_broker(&node).await;
    }
    tokio::time::sleep(pause + node.switches.slow_start).await;
    if node.switches.crash_before_marker {
        node.log.line(
            Level::Fatal,
            "org.wso2.carbon.core.init.CarbonServerManager",
            "WSO2 Carbon initialization Failed",
        );
        return 1;
    }
    if node.switches.hang_before_marker {
        return delayed(&node).await;
    }
    artifacts::before_start(&node).await;
    ports::open_servlets(&node).await;
    ports::open_jmx(&node).await;
    links::start(&node);
    artifacts::start(&node);
    tokio::time::sleep(pause).await;
    node.log.info(FINALIZER, &format!("Server           :  {}-{}", node.product.name, node.product.version));
    node.log.info(FINALIZER, &format!("WSO2 Carbon started in {} sec", began.elapsed().as_secs_f64().ceil()));
    portals(&node);
    match node.switches.crash_after_marker {
        None => until_home_is_deleted(&node).await,
        Some(after) => {
            tokio::time::sleep(after).await;
            node.log.line(
                Level::Fatal,
                "org.wso2.carbon.core.init.CarbonServerManager",
                "java.lang.OutOfMemoryError: Java heap space",
            );
            3
        }
    }
}

fn banner(node: &Node) {
    let property = |name: &str| node.launch.properties.get(name).cloned().unwrap_or_default();
    node.log.info(CORE, "Starting WSO2 Carbon...");
    node.log.info(
        CORE,
        &format!("Operating System : Linux {}", rustix::system::uname().release().to_string_lossy()),
    );
    node.log.info(CORE, &format!("Java Home        : {}", property("java.home")));
    node.log.info(CORE, &format!("Java Version     : {}", property("java.version")));
    node.log.info(CORE, "Java VM          : OpenJDK 64-Bit Server VM (stand-in)");
    node.log.info(CORE, &format!("Carbon Home      : {}", node.home.display()));
    node.log.info(CORE, &format!("Java Temp Dir    : {}/tmp", node.home.display()));
    let user = std::env::var("USER").unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string());
    node.log.info(CORE, &format!("User             : {user}, en-US, Etc/UTC"));
}

/// Logs errors and then hangs: no marker, no HTTPS port, but a running process.
async fn shared_database_failed(node: &Node, cause: &str) -> u8 {
    node.log.error("org.wso2.carbon.user.core.util.DatabaseUtil", &format!("Database Error - {cause}"));
    node.log.error(
        "org.wso2.carbon.registry.core.jdbc.utils.RegistryContext",
        "Unable to get instance of the registry context",
    );
    node.log.trace(&[
        "org.wso2.carbon.registry.core.exceptions.RegistryException: Unable to connect to Data Source",
        &format!("Caused by: {cause}"),
    ]);
    node.log.error("org.wso2.carbon.user.core.internal.Activator", "Cannot start User Manager Core bundle");
    node.log.trace(&[
        "org.wso2.carbon.user.core.UserStoreException: Cannot initialize the realm.",
        &format!("Caused by: {cause}"),
    ]);
    until_home_is_deleted(node).await
}

/// Logs a warning at every interval, without an end.
async fn delayed(node: &Node) -> u8 {
    let warn = async {
        loop {
            tokio::time::sleep(node.switches.warn_every).await;
            node.log.warn(SERVER, "Carbon initialization is delayed due to the following unsatisfied items:");
            node.log.warn(SERVER, "Waiting for required OSGi services: org.wso2.carbon.apimgt.impl.APIManagerConfigurationService");
        }
    };
    tokio::select! {
        status = until_home_is_deleted(node) => status,
        () = warn => 1,
    }
}

fn keystore_failed(node: &Node, error: &KeystoreError) {
    match error {
        KeystoreError::Missing(path) => {
            let path = path.strip_prefix(&node.home).unwrap_or(path);
            node.log.line(
                Level::Fatal,
                "org.wso2.carbon.mediation.initializer.ServiceBusInitializer",
                "Couldn't initialize the ESB...",
            );
            node.log.trace(&[&format!(
                "org.wso2.carbon.CarbonException: KeyStore File {} not found",
                path.display()
            )]);
        }
        KeystoreError::Password(path) => {
            let text = format!("IOError loading keyStore from '{}'", path.display());
            node.log.error("org.wso2.carbon.apimgt.common.gateway.JKSKeyStoreLoader", &text);
            node.log.trace(&["java.io.IOException: Keystore was tampered with, or password was incorrect"]);
            node.log.error(
                "org.apache.synapse.transport.nhttp.config.ServerConnFactoryBuilder",
                &format!("HTTPS Error loading key store: {} Error opening Key store", path.display()),
            );
        }
        KeystoreError::Alias(path, alias) => {
            let text = format!("Alias name [{alias}] does not identify a key entry in {}", path.display());
            node.log.error("org.wso2.carbon.tomcat.internal.CarbonTomcat", &text);
        }
    }
}

fn portals(node: &Node) {
    let host = node.config.text("server.hostname").unwrap_or_default();
    let base = format!("https://{host}:{}", node.https_port());
    match node.product.kind {
        Kind::ControlPlane | Kind::AllInOne | Kind::KeyManager => {
            node.log.info(CONSOLE, &format!("Mgt Console URL  : {base}/carbon/"));
        }
        Kind::Gateway | Kind::TrafficManager => {}
    }
    if node.has("devportal") {
        node.log.info(CONSOLE, &format!("API Developer Portal Default Context : {base}/devportal"));
        node.log.info(CONSOLE, &format!("API Publisher Default Context : {base}/publisher"));
    }
}

/// Returns when the home folder was deleted, so that no test leaves a server running.
pub(crate) async fn until_home_is_deleted(node: &Node) -> u8 {
    let Ok(home) = node.home.canonicalize() else { return pending().await };
    while home.is_dir() {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    1
}
