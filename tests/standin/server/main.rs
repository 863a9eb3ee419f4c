//! The program that a stand-in distribution runs instead of a JVM: the server, the diagnostics process or
//! the cipher tool, by the main class on its command line. The component is detected from the files in
//! the home folder.

mod artifacts;
mod broker;
mod config;
mod database;
mod diagnostics;
mod gate;
mod http;
mod keystore;
mod launch;
mod links;
mod log;
mod mysql;
mod network;
mod node;
mod ports;
mod product;
mod render;
mod routes;
mod secrets;
mod start;
mod stop;
mod switches;
mod tls;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::config::{Config, Unusable};
use crate::gate::Gate;
use crate::keystore::{Keystore, KeystoreError};
use crate::launch::Launch;
use crate::log::{Log, console};
use crate::network::Network;
use crate::node::Node;
use crate::product::Product;
use crate::secrets::VaultError;
use crate::stop::Signals;
use crate::switches::Switches;

/// The size to which the product pads its pid file, in bytes.
const PID_FILE: usize = 100;

fn main() -> ExitCode {
    let launch =
        match Launch::parse(launch::options_of_environment().into_iter().chain(std::env::args().skip(1))) {
            Ok(launch) => launch,
            Err(text) => {
                console(&text);
                return ExitCode::FAILURE;
            }
        };
    match launch.main_class.as_str() {
        "org.wso2.diagnostics.DiagnosticsApp" => match diagnostics::run(&launch) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        "org.wso2.ciphertool.CipherTool" => ExitCode::from(secrets::tool(&launch)),
        "org.wso2.carbon.bootstrap.Bootstrap" => match serve(launch) {
            Ok(status) => ExitCode::from(status),
            Err(text) => {
                console(&text);
                ExitCode::FAILURE
            }
        },
        other => {
            console(&format!("Error: Could not find or load main class {other}"));
            ExitCode::FAILURE
        }
    }
}

/// Ends the process at once, like a halted JVM.
#[expect(clippy::exit, reason = "a request may halt the process, like the JVM of the product")]
pub(crate) fn exit(status: i32) -> ! {
    std::process::exit(status)
}

fn serve(launch: Launch) -> Result<u8, String> {
    let home = launch.home().ok_or("carbon.home is not set")?;
    write_pid(&home).map_err(|error| format!("Cannot write process ID to file: {error}"))?;
    if launch.arguments.iter().any(|word| word == "--help") {
        console("Usage: start script [start|stop|restart|version] [-Dsystem.property=value]");
        return Ok(0);
    }
    let switches = Switches::load(&home).map_err(|text| format!("stand-in switches: {text}"))?;
    let product = Product::find(&home)?;
    let mut config = match Config::load(&home, &launch.properties) {
        Ok(config) => config,
        Err(Unusable(lines)) => {
            console(&format!(
                "[{}] SEVERE {{org.wso2.carbon.server.Main}} - Error while performing configuration changes",
                log::now()
            ));
            lines
                .iter()
                .for_each(|line| console(&format!("org.wso2.config.mapper.ConfigParserException: {line}")));
            return Ok(1);
        }
    };
    if config.is_missing {
        console(
            "WARN {org.wso2.config.mapper.ConfigParser} - deployment.toml does not exist, defaults apply",
        );
    }
    let vault = secrets::open(&config, &home, &launch);
    let network = |trusted| tls::client(trusted).map_err(|error| format!("TLS: {error}"));
    let trusted = switches
        .verify_peers
        .then(|| Keystore::of(&config, &home, "truststore").trusted().unwrap_or_default());
    let network =
        Network { bind: switches.bind, hosts_file: switches.hosts_file.clone(), tls: network(trusted)? };
    let vault = vault.map(|secrets| config.set_secrets(secrets));
    let identity = Keystore::of(&config, &home, "keystore.tls").identity();
    let tls = identity.as_ref().ok().and_then(|identity| tls::server(identity).ok());
    let keystore = identity.map(|_| ());
    let log = Log::open(&home);
    let node = Arc::new(Node {
        launch,
        home,
        product,
        switches,
        config,
        log,
        network,
        servlets: Gate::new(),
        traffic: Gate::new(),
        broker: Gate::new(),
        tls,
        is_managed: AtomicBool::new(false),
        is_deployed: AtomicBool::new(false),
    });
    render::render(&node)
        .map_err(|error| format!("Error while performing configuration changes: {error}"))?;
    run(node, keystore, vault).map_err(|error| error.to_string())
}

fn run(
    node: Arc<Node>,
    keystore: Result<(), KeystoreError>,
    vault: Result<(), VaultError>,
) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let status = runtime.block_on(async {
        let signals = Signals::new()?;
        let serve = async {
            match vault {
                Ok(()) => start::run(node.clone(), keystore).await,
                Err(error) => vault_closed(&node, &error).await,
            }
        };
        Ok::<u8, io::Error>(tokio::select! {
            status = serve => status,
            status = stop::run(node.clone(), signals) => status,
        })
    });
    runtime.shutdown_background();
    status
}

/// Without its secrets the server hangs.
async fn vault_closed(node: &Node, error: &VaultError) -> u8 {
    const VAULT: &str = "org.wso2.carbon.securevault.SecretManagerInitializer";
    match error {
        VaultError::NoPassword => console("[Enter KeyStore and Private Key Password :]"),
        VaultError::Keystore(error) => {
            node.log.error(
                "org.wso2.securevault.keystore.JKSKeyStoreLoader",
                &format!("IOError loading keyStore: {error:?}"),
            );
            node.log.trace(&["java.io.IOException: Keystore was tampered with, or password was incorrect"]);
        }
        VaultError::Value(alias) => node.log.error(VAULT, &format!("Error decrypting the value of {alias}")),
    }
    start::until_home_is_deleted(node).await
}

/// Digits, a newline, and NUL bytes. The file is never removed.
fn write_pid(home: &Path) -> io::Result<()> {
    let mut content = format!("{}\n", std::process::id()).into_bytes();
    content.resize(PID_FILE, 0);
    fs::write(home.join("wso2carbon.pid"), content)
}
