//! Forwards a loopback port to a stream, for a driver that accepts only addresses.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use apim_transport::session::Stream;

/// Timeout for the client to connect.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(15);

/// A port that is forwarded to a stream; closed when dropped.
pub(super) struct Forward {
    pub(super) port: u16,
    carrier: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Forwards exactly one connection, the first one, to `stream`.
pub(super) async fn forward(mut stream: Box<dyn Stream>) -> io::Result<Forward> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let carrier = tokio::spawn(async move {
        let Ok(Ok((mut peer, _))) = tokio::time::timeout(ACCEPT_TIMEOUT, listener.accept()).await else {
            return;
        };
        drop(listener);
        if peer.set_nodelay(true).is_ok() {
            // Both ends report their errors to their own users.
            drop(tokio::io::copy_bidirectional(&mut peer, &mut stream).await);
        }
    });
    Ok(Forward { port, carrier })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn only_the_first_connection_is_forwarded() {
        let (near, mut far) = tokio::io::duplex(64);
        let forward = forward(Box::new(near)).await.unwrap();
        let mut first = TcpStream::connect((Ipv4Addr::LOCALHOST, forward.port)).await.unwrap();
        first.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ping");
        far.write_all(b"pong").await.unwrap();
        first.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"pong");
        assert!(
            TcpStream::connect((Ipv4Addr::LOCALHOST, forward.port)).await.is_err(),
            "a second connection was accepted"
        );
        drop(forward);
        assert_eq!(far.read(&mut heard).await.unwrap(), 0, "the stream ends with the forward");
    }
}
