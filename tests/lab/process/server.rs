//! The SSH server of one host of the process lab: accepts the key or password of the lab, and runs
//! commands with `sh` in the host's home folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, Command};

use super::relay::Wire;
use super::{PASSWORD, USER};

/// The buffer between the network and the server, in bytes.
const BUFFER: usize = 1 << 20;

pub(super) struct Keys {
    pub(super) host: PrivateKey,
    pub(super) client: PublicKey,
}

/// Accepts connections until the runtime ends.
pub(super) async fn listen(listener: TcpListener, keys: Keys, home: PathBuf, wire: Arc<Wire>) {
    let config = Arc::new(Config {
        keys: vec![keys.host],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        window_size: 8 << 20,
        ..Config::default()
    });
    while let Ok((client, _)) = listener.accept().await {
        if wire.refuses() || client.set_nodelay(true).is_err() {
            continue;
        }
        let (near, far) = tokio::io::duplex(BUFFER);
        let carrier = Arc::clone(&wire);
        tokio::spawn(async move { carrier.carry(client, near).await });
        let host = Server {
            client: keys.client.clone(),
            home: home.clone(),
            wire: Arc::clone(&wire),
            open: HashMap::new(),
        };
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = run_stream(config, far, host).await {
                // Errors are expected: clients close connections early.
                drop(session.await);
            }
        });
    }
}

struct Server {
    client: PublicKey,
    home: PathBuf,
    wire: Arc<Wire>,
    open: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler for Server {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = user == USER && key.public_key.key_data() == self.client.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if user == USER && password == PASSWORD { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.open.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    /// Forwards a stream to another host of the lab, as a jump host does.
    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let port = u16::try_from(port).unwrap_or(0);
        let target: Option<std::net::IpAddr> = host.parse().ok();
        let Some(target) = target.filter(std::net::IpAddr::is_loopback) else { return Ok(()) };
        let Ok(mut stream) = tokio::net::TcpStream::connect((target, port)).await else { return Ok(()) };
        reply.accept().await;
        tokio::spawn(async move {
            drop(tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut stream).await);
        });
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(channel) = self.open.remove(&id) else { return session.channel_failure(id) };
        let line = String::from_utf8_lossy(command).into_owned();
        self.wire.note(&line);
        let spawned = Command::new("sh")
            .args(["-c", &line])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("USER", USER)
            .current_dir(&self.home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else { return session.channel_failure(id) };
        session.channel_success(id)?;
        let (from, to) = channel.split();
        let (input, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        tokio::spawn(feed(from, input));
        tokio::spawn(async move {
            tokio::join!(pour(output, to.make_writer()), pour(error, to.make_writer_ext(Some(1))));
            finish(&to, child.wait().await).await;
        });
        Ok(())
    }
}

/// Copies data from the client to the command, until the client ends the input or disconnects.
async fn feed(mut from: ChannelReadHalf, input: Option<ChildStdin>) {
    let Some(mut input) = input else { return };
    while let Some(message) = from.wait().await {
        let over = match message {
            ChannelMsg::Data { data } => input.write_all(&data).await.is_err(),
            message => matches!(message, ChannelMsg::Eof | ChannelMsg::Close),
        };
        if over {
            break;
        }
    }
    drop(input);
    // Data after the end of the command is discarded, since it would block the connection.
    while from.wait().await.is_some() {}
}

async fn pour(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    if let Some(mut from) = from {
        drop(tokio::io::copy(&mut from, &mut to).await);
        to.flush().await.unwrap_or_default();
    }
}

async fn finish(to: &ChannelWriteHalf<Msg>, status: std::io::Result<std::process::ExitStatus>) {
    let code = status.ok().and_then(|status| status.code()).and_then(|code| u32::try_from(code).ok());
    drop(to.exit_status(code.unwrap_or(255)).await);
    drop(to.eof().await);
    drop(to.close().await);
}
