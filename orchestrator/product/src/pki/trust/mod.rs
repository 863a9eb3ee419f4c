//! Validates the cluster's certificates: dates, key usage, names, and for each TLS connection
//! whether the client trusts the server under the name in the URL. Pure: the current time is a
//! parameter.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::SIGNER_ALIAS;
use crate::cluster::Cluster;
use crate::keystore::{Certificate, EntryKind, KeyKind, Opened, Trust, follow};
use crate::load_balancer;
use crate::settings::keystores::{Keystore, KeystoreMode, Purpose};
use crate::topology::Node;
use crate::yaml::{Mistake, Mistakes, Span};

mod edges;
#[cfg(test)]
mod tests;

pub use edges::{Callee, Edge, edges};

/// How many days before expiry a certificate causes a warning.
pub const WARN_DAYS: i64 = 30;

/// Errors and notes.
#[derive(Debug, Default)]
pub struct Findings {
    /// Errors that must be fixed before a deployment.
    pub mistakes: Mistakes,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

impl Findings {
    /// Adds a note, without duplicates.
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds an error, without duplicates.
    fn mistake(&mut self, span: &Span, what: String, hint: String) {
        let mistake = Mistake { span: span.clone(), what, hint: Some(hint) };
        if !self.mistakes.0.contains(&mistake) {
            self.mistakes.0.push(mistake);
        }
    }
}

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

/// Returns a node's opened keystore for a purpose; the primary one if the purpose has no separate
/// keystore.
#[must_use]
pub fn store_of(node: &Node, purpose: Purpose) -> Option<(&Keystore, &Arc<Opened>)> {
    let settings = &node.settings.keystores;
    let store = settings.of(purpose).or_else(|| {
        settings.of(Purpose::Primary).filter(|_| matches!(purpose, Purpose::Tls | Purpose::Internal))
    })?;
    Some((store, opened(node, store)?))
}

fn opened<'a>(node: &'a Node, store: &Keystore) -> Option<&'a Arc<Opened>> {
    node.keystores.iter().find(|file| file.path.name() == store.file_name)?.opened.as_ref()
}

/// Returns the chain of a keystore's key, its own certificate first.
#[must_use]
pub fn chain<'a>(store: &Keystore, opened: &'a Opened) -> &'a [Certificate] {
    let entry = store.alias.as_ref().and_then(|alias| opened.entry(alias));
    match entry.map(|entry| &entry.kind) {
        Some(EntryKind::Key(chain)) => chain,
        Some(EntryKind::Trusted(_) | EntryKind::Other) | None => &[],
    }
}

/// Returns the source position of a keystore's file setting.
fn file_span(store: &Keystore) -> &Span {
    store.file.as_ref().map_or(&store.places.whole, |file| &file.span)
}

fn shown(store: &Keystore) -> String {
    let file = store.file.as_ref().map_or(store.file_name.as_str(), |file| file.value.as_str());
    format!("`apim.keystores.{}`: `{file}`", store.purpose.key())
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

/// An error of a certificate or truststore, with all affected connections.
struct Wrong {
    span: Span,
    what: String,
    hint: String,
    connections: Vec<String>,
    only_noted: bool,
}

fn connections(cluster: &Cluster, findings: &mut Findings) {
    let mut wrong: BTreeMap<(usize, String), Wrong> = BTreeMap::new();
    let mut unseen: Vec<String> = Vec::new();
    for edge in edges(cluster) {
        let Callee::Node(callee) = edge.callee else {
            let is_managed =
                cluster.hosts().iter().any(|host| cluster.balancer_identity(&host.name).is_some());
            if !is_managed
                && edge.caller.settings.keystores.mode == KeystoreMode::Provided
                && !unseen.contains(&edge.name)
            {
                unseen.push(edge.name.clone());
            }
            continue;
        };
        let Some((store, opened)) = store_of(callee, Purpose::Tls) else { continue };
        let chain = chain(store, opened);
        let Some(certificate) = chain.first() else { continue };
        let at = Arc::as_ptr(opened) as usize;
        let is_itself = edge.name == "localhost";
        if !certificate.covers(&edge.name) {
            let found = wrong.entry((at, format!("name {}", edge.name))).or_insert_with(|| Wrong {
                span: file_span(store).clone(),
                what: format!(
                    "{}: the certificate of {} does not contain `{}` (it contains {})",
                    shown(store),
                    certificate.subject,
                    edge.name,
                    certificate.shown_names(),
                ),
                hint: format!(
                    "reissue it with the alternative name `{}`, or let nodes use one of its names (`apim.host_name`, `apim.endpoints`)",
                    edge.name
                ),
                connections: Vec::new(),
                only_noted: is_itself || store_settings(callee).tolerates_mismatch,
            });
            found.connections.push(edge.words());
        }
        let Some((truststore, trusted)) = store_of(edge.caller, Purpose::Truststore) else { continue };
        let anchors: Vec<&Certificate> = trusted.trusted().map(|(_, one)| one).collect();
        let why = match follow(chain, &anchors) {
            Trust::Trusted => continue,
            Trust::UnknownIssuer(issuer) => format!("does not contain its issuer, {issuer}"),
            Trust::WrongSignature(subject) => {
                format!(
                    "contains an issuer with that name, but a different key signed the certificate of {subject}"
                )
            }
        };
        let key = (Arc::as_ptr(trusted) as usize, format!("trust {}", certificate.fingerprint));
        let found = wrong.entry(key).or_insert_with(|| Wrong {
            span: file_span(truststore).clone(),
            what: format!(
                "{} does not trust the certificate of {} presented by {}: it {why}",
                shown(truststore),
                certificate.subject,
                callee.words(),
            ),
            hint: "`keytool -importcert -alias NAME -file ISSUER -keystore FILE` adds the issuer's certificate; the server must send the rest of its chain".to_owned(),
            connections: Vec::new(),
            only_noted: store_settings(edge.caller).tolerates_mismatch,
        });
        found.connections.push(edge.words());
    }
    for Wrong { span, what, hint, connections, only_noted } in wrong.into_values() {
        let more = match connections.len() {
            0 | 1 => String::new(),
            count => format!(", and {} more connections", count - 1),
        };
        let what = format!("{what}; {}{more}", connections.first().map_or("", String::as_str));
        if only_noted {
            findings.notes.push(format!("{what}: {hint}"));
        } else {
            findings.mistakes.add_hint(&span, what, hint);
        }
    }
    if !unseen.is_empty() {
        findings.notes.push(format!(
            "the load balancer's certificate at {} is unknown: make sure that nodes trust its issuer",
            unseen.join(", ")
        ));
    }
}

fn store_settings(node: &Node) -> &crate::settings::keystores::Keystores {
    &node.settings.keystores
}
