//! A running node: the state that its tasks share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Config;
use crate::gate::Gate;
use crate::launch::Launch;
use crate::log::Log;
use crate::network::Network;
use crate::product::Product;
use crate::switches::Switches;

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) launch: Launch,
    pub(crate) home: PathBuf,
    pub(crate) product: Product,
    pub(crate) switches: Switches,
    pub(crate) config: Config,
    pub(crate) log: Log,
    pub(crate) network: Network,
    /// Gates of the ports of servlets, of API traffic, and of the broker and receivers.
    pub(crate) servlets: Gate,
    pub(crate) traffic: Gate,
    pub(crate) broker: Gate,
    /// The TLS configuration of ports, if the keystore is usable.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether TERM starts a graceful stop.
    pub(crate) is_managed: AtomicBool,
    /// Whether all artifacts were pulled.
    pub(crate) is_deployed: AtomicBool,
}

impl Node {
    /// The offset of all ports.
    pub(crate) fn offset(&self) -> u16 {
        let given = self.launch.properties.get("portOffset").and_then(|text| text.parse().ok());
        given
            .or_else(|| self.config.number("server.offset").and_then(|number| u16::try_from(number).ok()))
            .unwrap_or(0)
    }

    /// A default port with the offset.
    pub(crate) fn port(&self, port: u16) -> u16 {
        port.wrapping_add(self.offset())
    }

    /// The HTTPS port of servlets.
    pub(crate) fn https_port(&self) -> u16 {
        self.configured_port("transport.https.properties.port")
    }

    /// The HTTP port of servlets.
    pub(crate) fn http_port(&self) -> u16 {
        self.configured_port("transport.http.properties.port")
    }

    fn configured_port(&self, key: &str) -> u16 {
        self.port(self.config.number(key).and_then(|number| u16::try_from(number).ok()).unwrap_or(0))
    }

    /// Replaces the placeholders that the server itself fills in.
    pub(crate) fn expand(&self, text: &str) -> String {
        let get = |key: &str| self.config.text(key).unwrap_or_default();
        text.replace("${mgt.transport.https.port}", &self.https_port().to_string())
            .replace("${carbon.management.port}", &self.https_port().to_string())
            .replace("${mgt.transport.http.port}", &self.http_port().to_string())
            .replace("${https.nio.port}", &self.port(8243).to_string())
            .replace("${http.nio.port}", &self.port(8280).to_string())
            .replace("${jms.port}", &self.port(5672).to_string())
            .replace("${receiver.url.port}", &self.port(9611).to_string())
            .replace("${auth.url.port}", &self.port(9711).to_string())
            .replace("${carbon.protocol}", "https")
            .replace("${carbon.host}", &get("server.hostname"))
            .replace("${carbon.local.ip}", "localhost")
            .replace("${admin.username}", &get("super_admin.username"))
            .replace("${admin.password}", &get("super_admin.password"))
    }

    /// The URLs of a list in the configuration.
    pub(crate) fn urls(&self, path: &str) -> Vec<String> {
        self.config
            .list(path)
            .iter()
            .flat_map(|text| text.split(','))
            .map(|text| self.expand(text.trim()))
            .collect()
    }

    /// Whether the webapp is installed.
    pub(crate) fn has(&self, webapp: &str) -> bool {
        self.product.webapps.contains(webapp)
    }

    /// Whether listeners without a broker at their start are lost.
    ///
    /// Source: wso2/api-manager issue 4054, present in 4.5.0.
    pub(crate) fn loses_listeners(&self) -> bool {
        self.switches.listener_death.unwrap_or(self.product.version == "4.5.0")
    }

    pub(crate) fn is_deployed(&self) -> bool {
        self.is_deployed.load(Ordering::SeqCst)
    }

    /// The name of the node in answers to API calls.
    pub(crate) fn name(&self) -> String {
        self.switches
            .node
            .clone()
            .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
    }
}
