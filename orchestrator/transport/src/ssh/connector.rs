//! Connector of the engine: uses the connection type that the inventory sets for each host.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use apim_protocol::outcome::Failure;

use crate::host::{Connection, ConnectionKind, HostName};
use crate::session::{Connect, Link, Stream};

use super::connect::{Settings, SshConnect};
use super::error::SshError;
use super::host_key::UnknownKey;
use super::local::LocalConnect;
use super::tunnel;
use super::wire::WireCounter;

/// Connects to every host of an inventory.
#[derive(Clone)]
pub struct Connector {
    kinds: Arc<BTreeMap<HostName, ConnectionKind>>,
    ssh: SshConnect,
    local: LocalConnect,
}

impl Connector {
    /// Creates the connector for `hosts`; does not contact any host.
    #[must_use]
    pub fn new(hosts: BTreeMap<HostName, Connection>, settings: Settings) -> Self {
        let kinds = hosts.iter().map(|(host, connection)| (host.clone(), connection.kind)).collect();
        let local = LocalConnect::new(hosts.clone(), Arc::clone(&settings.agents));
        Self { kinds: Arc::new(kinds), ssh: SshConnect::new(hosts, settings), local }
    }

    /// Returns the unknown keys of `hosts`; see [`SshConnect::survey_host_keys`].
    pub async fn survey_host_keys(&self, hosts: &[HostName]) -> Vec<UnknownKey> {
        self.ssh.survey_host_keys(&self.over_ssh(hosts)).await
    }

    /// Returns how many of `hosts` have no known key; does not contact any host.
    #[must_use]
    pub fn hosts_without_known_key(&self, hosts: &[HostName]) -> usize {
        self.ssh.hosts_without_known_key(&self.over_ssh(hosts))
    }

    fn over_ssh(&self, hosts: &[HostName]) -> Vec<HostName> {
        let is_ssh = |host: &&HostName| self.kinds.get(host) == Some(&ConnectionKind::Ssh);
        hosts.iter().filter(is_ssh).cloned().collect()
    }

    /// Asks for the passphrases that the run needs; see [`SshConnect::unlock_keys`].
    pub async fn unlock_keys(&self, hosts: &[HostName]) {
        self.ssh.unlock_keys(&self.over_ssh(hosts)).await;
    }

    /// Returns the counter of bytes sent to and received from `host` (zero for the local machine).
    #[must_use]
    pub fn wire_counter(&self, host: &HostName) -> WireCounter {
        self.ssh.wire_counter(host)
    }

    /// Connects to `host` and starts the agent.
    ///
    /// # Errors
    /// When the host is unreachable or the agent cannot be started.
    pub async fn open(&self, host: &HostName) -> Result<Link, SshError> {
        match self.kinds.get(host) {
            Some(ConnectionKind::Local) => self.local.open(host).await,
            Some(ConnectionKind::Ssh) | None => self.ssh.open(host).await,
        }
    }
}

impl Connect for Connector {
    fn connect<'a>(
        &'a self,
        host: &'a HostName,
    ) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
        Box::pin(async move { Ok(self.open(host).await?) })
    }

    fn tunnel<'a>(
        &'a self,
        host: &'a HostName,
        address: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, Failure>> + Send + 'a>> {
        Box::pin(async move {
            Ok(match self.kinds.get(host) {
                Some(ConnectionKind::Local) => tunnel::from_here(host, address, port).await?,
                Some(ConnectionKind::Ssh) | None => self.ssh.tunnel(host, address, port).await?,
            })
        })
    }
}
