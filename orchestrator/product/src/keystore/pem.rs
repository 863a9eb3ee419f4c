//! PEM: a list of certificates and an optional private key.

use rustls_pki_types::pem::{PemObject as _, SectionKind};

use super::content::{Content, Item};
use super::entry::Keys;
use super::{Certificate, Entry, EntryKind, KeystoreError, PrivateKey};

/// A bundle of all public authorities has about 150 certificates.
const MOST_BLOCKS: usize = 10_000;
/// Characters per line.
const LINE: usize = 64;

/// The alias of a key is the common name of its certificate. Trusted certificates with the same
/// name are numbered.
pub(super) fn open(bytes: &[u8]) -> Result<(Vec<Entry>, Keys), KeystoreError> {
    let (mut certificates, mut key) = (Vec::new(), None);
    // An old OpenSSL format marks an encrypted key by a header inside the block.
    if bytes.windows(20).any(|window| window == b"Proc-Type: 4,ENCRYPT") {
        return Err(KeystoreError::UnreadableKey(LOCKED));
    }
    for (at, block) in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes).enumerate() {
        let (kind, der) = block.map_err(|error| KeystoreError::Damaged(error.to_string()))?;
        if at >= MOST_BLOCKS {
            return Err(KeystoreError::Damaged("too many blocks".to_owned()));
        }
        match kind {
            SectionKind::Certificate => certificates.push(Certificate::parse(&der)?),
            SectionKind::PrivateKey => put(&mut key, der)?,
            SectionKind::RsaPrivateKey => put(&mut key, wrapped(&der))?,
            SectionKind::EcPrivateKey => {
                return Err(KeystoreError::UnreadableKey(
                    "unsupported `EC PRIVATE KEY` block: convert it with `openssl pkcs8 -topk8 -nocrypt`",
                ));
            }
            _ => {}
        }
    }
    let locked = b"-----BEGIN ENCRYPTED PRIVATE KEY";
    if key.is_none() && bytes.windows(locked.len()).any(|window| window == locked) {
        return Err(KeystoreError::UnreadableKey(LOCKED));
    }
    let Some(first) = certificates.first() else {
        return Err(KeystoreError::Damaged("no certificate found".to_owned()));
    };
    let Some(key) = key else {
        let mut entries: Vec<Entry> = Vec::new();
        for certificate in certificates {
            let name = certificate.common_name().to_lowercase();
            let mut alias = name.clone();
            let mut number = 1;
            while entries.iter().any(|entry| entry.alias == alias) {
                number += 1;
                alias = format!("{name} {number}");
            }
            entries.push(Entry { alias, kind: EntryKind::Trusted(Box::new(certificate)) });
        }
        return Ok((entries, Vec::new()));
    };
    let alias = first.common_name().to_lowercase();
    let entries = vec![Entry { alias: alias.clone(), kind: EntryKind::Key(certificates) }];
    Ok((entries, vec![(alias, PrivateKey::from_pkcs8(key))]))
}

const LOCKED: &str = "it is encrypted with a passphrase: decrypt it with `openssl pkcs8 -topk8 -nocrypt` and keep the new file private";

fn put(key: &mut Option<Vec<u8>>, der: Vec<u8>) -> Result<(), KeystoreError> {
    if key.replace(der).is_some() {
        return Err(KeystoreError::Damaged("more than one private key".to_owned()));
    }
    Ok(())
}

/// Wraps a PKCS #1 RSA key as PKCS #8: version, algorithm, and the key as an octet string.
fn wrapped(rsa: &[u8]) -> Vec<u8> {
    const VERSION_AND_ALGORITHM: [u8; 18] = [
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
        0x00,
    ];
    let inner = [&VERSION_AND_ALGORITHM, tagged(0x04, rsa).as_slice()].concat();
    tagged(0x30, &inner)
}

fn tagged(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut bytes = vec![tag];
    match (body.len(), u8::try_from(significant.len())) {
        (short @ 0..=127, _) => bytes.push(u8::try_from(short).unwrap_or(0)),
        (_, Ok(count)) => {
            bytes.push(0x80 | count);
            bytes.extend(significant);
        }
        (_, Err(_)) => {}
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Writes all entries; keys follow their certificates.
pub(super) fn write(content: &Content) -> String {
    let mut text = String::new();
    for (_, item) in &content.items {
        match item {
            Item::Trusted(certificate) => text.push_str(&block("CERTIFICATE", &certificate.der)),
            Item::Identity(identity) => {
                for certificate in &identity.chain {
                    text.push_str(&block("CERTIFICATE", &certificate.der));
                }
                text.push_str(&block("PRIVATE KEY", identity.key.as_pkcs8()));
            }
        }
    }
    text
}

fn block(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for (at, letter) in body.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}
