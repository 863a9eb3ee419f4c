//! Issues the certificates that are due.

use super::due::{authority_due, due};
use super::model::{DueCertificate, Material, RequiredCertificate, settings};
use crate::cluster::Cluster;
use crate::keystore::{self, Authority, KeystoreError, PrivateKey};

/// Tolerated clock difference: hosts may be behind this machine.
const SKEW_SECS: i64 = 3600;
const DAY_SECS: i64 = 86_400;

/// Issues all certificates that are due, the authority first. Others stay unchanged.
///
/// # Errors
/// When a key or certificate cannot be created.
pub fn issue(
    cluster: &Cluster,
    material: &mut Material,
    now: i64,
) -> Result<Vec<DueCertificate>, KeystoreError> {
    let Some(settings) = settings(cluster) else { return Ok(Vec::new()) };
    let mut issued = Vec::new();
    let (from, until) = (now - SKEW_SECS, |days: i64| now + days * DAY_SECS);
    if let Some(why) = authority_due(material, settings, now) {
        let authority = match &material.authority {
            Some(old) => old.renew(from, until(settings.authority_days))?,
            None => Authority::create(&settings.authority, from, until(settings.authority_days))?,
        };
        let required = RequiredCertificate {
            name: "ca".to_owned(),
            words: "the cluster's authority".to_owned(),
            common_name: settings.authority.clone(),
            names: Vec::new(),
            purpose: keystore::Purpose::Encipherment,
        };
        material.authority = Some(authority);
        issued.push(DueCertificate { required, why });
    }
    for due in due(cluster, material, now) {
        let Some(authority) = &material.authority else { continue };
        let required = &due.required;
        let is_shared = required.purpose == keystore::Purpose::Encipherment;
        // The shared key must stay: existing data is encrypted with it.
        let kept = material.keys.get(&required.name).filter(|_| is_shared).cloned();
        let key = kept.map_or_else(PrivateKey::generate, Ok)?;
        let wanted = keystore::Wanted {
            common_name: &required.common_name,
            names: &required.names,
            purpose: required.purpose,
            not_before: from,
            not_after: until(if is_shared { settings.authority_days } else { settings.valid_days }),
        };
        let certificate = authority.issue(&wanted, &key)?;
        material.certificates.insert(required.name.clone(), certificate);
        material.keys.insert(required.name.clone(), key);
        issued.push(due);
    }
    Ok(issued)
}
