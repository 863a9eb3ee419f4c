//! Connects to the inventory's hosts: dial or jump, handshake, login, start of the agent.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use apim_protocol::outcome::Failure;
use tokio::sync::{Mutex, OnceCell, Semaphore};

use crate::host::{Connection, HostName};
use crate::session::{Connect, Link, Stream};

use super::agent_binary::AgentBinaries;
use super::agent_keys::unlock;
use super::authenticate::authenticate;
use super::client::{HandshakeError, handshake, words};
use super::connection::Opened;
use super::destination::{Destination, Surroundings};
use super::dial::dial;
use super::error::{SettingError, SshError, UnreachableError};
use super::host_key::{KeyTarget, Trust, UnknownKey};
use super::keyring::{AskPassphrase, KeyRing};
use super::known_hosts::KnownHosts;
use super::launch;
use super::learn;
use super::tunnel;
use super::wire::{Counted, WireCounter};

/// Maximum number of attempts with a server that closes the connection at once, which it does when
/// it has too many connections.
const MAX_ATTEMPTS: u32 = 4;

/// Settings for all hosts of a run.
#[derive(Clone)]
pub struct Settings {
    /// The agent's executables, by architecture.
    pub agents: Arc<AgentBinaries>,
    /// Maximum number of connections that are being opened at once (by default, sshd rejects more
    /// than 10).
    pub handshakes: usize,
    /// Timeout for connecting, and separately for the handshake.
    pub connect_deadline: Duration,
    /// Whether unknown host keys are added to known_hosts and trusted.
    pub accept_new_host_keys: bool,
    /// Source of passphrases.
    pub ask: Arc<dyn AskPassphrase>,
    /// The user's environment.
    pub around: Surroundings,
}

impl Settings {
    /// Returns the default settings.
    #[must_use]
    pub fn new(agents: AgentBinaries, ask: Arc<dyn AskPassphrase>) -> Self {
        Self {
            agents: Arc::new(agents),
            handshakes: 10,
            connect_deadline: Duration::from_secs(15),
            accept_new_host_keys: false,
            ask,
            around: Surroundings::from_environment(),
        }
    }
}

/// Connects to hosts over SSH: one connection and one channel per host, one shared connection per
/// jump host.
#[derive(Clone)]
pub struct SshConnect {
    shared: Arc<Shared>,
}

struct Shared {
    hosts: BTreeMap<HostName, Connection>,
    settings: Settings,
    room: Semaphore,
    ring: KeyRing,
    jumps: Mutex<HashMap<String, Arc<OnceCell<Arc<Opened>>>>>,
    wires: BTreeMap<HostName, WireCounter>,
    /// Connections in use, by host; their users keep them alive.
    open: Mutex<HashMap<HostName, Weak<Opened>>>,
}

/// The stage at which opening a connection stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    KeyVerified,
    LoggedIn,
}

/// Boxed, because opening a connection through a jump host is recursive.
type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, SshError>> + Send + 'a>>;

impl SshConnect {
    /// Creates the connector for `hosts`; does not contact any host.
    #[must_use]
    pub fn new(hosts: BTreeMap<HostName, Connection>, settings: Settings) -> Self {
        let wires = hosts.keys().map(|host| (host.clone(), WireCounter::default())).collect();
        let room = Semaphore::new(settings.handshakes.max(1));
        let ring = KeyRing::new(Arc::clone(&settings.ask));
        Self {
            shared: Arc::new(Shared {
                hosts,
                settings,
                room,
                ring,
                jumps: Mutex::default(),
                wires,
                open: Mutex::default(),
            }),
        }
    }

    /// Returns the counter of bytes sent to and received from `host`.
    #[must_use]
    pub fn wire_counter(&self, host: &HostName) -> WireCounter {
        self.shared.wires.get(host).cloned().unwrap_or_default()
    }

    /// Connects to `host` and starts the agent, which is uploaded first if it is missing.
    ///
    /// # Errors
    /// When the host is unreachable, its key is not trusted, authentication fails, or the agent
    /// cannot be started.
    pub async fn open(&self, host: &HostName) -> Result<Link, SshError> {
        let connection = self.shared.connection(host)?;
        let to = Destination::resolve(&host.0, connection, &self.shared.settings.around)?;
        let opened = Arc::new(self.shared.open(&to, self.wire_counter(host), Until::LoggedIn).await?);
        self.shared.open.lock().await.insert(host.clone(), Arc::downgrade(&opened));
        launch::start(opened, &to.peer, &to.user, connection, &self.shared.settings.agents).await
    }

    /// Opens a stream from `host` to `address` and `port` over the existing connection, or over a
    /// new one.
    ///
    /// # Errors
    /// When the host is unreachable, its sshd does not forward connections, or the port is not
    /// listening.
    pub async fn tunnel(
        &self,
        host: &HostName,
        address: &str,
        port: u16,
    ) -> Result<Box<dyn Stream>, SshError> {
        let connection = self.shared.connection(host)?;
        let to = Destination::resolve(&host.0, connection, &self.shared.settings.around)?;
        let known = self.shared.open.lock().await.get(host).and_then(Weak::upgrade);
        let opened = match known.filter(|opened| !opened.client.is_closed()) {
            Some(opened) => opened,
            None => Arc::new(self.shared.open(&to, self.wire_counter(host), Until::LoggedIn).await?),
        };
        let deadline = self.shared.settings.connect_deadline;
        let stream = tunnel::open(&opened, &to.peer, address, port, deadline).await?;
        Ok(Box::new(tunnel::Held::new(stream, opened)))
    }

    /// Asks for the passphrases of encrypted keys that the inventory sets, so that no prompt
    /// interrupts a run. Each key is asked for once; keys that are loaded in the ssh-agent are not.
    pub async fn unlock_keys(&self, hosts: &[HostName]) {
        let settings = &self.shared.settings;
        for host in hosts {
            let Ok(connection) = self.shared.connection(host) else { continue };
            // Errors are reported when the host is connected.
            if let Ok(to) = Destination::resolve(&host.0, connection, &settings.around) {
                unlock(&to, &self.shared.ring).await;
            }
        }
    }

    /// Fetches and returns the keys of those `hosts` whose key is not known; hosts with a known key
    /// are not contacted. If new keys are accepted, they are added to known_hosts and not returned.
    ///
    /// Unreachable hosts are skipped: connecting to them reports the error.
    pub async fn survey_host_keys(&self, hosts: &[HostName]) -> Vec<UnknownKey> {
        let mut scans = tokio::task::JoinSet::new();
        for host in hosts {
            let shared = Arc::clone(&self.shared);
            let host = host.clone();
            scans.spawn(async move { shared.scan_key(&host).await });
        }
        let mut unknown: Vec<UnknownKey> = scans.join_all().await.into_iter().flatten().collect();
        unknown.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
        unknown.dedup_by(|a, b| a.name == b.name && a.key == b.key);
        unknown
    }

    /// Returns how many of `hosts` have no known key; does not contact any host.
    #[must_use]
    pub fn hosts_without_known_key(&self, hosts: &[HostName]) -> usize {
        hosts.iter().filter(|host| self.shared.destination_without_known_key(host).is_some()).count()
    }
}

impl Connect for SshConnect {
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
        Box::pin(async move { Ok(self.tunnel(host, address, port).await?) })
    }
}

impl Shared {
    fn connection(&self, host: &HostName) -> Result<&Connection, SettingError> {
        self.hosts.get(host).ok_or_else(|| SettingError::UnknownHost(host.to_string()))
    }

    /// Returns the destination of `host` if its key, or the key of one of its jump hosts, is not
    /// known.
    fn destination_without_known_key(&self, host: &HostName) -> Option<Destination> {
        let connection = self.hosts.get(host)?;
        let to = Destination::resolve(&host.0, connection, &self.settings.around).ok()?;
        let known = |to: &Destination| trust(to).is_ok_and(|trust| trust.has_known_key());
        (!(known(&to) && to.jumps.iter().all(known))).then_some(to)
    }

    async fn scan_key(self: Arc<Self>, host: &HostName) -> Option<UnknownKey> {
        let to = self.destination_without_known_key(host)?;
        match self.open(&to, WireCounter::default(), Until::KeyVerified).await {
            Err(error) => error.unknown_key().cloned(),
            Ok(_) => None,
        }
    }

    /// Opens a connection to `to`; retries when a busy server closes the connection.
    async fn open(&self, to: &Destination, wire: WireCounter, until: Until) -> Result<Opened, SshError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let error = match self.open_once(to, wire.clone(), until).await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            match error {
                HandshakeError::Dropped(error) if attempts >= MAX_ATTEMPTS => return Err(error),
                HandshakeError::Dropped(_) => tokio::time::sleep(backoff(attempts)).await,
                HandshakeError::Final(SshError::UnknownHostKey(key))
                    if self.accepts_new(to) && attempts < MAX_ATTEMPTS =>
                {
                    learn::learn_key(&key).await?;
                }
                HandshakeError::Final(error) => return Err(error),
            }
        }
    }

    fn accepts_new(&self, to: &Destination) -> bool {
        self.settings.accept_new_host_keys || to.accept_new
    }

    async fn open_once(
        &self,
        to: &Destination,
        wire: WireCounter,
        until: Until,
    ) -> Result<Opened, HandshakeError> {
        let deadline = to.connect_timeout_secs.map_or(self.settings.connect_deadline, Duration::from_secs);
        let trust = Arc::new(trust(to).map_err(|error| HandshakeError::Final(error.into()))?);
        let through = self.jump(to).await.map_err(HandshakeError::Final)?;
        let permit = self.room.acquire().await;
        let stream = self.stream(to, through.as_deref(), deadline).await.map_err(HandshakeError::Final)?;
        let (mut client, heard) = handshake(&to.peer, Counted::new(stream, wire), trust, deadline).await?;
        if until == Until::LoggedIn {
            authenticate(&mut client, &heard, to, &self.ring).await.map_err(HandshakeError::Final)?;
        }
        drop(permit);
        Ok(Opened::new(client, heard, through))
    }

    async fn stream(
        &self,
        to: &Destination,
        through: Option<&Opened>,
        deadline: Duration,
    ) -> Result<Box<dyn Stream>, SshError> {
        let Some(through) = through else {
            return Ok(Box::new(dial(&to.peer, &to.host, to.port, deadline).await?));
        };
        let opening = through.client.channel_open_direct_tcpip(
            to.host.clone(),
            u32::from(to.port),
            "127.0.0.1".to_owned(),
            0,
        );
        let address = format!("{}:{}", to.host, to.port);
        let source = match tokio::time::timeout(deadline, opening).await {
            Ok(Ok(channel)) => return Ok(Box::new(channel.into_stream())),
            Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                UnreachableError::JumpRefused { to: address, reason: format!("{reason:?}") }
            }
            Ok(Err(error)) => UnreachableError::JumpFailed(words(&error)),
            Err(_) => UnreachableError::JumpTimeout { to: address, secs: deadline.as_secs() },
        };
        Err(SshError::Unreachable { peer: to.peer.clone(), source })
    }

    /// Returns the connection to the last jump host before `to`; shared by all hosts behind it.
    fn jump<'a>(&'a self, to: &'a Destination) -> Later<'a, Option<Arc<Opened>>> {
        Box::pin(async move {
            let Some((last, before)) = to.jumps.split_last() else { return Ok(None) };
            let name = to.jumps.iter().map(|jump| jump.peer.as_str()).collect::<Vec<_>>().join(" > ");
            let cell = {
                let mut jumps = self.jumps.lock().await;
                let cell = jumps.entry(name).or_default();
                if cell.get().is_some_and(|opened| opened.client.is_closed()) {
                    *cell = Arc::default();
                }
                Arc::clone(cell)
            };
            let mut hop = last.clone();
            hop.jumps = before.to_vec();
            let opening =
                async { self.open(&hop, WireCounter::default(), Until::LoggedIn).await.map(Arc::new) };
            match cell.get_or_try_init(|| opening).await {
                Ok(opened) => Ok(Some(Arc::clone(opened))),
                Err(source) => Err(SshError::Jump { peer: to.peer.clone(), source: Box::new(source) }),
            }
        })
    }
}

fn trust(to: &Destination) -> Result<Trust, SettingError> {
    let known = KnownHosts::read(&to.known_hosts)?;
    let learn_to = to.known_hosts.first().cloned().unwrap_or_else(|| PathBuf::from("/dev/null"));
    let target = KeyTarget { peer: &to.peer, host: &to.key_name, port: to.key_port };
    Trust::new(target, &to.pins, &known, &learn_to)
}

/// Returns the delay after attempt number `attempts`: increasing, with jitter for hosts that failed
/// at the same time.
fn backoff(attempts: u32) -> Duration {
    let jitter = RandomState::new().hash_one(attempts) % 300;
    Duration::from_millis(200 * u64::from(attempts) + jitter)
}
