//! Lists all certificates of the cluster with owner, purpose and validity.

use super::model::{AUTHORITY_ALIAS, SIGNER_ALIAS, settings};
use super::trust::{WARN_DAYS, chain, store_of};
use crate::cluster::Cluster;
use crate::keystore::Certificate;
use crate::settings::keystores::{KeystoreMode, Purpose};

/// The state of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Valid, and not close to expiry.
    Valid,
    /// Expires soon.
    Soon,
    /// Expired.
    Expired,
    /// Not valid yet.
    Early,
    /// Not issued yet.
    Missing,
    /// Shipped with the product; its private key is public.
    Shipped,
}

impl State {
    /// Returns the word for output, also in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Soon => "ends soon",
            Self::Expired => "expired",
            Self::Early => "not valid yet",
            Self::Missing => "to be issued",
            Self::Shipped => "shipped",
        }
    }
}

/// One certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The node, the load balancer, or `cluster`.
    pub node: String,
    /// The host; `None` for shared certificates.
    pub host: Option<String>,
    /// The purpose.
    pub purpose: &'static str,
    /// Its alias.
    pub alias: String,
    /// The certificate; `None` if its file is not available.
    pub certificate: Option<Certificate>,
    /// Days until expiry.
    pub days: i64,
    /// The state.
    pub state: State,
}

/// Lists the certificates of all keystores. From truststores only the cluster's own, or all entries
/// with `all`.
#[must_use]
pub fn list(cluster: &Cluster, now: i64, all: bool) -> Vec<Listed> {
    let mut found = Vec::new();
    for node in cluster.nodes() {
        let entry = |purpose, alias: &str, certificate: Option<Certificate>, state| Listed {
            node: node.name.0.clone(),
            host: Some(node.host.clone()),
            purpose,
            alias: alias.to_owned(),
            days: certificate.as_ref().map_or(0, |one| one.days_left(now)),
            certificate,
            state,
        };
        for purpose in [Purpose::Tls, Purpose::Primary, Purpose::Internal] {
            let settings = &node.settings.keystores;
            let Some(store) = settings.of(purpose) else { continue };
            let alias = store.alias.as_deref().unwrap_or_default();
            let Some((store, opened)) = store_of(node, purpose) else {
                let state = match settings.mode {
                    KeystoreMode::Shipped => State::Shipped,
                    KeystoreMode::Provided | KeystoreMode::Issued => State::Missing,
                };
                found.push(entry(purpose.key(), alias, None, state));
                continue;
            };
            if let Some(certificate) = chain(store, opened).first() {
                found.push(entry(purpose.key(), alias, Some(certificate.clone()), state(certificate, now)));
            }
        }
        let Some((_, opened)) = store_of(node, Purpose::Truststore) else { continue };
        for (alias, certificate) in opened.trusted() {
            let own = [SIGNER_ALIAS, AUTHORITY_ALIAS].contains(&alias);
            if own || all {
                found.push(entry(
                    Purpose::Truststore.key(),
                    alias,
                    Some(certificate.clone()),
                    state(certificate, now),
                ));
            }
        }
    }
    for host in cluster.hosts().iter().filter(|host| host.is_load_balancer) {
        let identity = cluster.balancer_identity(&host.name);
        if settings(cluster).is_none() && identity.is_none() {
            continue;
        }
        let certificate = identity.and_then(|identity| identity.certificate().cloned());
        found.push(Listed {
            node: host.name.clone(),
            host: Some(host.name.clone()),
            purpose: "load balancer",
            alias: String::new(),
            days: certificate.as_ref().map_or(0, |one| one.days_left(now)),
            state: certificate.as_ref().map_or(State::Missing, |one| state(one, now)),
            certificate,
        });
    }
    found
}

fn state(certificate: &Certificate, now: i64) -> State {
    if certificate.not_after <= now {
        State::Expired
    } else if certificate.not_before > now {
        State::Early
    } else if certificate.days_left(now) < WARN_DAYS {
        State::Soon
    } else {
        State::Valid
    }
}
