//! A port of the loopback address that leads into a stream: for a driver that takes nothing but addresses.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::session::Stream;

/// How long the one who is to come may take.
const COMES_WITHIN: Duration = Duration::from_secs(15);

/// A port that leads into a stream; closed when dropped.
pub(super) struct Forward {
    pub(super) port: u16,
    carrier: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Lets exactly one peer, the first to come, speak through `stream`.
pub(super) async fn forward(mut stream: Box<dyn Stream>) -> io::Result<Forward> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let carrier = tokio::spawn(async move {
        let Ok(Ok((mut peer, _))) = tokio::time::timeout(COMES_WITHIN, listener.accept()).await else {
            return;
        };
        drop(listener);
        if peer.set_nodelay(true).is_ok() {
            // Either end says why it ended to its own user.
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
    async fn one_peer_comes_in_and_no_other() {
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
            "a second one came in"
        );
        drop(forward);
        assert_eq!(far.read(&mut heard).await.unwrap(), 0, "the stream ends with it");
    }
}
