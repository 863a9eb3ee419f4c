//! Encrypted connections to databases, with and without certificate verification.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::{DatabaseError, Kind};
use apim_product::settings::databases::Tls;
use apim_product::work::Server;

/// Installs the process-wide crypto provider, which the MySQL driver requires.
pub(super) fn use_a_provider() {
    if CryptoProvider::get_default().is_none() {
        // A provider that was installed concurrently is as good.
        drop(ring::default_provider().install_default());
    }
}

/// Returns the PEM text of the trusted authorities, if the inventory sets a file.
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

/// Returns the TLS configuration for `server`.
pub(super) fn config(server: &Server) -> Result<ClientConfig, DatabaseError> {
    let failed = |error: &dyn std::fmt::Display| DatabaseError::new(Kind::TlsFailed, error.to_string());
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    if server.tls != Tls::Verified {
        let any = Arc::new(AcceptAnyCertificate(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth());
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
            let words = "`apim.databases.tls: verified` for PostgreSQL requires `tls_ca`, a PEM file of the trusted authorities";
            return Err(DatabaseError::new(Kind::TlsFailed, words));
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Returns whether TLS caused the error: drivers wrap TLS errors in I/O errors.
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

/// Accepts any certificate, for `tls: required`: the connection is encrypted, but the server is not
/// authenticated.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
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
