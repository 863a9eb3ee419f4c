//! Validates the cluster's certificates: dates, key usage, names, and for each TLS connection
//! whether the client trusts the server under the name in the URL. Pure: the current time is a
//! parameter.

use std::sync::Arc;

use super::model::SIGNER_ALIAS;
use crate::cluster::Cluster;
use crate::keystore::{Certificate, EntryKind, KeyKind, Opened};
use crate::load_balancer;
use crate::settings::keystores::{Keystore, KeystoreMode, Purpose};
use crate::topology::Node;
use crate::yaml::Span;

mod connections;
mod edges;
mod findings;
mod stores;
#[cfg(test)]
mod tests;

use connections::connections;
pub use edges::{Callee, Edge, edges};
pub use findings::Findings;
pub use stores::{chain, store_of};
use stores::{file_span, opened, shown};

/// How many days before expiry a certificate causes a warning.
pub const WARN_DAYS: i64 = 30;

/// Checks every keystore and every TLS connection of the cluster; `now` in seconds since 1970.
#[must_use]
pub fn check(cluster: &Cluster, now: i64) -> Findings {
    let mut findings = Findings::default();
    let mut seen: Vec<(usize, usize)> = Vec::new();
    for node in cluster.nodes() {
        for store in &node.settings.keystores.stores {
            let Some(opened) = opened(node, store) else { continue };
            // Hosts that share a setting share its errors.
            let key = (Arc::as_ptr(opened) as usize, store.purpose as usize);
            if !seen.contains(&key) {
                seen.push(key);
                own(node, store, opened, now, &mut findings);
            }
        }
        signer(node, &mut findings);
    }
    balancers(cluster, now, &mut findings);
    connections(cluster, &mut findings);
    findings
}

/// Checks one keystore without its connections.
fn own(node: &Node, store: &Keystore, opened: &Opened, now: i64, findings: &mut Findings) {
    let chain = chain(store, opened);
    for (at, certificate) in chain.iter().enumerate() {
        // The validity dates of a root are not checked by clients.
        if at == 0 || !certificate.is_self_issued() {
            let whose = format!("{}: the certificate of {}", shown(store), certificate.subject);
            dates((whose, file_span(store)), certificate, now, findings);
        }
    }
    let Some(certificate) = chain.first() else { return };
    uses(node, store, certificate, findings);
}

/// Checks the dates of user-provided load balancer certificates. Their names were checked when they
/// were read.
fn balancers(cluster: &Cluster, now: i64, findings: &mut Findings) {
    for host in load_balancer::hosts(cluster) {
        let Some(files) = &host.settings.load_balancer.certificate else { continue };
        let chain = cluster.balancer_identity(&host.name).map(|identity| identity.chain.as_slice());
        for (at, certificate) in chain.unwrap_or_default().iter().enumerate() {
            if at > 0 && certificate.is_self_issued() {
                continue;
            }
            let file = &files.file;
            let whose = format!(
                "`apim.load_balancer.certificate`: `{}`: the certificate of {}",
                file.value, certificate.subject
            );
            let mut found = Findings::default();
            dates((whose, &file.span), certificate, now, &mut found);
            // Hosts that share a setting share its errors.
            found.notes.into_iter().for_each(|note| findings.note(note));
            for mistake in found.mistakes.0 {
                findings.mistake(&mistake.span, mistake.what, mistake.hint.unwrap_or_default());
            }
        }
    }
}

fn dates((whose, span): (String, &Span), certificate: &Certificate, now: i64, findings: &mut Findings) {
    let days = certificate.days_left(now);
    if certificate.not_after <= now {
        let over = format!("{whose} expired {} ago", in_days(-days));
        findings.mistakes.add_hint(span, over, "renew it: peers reject it");
    } else if certificate.not_before > now {
        let wait = (certificate.not_before - now).div_euclid(86_400) + 1;
        let early = format!("{whose} is not valid yet; it becomes valid in {}", in_days(wait));
        findings.mistakes.add_hint(span, early, "check this machine's clock");
    } else if days < WARN_DAYS {
        findings.notes.push(format!("{whose} expires in {}", in_days(days)));
    }
}

fn in_days(days: i64) -> String {
    match days {
        ..=0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn uses(node: &Node, store: &Keystore, certificate: &Certificate, findings: &mut Findings) {
    let whose = format!("{}: the certificate of {}", shown(store), certificate.subject);
    let span = file_span(store);
    let shows_tls = store.purpose == Purpose::Tls
        || (store.purpose == Purpose::Primary && node.settings.keystores.of(Purpose::Tls).is_none());
    if shows_tls {
        if certificate.for_servers == Some(false) {
            let what = format!("{whose} is not valid for servers (its extended key usage lacks serverAuth)");
            findings.mistakes.add_hint(
                span,
                what,
                "all TLS ports use it: reissue it with serverAuth and clientAuth",
            );
        }
        if certificate.key_usage.is_some_and(|usage| !usage.digital_signature && !usage.key_encipherment) {
            let what = format!(
                "{whose} is not valid for TLS (its key usage lacks digitalSignature and keyEncipherment)"
            );
            findings.mistakes.add_hint(span, what, "reissue it with both");
        }
    }
    if !matches!(store.purpose, Purpose::Primary | Purpose::Internal) {
        return;
    }
    // The product encrypts data with this key; otherwise a JDK fails with "Wrong key usage"
    // (documentation, "creating new keystores").
    match certificate.key_usage {
        Some(usage) if !usage.key_encipherment && !usage.data_encipherment => {
            let what = format!("{whose} is not valid for encryption (its key usage lacks dataEncipherment and keyEncipherment)");
            findings.mistakes.add_hint(span, what, "reissue it with digitalSignature, keyEncipherment and dataEncipherment");
        }
        Some(usage) if usage.critical && !usage.data_encipherment => findings.notes.push(format!(
            "{whose} has a key usage without dataEncipherment: encrypting secrets may fail with \"Wrong key usage\""
        )),
        Some(_) | None => {}
    }
    if !matches!(certificate.key, KeyKind::Rsa(_)) {
        let what = format!("{whose} has no RSA key");
        findings.mistakes.add_hint(
            span,
            what,
            "tokens are signed and secrets encrypted with RSA: use an RSA key of 2048 bits or more",
        );
    }
}

/// Checks that the truststore contains the token signer's certificate.
fn signer(node: &Node, findings: &mut Findings) {
    if node.settings.keystores.mode != KeystoreMode::Provided {
        return;
    }
    if node.settings.keystores.of(Purpose::Primary).is_none() {
        findings.note(
            "`apim.keystores` has no `primary`: tokens are signed and secrets encrypted with the shipped key, which is public"
                .to_owned(),
        );
    }
    let (Some((primary, keys)), Some((store, opened))) =
        (store_of(node, Purpose::Primary), store_of(node, Purpose::Truststore))
    else {
        return;
    };
    let Some(certificate) = chain(primary, keys).first() else { return };
    let known = opened.entry(SIGNER_ALIAS).map(|entry| &entry.kind);
    let text = match known {
        Some(EntryKind::Trusted(one)) if one.public_key() == certificate.public_key() => return,
        Some(_) => format!("{}: certificate `{SIGNER_ALIAS}` is not the primary keystore's", shown(store)),
        None => format!("{} has no `{SIGNER_ALIAS}`", shown(store)),
    };
    let hint = format!(
        "gateways verify tokens with it (error 900901): import the primary keystore's certificate as `{SIGNER_ALIAS}`"
    );
    if known.is_none() {
        findings.note(format!("{text}: {hint}"));
    } else {
        findings.mistake(file_span(store), text, hint);
    }
}
