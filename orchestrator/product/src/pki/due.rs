//! Which certificates must be issued, and why.

use super::model::{DueCertificate, DueReason, Material, RequiredCertificate, settings};
use super::required::{normalized, required};
use crate::cluster::Cluster;
use crate::keystore::{Certificate, PrivateKey};
use crate::settings::keystores::IssuedSettings;

/// Returns why the authority's certificate must be reissued, or `None`.
#[must_use]
pub fn authority_due(material: &Material, settings: &IssuedSettings, now: i64) -> Option<DueReason> {
    let Some(authority) = &material.authority else { return Some(DueReason::NotIssued) };
    ends_soon(&authority.certificate, settings.renew_days, now)
}

/// Returns the required certificates that must be issued.
#[must_use]
pub fn due(cluster: &Cluster, material: &Material, now: i64) -> Vec<DueCertificate> {
    let Some(settings) = settings(cluster) else { return Vec::new() };
    let review = Review { material, renew_days: settings.renew_days, now };
    let due = required(cluster).into_iter().filter_map(|required| {
        let why = review.reason(&required)?;
        Some(DueCertificate { required, why })
    });
    due.collect()
}

/// What stored certificates are compared with.
struct Review<'a> {
    material: &'a Material,
    renew_days: i64,
    now: i64,
}

impl Review<'_> {
    fn reason(&self, required: &RequiredCertificate) -> Option<DueReason> {
        let Material { certificates, keys, .. } = self.material;
        match (certificates.get(&required.name), keys.get(&required.name)) {
            (None, _) => Some(DueReason::NotIssued),
            (Some(_), None) => Some(DueReason::NoKey),
            (Some(certificate), Some(key)) => self.stored(required, certificate, key),
        }
    }

    fn stored(
        &self,
        required: &RequiredCertificate,
        certificate: &Certificate,
        key: &PrivateKey,
    ) -> Option<DueReason> {
        if !key.is_of(certificate) {
            return Some(DueReason::OtherKey);
        }
        if let Some(authority) = &self.material.authority
            && !authority.signed(certificate)
        {
            return Some(DueReason::OtherAuthority);
        }
        let have = normalized(certificate.names());
        if have != required.names {
            let without = |all: &[String], some: &[String]| {
                all.iter().filter(|name| !some.contains(name)).cloned().collect()
            };
            let (missing, extra) = (without(&required.names, &have), without(&have, &required.names));
            return Some(DueReason::Names { missing, extra });
        }
        ends_soon(certificate, self.renew_days, self.now)
    }
}

fn ends_soon(certificate: &Certificate, renew_days: i64, now: i64) -> Option<DueReason> {
    let days = certificate.days_left(now);
    match certificate.not_after <= now {
        true => Some(DueReason::Expired),
        false => (days < renew_days).then_some(DueReason::ExpiresIn(days)),
    }
}

/// Whether certificates that are due but not issued now are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unissued {
    /// Omit them, so that a plan shows them as changes.
    Omit,
    /// Use the certificates that exist.
    Keep,
}

/// Returns whether a certificate is due.
#[must_use]
pub fn is_due(cluster: &Cluster, material: &Material, settings: &IssuedSettings, now: i64) -> bool {
    authority_due(material, settings, now).is_some() || !due(cluster, material, now).is_empty()
}

/// Returns a note for each certificate that would be issued; omits them if `unissued` says so.
pub fn preview(
    cluster: &Cluster,
    material: &mut Material,
    settings: &IssuedSettings,
    now: i64,
    unissued: Unissued,
) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(why) = authority_due(material, settings, now) {
        notes.push(format!("the certificate of the cluster's authority would be issued: {why}"));
        if unissued == Unissued::Omit {
            material.authority = None;
        }
    }
    for DueCertificate { required, why } in due(cluster, material, now) {
        notes.push(format!("the certificate of {} would be issued: {why}", required.words));
        if unissued == Unissued::Omit {
            material.certificates.remove(&required.name);
        }
    }
    notes
}
