//! The certificate that a port of this host serves: taken from a handshake, not verified here.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::http::io_words;

/// How long each part of a handshake may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a port serves no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServedError {
    /// No connection, or it broke.
    #[error("{}", io_words(.0))]
    Io(#[from] io::Error),
    /// The handshake cannot begin.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The name of the peer is not valid.
    #[error(transparent)]
    Name(#[from] rustls_pki_types::InvalidDnsNameError),
    /// The handshake showed none.
    #[error("it showed no certificate")]
    NoCertificate,
}

/// Returns the certificate, as DER, that `port` of the loopback address serves.
///
/// # Errors
/// When nothing listens there, or it does not speak TLS.
pub fn certificate(port: u16) -> Result<Vec<u8>, ServedError> {
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    let limits = socket.set_read_timeout(Some(PATIENCE)).and(socket.set_write_timeout(Some(PATIENCE)));
    limits?;
    // The certificate comes before the end of the handshake, which may fail: a client may be asked for one of its own.
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut socket) {
            if connection.peer_certificates().is_none() {
                return Err(error.into());
            }
            break;
        }
    }
    match connection.peer_certificates().and_then(<[_]>::first) {
        Some(certificate) => Ok(certificate.as_ref().to_vec()),
        None => Err(ServedError::NoCertificate),
    }
}

/// Takes any certificate: nothing is sent over the connection, and nothing that comes over it is believed.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
