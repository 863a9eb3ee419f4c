//! Trusted authorities of TLS requests: the system's and additional ones. Verification cannot be
//! disabled.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use super::error::TrustError;

/// Trusted authorities of requests.
#[derive(Debug, Clone)]
pub struct Trust(pub(super) Arc<ClientConfig>);

impl Trust {
    /// Trusts the system's authorities and the given certificates (DER). TLS sessions are not
    /// resumed: each connection does a full handshake, like a new client.
    ///
    /// # Errors
    /// When no authority is trusted, or a certificate is not a valid authority.
    pub fn new(authorities: Vec<Vec<u8>>) -> Result<Self, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let authorities = authorities.into_iter().map(CertificateDer::from);
        let verifier =
            Verifier::new_with_extra_roots(authorities, Arc::clone(&provider)).map_err(TrustError::Tls)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Tls)?;
        let verified = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = verified.with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }
}

/// Returns the certificates (DER) of a PEM text.
///
/// # Errors
/// When the text contains no certificate, or an invalid one.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, TrustError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(found) if found.is_empty() => Err(TrustError::NoCertificate),
        Ok(found) => Ok(found.into_iter().map(|one| one.as_ref().to_vec()).collect()),
        Err(error) => Err(TrustError::Pem(error)),
    }
}
