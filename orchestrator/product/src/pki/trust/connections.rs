//! Checks for each TLS connection whether the client trusts the server under the name in the URL.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edges::{Callee, Edge, edges};
use super::findings::Findings;
use super::stores::{chain, file_span, shown, store_of};
use crate::cluster::Cluster;
use crate::keystore::{Certificate, Trust, follow};
use crate::settings::keystores::{KeystoreMode, Purpose};
use crate::topology::Node;
use crate::yaml::Span;

/// Checks all connections of the cluster.
pub(super) fn connections(cluster: &Cluster, findings: &mut Findings) {
    let mut problems = Problems::default();
    let has_identity = cluster.hosts().iter().any(|host| cluster.balancer_identity(&host.name).is_some());
    for edge in edges(cluster) {
        match edge.callee {
            Callee::Node(callee) => problems.node(&edge, callee),
            Callee::Balancer if !has_identity => problems.balancer(edge),
            Callee::Balancer => {}
        }
    }
    problems.report(findings);
}

/// An error of a certificate or truststore, with all affected connections.
struct Problem {
    span: Span,
    what: String,
    hint: String,
    connections: Vec<String>,
    only_noted: bool,
}

/// The problems of all connections; each is reported once.
#[derive(Default)]
struct Problems {
    /// By keystore and problem.
    found: BTreeMap<(usize, String), Problem>,
    /// Names of load balancers whose certificate is unknown.
    unknown: Vec<String>,
}

impl Problems {
    fn balancer(&mut self, edge: Edge<'_>) {
        let is_provided = edge.caller.settings.keystores.mode == KeystoreMode::Provided;
        if is_provided && !self.unknown.contains(&edge.name) {
            self.unknown.push(edge.name);
        }
    }

    fn node(&mut self, edge: &Edge<'_>, callee: &Node) {
        let Some((store, opened)) = store_of(callee, Purpose::Tls) else { return };
        let chain = chain(store, opened);
        let Some(certificate) = chain.first() else { return };
        if !certificate.covers(&edge.name) {
            let key = (Arc::as_ptr(opened) as usize, format!("name {}", edge.name));
            let problem = || Problem {
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
                only_noted: edge.name == "localhost" || callee.settings.keystores.tolerates_mismatch,
            };
            self.found.entry(key).or_insert_with(problem).connections.push(edge.words());
        }
        self.trust(edge, callee, chain);
    }

    fn trust(&mut self, edge: &Edge<'_>, callee: &Node, chain: &[Certificate]) {
        let Some((truststore, trusted)) = store_of(edge.caller, Purpose::Truststore) else { return };
        let Some(certificate) = chain.first() else { return };
        let anchors: Vec<&Certificate> = trusted.trusted().map(|(_, one)| one).collect();
        let why = match follow(chain, &anchors) {
            Trust::Trusted => return,
            Trust::UnknownIssuer(issuer) => format!("does not contain its issuer, {issuer}"),
            Trust::WrongSignature(subject) => {
                format!(
                    "contains an issuer with that name, but a different key signed the certificate of {subject}"
                )
            }
        };
        let key = (Arc::as_ptr(trusted) as usize, format!("trust {}", certificate.fingerprint));
        let problem = || {
            Problem {
            span: file_span(truststore).clone(),
            what: format!(
                "{} does not trust the certificate of {} presented by {}: it {why}",
                shown(truststore),
                certificate.subject,
                callee.words(),
            ),
            hint: "`keytool -importcert -alias NAME -file ISSUER -keystore FILE` adds the issuer's certificate; the server must send the rest of its chain".to_owned(),
            connections: Vec::new(),
            only_noted: edge.caller.settings.keystores.tolerates_mismatch,
        }
        };
        self.found.entry(key).or_insert_with(problem).connections.push(edge.words());
    }

    fn report(self, findings: &mut Findings) {
        for Problem { span, what, hint, connections, only_noted } in self.found.into_values() {
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
        if !self.unknown.is_empty() {
            findings.notes.push(format!(
                "the load balancer's certificate at {} is unknown: make sure that nodes trust its issuer",
                self.unknown.join(", ")
            ));
        }
    }
}
