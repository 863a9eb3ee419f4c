//! Names, connections and listening sockets of a node, on its bind address.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The time limit of a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);

/// The network settings of a node.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) bind: IpAddr,
    pub(crate) hosts_file: Option<PathBuf>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// `scheme://host:port/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Endpoint {
    /// Parses a URL of the configuration.
    pub(crate) fn parse(url: &str) -> Option<Endpoint> {
        let (scheme, rest) = url.trim().trim_matches(['{', '}']).split_once("://")?;
        let authority = rest.split(['/', '?']).next()?;
        let default = match scheme {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, default),
        };
        Some(Endpoint { host: host.to_owned(), port: port? })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// A connection with or without TLS.
pub(crate) type Line = Box<dyn Stream>;

/// A readable and writable stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Network {
    /// Listens on a port of this node.
    pub(crate) async fn listen(&self, port: u16) -> io::Result<TcpListener> {
        TcpListener::bind(SocketAddr::new(self.bind, port)).await
    }

    /// Connects to an endpoint, over IPv4 only (the start script sets `preferIPv4Stack`).
    pub(crate) async fn connect(&self, to: &Endpoint) -> io::Result<TcpStream> {
        let address = SocketAddr::new(self.resolve(to).await?, to.port);
        let socket = TcpSocket::new_v4()?;
        if self.bind.is_loopback() && address.ip().is_loopback() {
            socket.bind(SocketAddr::new(self.bind, 0))?;
        }
        let stream =
            timeout(CONNECT, socket.connect(address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connects to an endpoint with TLS.
    pub(crate) async fn connect_tls(&self, to: &Endpoint) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.connect(to).await?;
        let name = ServerName::try_from(to.host.clone()).map_err(io::Error::other)?;
        timeout(CONNECT, TlsConnector::from(self.tls.clone()).connect(name, stream))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// Connects to a broker, with TLS if configured.
    pub(crate) async fn connect_broker(&self, to: &Endpoint, is_tls: bool) -> io::Result<Line> {
        Ok(if is_tls { Box::new(self.connect_tls(to).await?) } else { Box::new(self.connect(to).await?) })
    }

    async fn resolve(&self, to: &Endpoint) -> io::Result<IpAddr> {
        let own = !self.bind.is_unspecified();
        if own && (to.host == "localhost" || to.host == "127.0.0.1") {
            return Ok(self.bind);
        }
        if let Ok(address) = to.host.parse() {
            return Ok(address);
        }
        if let Some(address) =
            self.hosts_file.as_ref().and_then(|path| in_hosts_file(&fs::read_to_string(path).ok()?, &to.host))
        {
            return Ok(address);
        }
        let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await?.map(|address| address.ip());
        found.into_iter().find(IpAddr::is_ipv4).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("java.net.UnknownHostException: {}", to.host))
        })
    }
}

fn in_hosts_file(text: &str, name: &str) -> Option<IpAddr> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        (address.is_ipv4() && words.any(|word| word == name)).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_urls_are_parsed() {
        let endpoint = |host: &str, port| Some(Endpoint { host: host.to_owned(), port });
        assert_eq!(Endpoint::parse("tcp://cp-1:5672?retries='5'"), endpoint("cp-1", 5672));
        assert_eq!(Endpoint::parse("https://cp.example/services/"), endpoint("cp.example", 443));
        assert_eq!(Endpoint::parse("cp-1:5672"), None);
        assert_eq!(Endpoint::parse("tcp://cp-1"), None);
    }
}
