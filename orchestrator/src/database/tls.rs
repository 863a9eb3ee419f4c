//! Encrypted connections to databases: whom we trust, and what it means to trust nobody in particular.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::{DatabaseError, Kind};
use crate::apim::settings::databases::Tls;
use crate::plan::model::Server;

/// Makes sure that this process has chosen its ciphers: drivers that configure themselves ask for them.
pub(super) fn use_a_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else who was faster has chosen as well as we would.
        drop(ring::default_provider().install_default());
    }
}

/// Returns the PEM text of those whom we trust, where the inventory names a file.
pub(super) fn authorities(server: &Server) -> Result<Option<Vec<u8>>, DatabaseError> {
    let Some((file, named_in)) = &server.ca else { return Ok(None) };
    let folder = named_in.as_deref().and_then(|file| Path::new(file).parent());
    let path = folder.map_or_else(|| file.into(), |folder| folder.join(file));
    match std::fs::read(&path) {
        Ok(pem) => Ok(Some(pem)),
        Err(error) => {
            let words = format!("`apim.databases.tls_ca`: cannot read `{}`: {error}", path.display());
            Err(DatabaseError::new(Kind::TlsFailed, words))
        }
    }
}

/// Returns how connections to `server` are encrypted.
pub(super) fn config(server: &Server) -> Result<ClientConfig, DatabaseError> {
    let failed = |error: &dyn std::fmt::Display| DatabaseError::new(Kind::TlsFailed, error.to_string());
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    if server.tls != Tls::Verified {
        let anybody = Arc::new(Anybody(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    match authorities(server)? {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(|error| failed(&error))?;
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
        }
        None => {
            let words = "`apim.databases.tls: verified` for PostgreSQL needs `tls_ca`, a PEM file of those whom we trust";
            return Err(DatabaseError::new(Kind::TlsFailed, words));
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Says whether encryption is what failed: drivers hand its errors on as errors of reading and writing.
pub(super) fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Takes any certificate, as `tls: required` says: the connection is encrypted, whoever is at its other end.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
