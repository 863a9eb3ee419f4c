//! Faulty servers, in process: every fault is reported as an error within its deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apim_protocol::frame::MAGIC;
use apim_protocol::message::Open;
use apim_protocol::value::Secret;
use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::chain;
use super::sshd::gw1;
use crate::host::Connection;
use crate::session;
use crate::ssh::{AgentBinaries, NeverAsk, Settings, SshConnect, SshError, Surroundings};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    DropsConnection,
    Silent,
    NotAnSshServer,
    RefusesCommands,
    FloodsBeforeMagic,
    SilentAfterCommand,
    DiesAfterMagic,
}

struct Faulty {
    fault: Fault,
    home: tempfile::TempDir,
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Faulty {
    async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let config = Arc::new(Config { keys: vec![key], ..Config::default() });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, fault, Arc::clone(&config)));
            }
        });
        Self { fault, home: tempfile::tempdir().unwrap(), port, connections }
    }

    async fn open(&self) -> Result<session::Link, SshError> {
        let mut connection = Connection {
            address: "127.0.0.1".into(),
            port: Some(self.port),
            user: Some("deploy".into()),
            password: Some(Secret::new("any")),
            ..Connection::default()
        };
        connection.options.config_file = Some("none".into());
        connection.options.known_hosts_file = Some(self.home.path().join("known_hosts"));
        let mut settings = Settings::new(AgentBinaries::default(), Arc::new(NeverAsk));
        settings.accept_new_host_keys = true;
        settings.around =
            Surroundings { home: self.home.path().to_owned(), user: "deploy".into(), agent_socket: None };
        if self.fault == Fault::Silent {
            settings.connect_deadline = Duration::from_secs(1);
        }
        SshConnect::new(BTreeMap::from([(gw1(), connection)]), settings).open(&gw1()).await
    }

    async fn fails(&self) -> String {
        chain(&self.open().await.err().expect("no link"))
    }
}

async fn serve(mut stream: TcpStream, fault: Fault, config: Arc<Config>) {
    match fault {
        Fault::DropsConnection => {}
        Fault::Silent => std::future::pending().await,
        Fault::NotAnSshServer => drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await),
        _ => {
            if let Ok(session) = russh::server::run_stream(config, stream, Server(fault)).await {
                session.await.ok();
            }
        }
    }
}

struct Server(Fault);

impl Handler for Server {
    type Error = russh::Error;

    async fn auth_password(&mut self, _user: &str, _password: &str) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        _data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.0 {
            Fault::RefusesCommands => return session.channel_failure(id),
            Fault::DiesAfterMagic => session.data(id, MAGIC.to_vec())?,
            Fault::FloodsBeforeMagic => {
                let handle = session.handle();
                tokio::spawn(async move { while handle.data(id, vec![b'\x1b'; 8192]).await.is_ok() {} });
            }
            _ => {}
        }
        session.channel_success(id)
    }

    async fn data(
        &mut self,
        _id: ChannelId,
        _data: &[u8],
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.0 == Fault::DiesAfterMagic { Err(russh::Error::Disconnect) } else { Ok(()) }
    }
}

#[tokio::test]
async fn dropped_connection_is_retried() {
    let server = Faulty::start(Fault::DropsConnection).await;
    let error = server.fails().await;
    assert!(error.contains("the SSH handshake failed"), "{error}");
    assert_eq!(server.connections.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn silent_server_times_out() {
    let error = Faulty::start(Fault::Silent).await.fails().await;
    assert!(
        error.contains("gw1 (deploy@127.0.0.1:")
            && error.contains("no answer to the SSH handshake within 1 s"),
        "{error}"
    );
}

#[tokio::test]
async fn non_ssh_server_is_reported() {
    let error = Faulty::start(Fault::NotAnSshServer).await.fails().await;
    assert!(error.contains("the SSH handshake failed"), "{error}");
}

#[tokio::test]
async fn refused_commands_are_reported() {
    let error = Faulty::start(Fault::RefusesCommands).await.fails().await;
    assert!(error.contains("does not run commands for this account"), "{error}");
}

#[tokio::test]
async fn flood_before_magic_is_bounded_and_sanitized() {
    let error = Faulty::start(Fault::FloodsBeforeMagic).await.fails().await;
    assert!(error.contains("65536 bytes of unexpected output") && !error.contains('\x1b'), "{error}");
    assert!(error.len() < 10_000, "{}", error.len());
}

#[tokio::test(start_paused = true)]
async fn silence_after_command_times_out() {
    let error = Faulty::start(Fault::SilentAfterCommand).await.fails().await;
    assert!(error.contains("the agent did not start in time"), "{error}");
}

#[tokio::test]
async fn lost_connection_is_an_error_not_an_end() {
    let server = Faulty::start(Fault::DiesAfterMagic).await;
    let link = server.open().await.unwrap();
    let open = Open {
        run: "r".into(),
        operator: "o".into(),
        purpose: "p".into(),
        lock: false,
        again: false,
        shares_lock: false,
    };
    let error = session::Session::open(link, open).await.err().unwrap().to_string();
    assert!(error.contains("the connection was lost") && error.contains("gw1"), "{error}");
}
