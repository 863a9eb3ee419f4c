//! Certificate issuing: an authority and the certificates that it signs.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber, date_time_ymd,
};

use super::{Certificate, KeystoreError, PrivateKey};

/// The size of a serial number in bytes; RFC 5280 allows 20.
const SERIAL_BYTES: usize = 16;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Servers and clients of TLS.
    Tls,
    /// Signing, and encryption of keys and data.
    Encipherment,
}

/// A certificate request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The subject's common name.
    pub common_name: &'a str,
    /// The DNS names and addresses for which the certificate is valid.
    pub names: &'a [String],
    /// The intended use.
    pub purpose: Purpose,
    /// Start of validity, in seconds since 1970.
    pub not_before: i64,
    /// End of validity, in seconds since 1970; limited by the authority's own.
    pub not_after: i64,
}

/// Returns a random serial number.
///
/// # Errors
/// When the system provides no random bytes.
pub fn serial() -> Result<[u8; SERIAL_BYTES], KeystoreError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| KeystoreError::NotIssued(error.to_string()))?;
    if let Some(first) = bytes.first_mut() {
        // The first byte keeps the number positive and at full length.
        *first = *first & 0x7f | 0x40;
    }
    Ok(bytes)
}

impl PrivateKey {
    /// Generates an RSA key of 2048 bits: the product signs tokens with RSA only.
    ///
    /// # Errors
    /// When the key cannot be generated.
    pub fn generate() -> Result<Self, KeystoreError> {
        Self::sized(RsaKeySize::_2048)
    }

    fn sized(size: RsaKeySize) -> Result<Self, KeystoreError> {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).map_err(not_issued)?;
        Ok(Self::from_pkcs8(pair.serialize_der()))
    }

    /// Returns whether `certificate` contains the public key of this key.
    #[must_use]
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        self.pair()
            .is_ok_and(|pair| rcgen::PublicKeyData::subject_public_key_info(&pair) == certificate.public_key)
    }

    fn pair(&self) -> Result<KeyPair, KeystoreError> {
        KeyPair::try_from(self.as_pkcs8())
            .map_err(|_| KeystoreError::UnreadableKey("its type is not RSA, EC or Ed25519"))
    }
}

/// A certificate authority.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its self-signed certificate.
    pub certificate: Certificate,
    /// Its key.
    pub key: PrivateKey,
}

impl Authority {
    /// Creates an authority with a new key.
    ///
    /// # Errors
    /// When key or certificate cannot be created.
    pub fn create(name: &str, not_before: i64, not_after: i64) -> Result<Self, KeystoreError> {
        let key = PrivateKey::sized(RsaKeySize::_3072)?;
        Self::certify(name, key, not_before, not_after)
    }

    /// Returns the same authority with a new certificate. Certificates that it signed stay trusted.
    ///
    /// # Errors
    /// When the certificate cannot be created.
    pub fn renew(&self, not_before: i64, not_after: i64) -> Result<Self, KeystoreError> {
        Self::certify(self.certificate.common_name(), self.key.clone(), not_before, not_after)
    }

    fn certify(name: &str, key: PrivateKey, not_before: i64, not_after: i64) -> Result<Self, KeystoreError> {
        let pair = key.pair()?;
        let mut params = params(name, not_before, not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let signed = params.self_signed(&pair).map_err(not_issued)?;
        Ok(Self { certificate: Certificate::parse(signed.der())?, key })
    }

    /// Signs a certificate for the holder of `key`.
    ///
    /// # Errors
    /// When a name is not allowed in a certificate.
    pub fn issue(&self, wanted: &Wanted<'_>, key: &PrivateKey) -> Result<Certificate, KeystoreError> {
        let own = self.key.pair()?;
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = named(self.certificate.common_name());
        issuer.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        if let Some(id) = &self.certificate.key_id {
            issuer.key_identifier_method = KeyIdMethod::PreSpecified(id.clone());
        }
        let issuer = Issuer::new(issuer, own);
        let not_after = wanted.not_after.min(self.certificate.not_after);
        let mut params = params(wanted.common_name, wanted.not_before, not_after)?;
        for name in wanted.names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(not_issued)?),
            });
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        match wanted.purpose {
            Purpose::Tls => {
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            }
            Purpose::Encipherment => params.key_usages.push(KeyUsagePurpose::DataEncipherment),
        }
        let signed = params.signed_by(&key.pair()?, &issuer).map_err(not_issued)?;
        Certificate::parse(signed.der())
    }

    /// Returns whether this authority signed `certificate`.
    #[must_use]
    pub fn signed(&self, certificate: &Certificate) -> bool {
        certificate.issuer_der == self.certificate.subject_der
            && super::trust::signed(certificate, &self.certificate)
    }
}

fn params(name: &str, not_before: i64, not_after: i64) -> Result<CertificateParams, KeystoreError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(secs(not_before));
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(secs(not_after));
    Ok(params)
}

fn secs(moment: i64) -> u64 {
    u64::try_from(moment).unwrap_or(0)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn not_issued(error: rcgen::Error) -> KeystoreError {
    KeystoreError::NotIssued(error.to_string())
}
