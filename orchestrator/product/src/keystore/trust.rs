//! Verifies a certificate chain against trust anchors, by names and signatures, as the JDK does.
//! Callers check validity dates and key usage, because they can report them in more detail.

use rustls::crypto::ring;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Certificate;

/// The longest chain that is followed; longer ones are loops.
const LONGEST: usize = 10;

/// The result of verifying a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The chain ends at a trusted certificate.
    Trusted,
    /// The chain ends at a certificate with an unknown issuer, whose name this is.
    UnknownIssuer(String),
    /// The named issuer's key did not sign the certificate with this subject.
    WrongSignature(String),
}

/// Follows a chain (own certificate first) to one of `anchors`.
#[must_use]
pub fn follow(chain: &[Certificate], anchors: &[&Certificate]) -> Trust {
    let Some(mut at) = chain.first() else { return Trust::UnknownIssuer("none".to_owned()) };
    let mut was_wrong = None;
    for _ in 0..LONGEST {
        if anchors.iter().any(|anchor| anchor.der == at.der) {
            return Trust::Trusted;
        }
        let issued = |issuer: &&Certificate| issuer.subject_der == at.issuer_der;
        let mut candidates = anchors.iter().copied().filter(issued).peekable();
        let is_named = candidates.peek().is_some();
        if candidates.any(|anchor| signed(at, anchor)) {
            return Trust::Trusted;
        }
        if is_named {
            was_wrong = Some(at.subject.clone());
        }
        let next = chain.iter().filter(|one| one.der != at.der).filter(issued).find(|one| signed(at, one));
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    was_wrong.map_or_else(|| Trust::UnknownIssuer(at.issuer.clone()), Trust::WrongSignature)
}

/// Returns whether `issuer`'s key signed `certificate`. Unknown algorithms are accepted, because a
/// JDK supports more of them.
pub(super) fn signed(certificate: &Certificate, issuer: &Certificate) -> bool {
    let (Ok((_, own)), Ok((_, other))) =
        (X509Certificate::from_der(&certificate.der), X509Certificate::from_der(&issuer.der))
    else {
        return false;
    };
    let message = own.tbs_certificate.as_ref();
    let signature = own.signature_value.as_ref();
    let key = &other.tbs_certificate.subject_pki;
    let (Some(signed_by), Some(key_kind)) =
        (inner(algorithm(&certificate.der, 1)), inner(algorithm(key.raw, 0)))
    else {
        return true;
    };
    let known = ring::default_provider().signature_verification_algorithms;
    let mut fitting = known
        .all
        .iter()
        .filter(|one| {
            one.signature_alg_id().as_ref() == signed_by && one.public_key_alg_id().as_ref() == key_kind
        })
        .peekable();
    if fitting.peek().is_none() {
        return true;
    }
    fitting.any(|one| one.verify_signature(key.subject_public_key.data.as_ref(), message, signature).is_ok())
}

/// Returns element `at` of a sequence, including its header.
fn algorithm(der: &[u8], at: usize) -> Option<&[u8]> {
    let mut rest = inner(Some(der))?;
    for _ in 0..at {
        rest = rest.get(whole(rest)?..)?;
    }
    rest.get(..whole(rest)?)
}

/// Returns the content of a DER element.
fn inner(element: Option<&[u8]>) -> Option<&[u8]> {
    let element = element?;
    let end = whole(element)?;
    element.get(head(element)?.0..end)
}

/// Returns the length of a DER element, including its header.
fn whole(der: &[u8]) -> Option<usize> {
    let (head, length) = head(der)?;
    head.checked_add(length)
}

/// Returns the lengths of a DER element's header and content.
fn head(der: &[u8]) -> Option<(usize, usize)> {
    let first = *der.get(1)?;
    if first & 0x80 == 0 {
        return Some((2, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let bytes = der.get(2..2 + count)?;
    Some((2 + count, bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))))
}
