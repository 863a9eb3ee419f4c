//! A small server that follows a script for each request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use apim_product::keystore::{Authority, PrivateKey, Purpose, Wanted};

/// Reaction to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Respond with this status.
    Say(u16),
    /// Respond, then close the connection without announcing it, and wait until the client closes it.
    SayAndClose(u16),
    /// Close the connection without a response.
    Close,
    /// Send these bytes, then close the connection.
    Part(&'static str),
    /// Never respond.
    Hang,
    /// Send an endless body.
    Endless,
}

/// The server; stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Number of accepted connections.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Number of connections that the client closed after `SayAndClose`.
    pub(crate) closed: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

type Script = dyn Fn(usize, usize) -> Act + Send + Sync;

impl Server {
    /// Starts the server; `script` is called with the number of the connection and of the request
    /// on it, both from 0.
    pub(crate) async fn start(script: impl Fn(usize, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::with(None, script).await
    }

    /// Starts the server with TLS and a certificate for `name`; also returns the authority's
    /// certificate (DER).
    pub(crate) async fn encrypted(
        name: &str,
        script: impl Fn(usize, usize) -> Act + Send + Sync + 'static,
    ) -> (Self, Vec<u8>) {
        let now = jiff::Timestamp::now().as_second();
        let authority = Authority::create("Test CA", now - 60, now + 86_400).expect("an authority");
        let key = PrivateKey::generate().expect("a key");
        let names = [name.to_owned()];
        let wanted = Wanted {
            common_name: name,
            names: &names,
            purpose: Purpose::Tls,
            not_before: now - 60,
            not_after: now + 86_400,
        };
        let leaf = authority.issue(&wanted, &key).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_pkcs8().to_vec()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(leaf.der.to_vec())], key)
            .expect("a pair");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        (Self::with(Some(acceptor), script).await, authority.certificate.der.to_vec())
    }

    async fn with(
        tls: Option<TlsAcceptor>,
        script: impl Fn(usize, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (connections, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, script): (_, Arc<Script>) = (Arc::clone(&connections), Arc::new(script));
        let closings = Arc::clone(&closed);
        let serving = tokio::spawn(async move {
            let mut served = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let (tls, script, closed) = (tls.clone(), Arc::clone(&script), Arc::clone(&closings));
                served.spawn(async move {
                    match tls {
                        None => serve(stream, number, (&*script, &closed)).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, number, (&*script, &closed)).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, connections, closed, _serving: AbortOnDropHandle::new(serving) }
    }
}

/// Serves one connection until either side closes it.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    (script, closed): (&Script, &AtomicUsize),
) -> Option<()> {
    for request in 0.. {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let (status, closes) = match script(number, request) {
            Act::Say(status) => (status, false),
            Act::SayAndClose(status) => (status, true),
            Act::Close => return None,
            Act::Hang => std::future::pending().await,
            Act::Part(text) => {
                stream.write_all(text.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            Act::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await.ok()?;
                }
            }
        };
        let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if closes {
            stream.shutdown().await.ok()?;
            if stream.read_u8().await.is_err() {
                closed.fetch_add(1, Ordering::SeqCst);
            }
            return None;
        }
    }
    None
}
