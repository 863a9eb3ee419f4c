//! What the inventory alone says.

use super::{DEPLOYMENT, Evidence, Item, SECURITY, State, TUNING, evidence, not_applicable};
use crate::apim::cluster::Cluster;
use crate::apim::hardening::check::{Rule, Unfit, unfit};
use crate::apim::release::Series;
use crate::apim::settings::hardening::{Jmx, Verifier};
use crate::apim::topology::Node;

pub(super) fn items(cluster: &Cluster, open: &[String]) -> Vec<Item> {
    let unfit: Vec<Unfit> = cluster.nodes().iter().flat_map(unfit).collect();
    let by_rule = |rule: Rule, good: &str| -> Vec<Evidence> {
        let mut found: Vec<Evidence> = Vec::new();
        for one in unfit.iter().filter(|one| one.rule == rule) {
            let place =
                one.span.file_name().map(|file| format!(" ({file}:{})", one.span.line)).unwrap_or_default();
            let broken = evidence(None, false, format!("{}{place}", one.what));
            if !found.contains(&broken) {
                found.push(broken);
            }
        }
        if found.is_empty() { vec![evidence(None, true, good)] } else { found }
    };
    let is_production = cluster.nodes().iter().any(|node| node.settings.hardening.production);
    let mut secrets: Vec<Evidence> = open.iter().map(|what| evidence(None, false, what)).collect();
    if secrets.is_empty() {
        secrets.push(evidence(None, true, "no file with a secret in it can be read by others"));
    }
    vec![
        Item {
            name: "passwords",
            what: "no password of the documentation or that everybody tries",
            required: true,
            evidence: by_rule(Rule::Passwords, "administrator and databases have passwords of their own"),
            remedy: "choose long random ones, and keep them in `!vault`, `!env` or `!file`",
            source: SECURITY,
        },
        Item {
            name: "keystores",
            what: "keystores of your own, with passwords of their own",
            required: true,
            evidence: by_rule(Rule::Keystores, "none is the shipped one"),
            remedy: "`apim: {keystores: …}`: everybody has the shipped private key",
            source: SECURITY,
        },
        Item {
            name: "database",
            what: "data on a database server, not in H2 files",
            required: true,
            evidence: by_rule(Rule::Database, "a database server is given"),
            remedy: "`apim: {databases: …}`",
            source: DEPLOYMENT,
        },
        Item {
            name: "secret_files",
            what: "files with secrets on this machine are private",
            required: true,
            evidence: secrets,
            remedy: "chmod 600, or `!vault` in place of the plain secret",
            source: SECURITY,
        },
        Item {
            name: "encryption_key",
            what: "one key for encryption at rest, the same on all nodes",
            required: true,
            evidence: encryption(cluster),
            remedy: "`apim: {encryption_key: …}`; `openssl rand -hex 32` makes one",
            source: "Symmetric encryption",
        },
        Item {
            name: "hostname_verifier",
            what: "the server looks at names in certificates of those it calls",
            required: true,
            evidence: each(cluster, |node| {
                let verifier = node.settings.hardening.hostname_verifier;
                (
                    verifier != Verifier::AllowAll,
                    format!("httpclient.hostnameVerifier is {}", verifier.word()),
                )
            }),
            remedy: "`apim: {hardening: {hostname_verifier: strict}}`",
            source: SECURITY,
        },
        Item {
            name: "jmx",
            what: "JMX is off, or names the loopback address only",
            required: true,
            evidence: each(cluster, |node| match node.settings.hardening.jmx {
                Jmx::On => (false, "two RMI ports on all addresses".to_owned()),
                Jmx::Local => (true, "local".to_owned()),
                Jmx::Off => (true, "off".to_owned()),
            }),
            remedy: "`apim: {hardening: {jmx: off}}`",
            source: SECURITY,
        },
        Item {
            name: "jvm_flags",
            what: "TLS and XML flags of the JVM",
            required: is_production,
            evidence: each(cluster, |node| {
                let on = node.settings.hardening.jvm;
                (on, if on { "set" } else { "not set" }.to_owned())
            }),
            remedy: "`apim: {hardening: {jvm: true}}`",
            source: SECURITY,
        },
        Item {
            name: "heap",
            what: "2 GB of heap or more, the same at first as at most",
            required: false,
            evidence: each(cluster, |node| {
                let (first, most) = node.own.heap.mebibytes();
                (first == most && most >= 2048, node.own.heap.options())
            }),
            remedy: "`apim: {gateway: {heap: 2g}}`, and so for each role",
            source: TUNING,
        },
    ]
}

/// Judges each node; hosts with the same finding are told once.
fn each(cluster: &Cluster, judge: impl Fn(&Node) -> (bool, String)) -> Vec<Evidence> {
    let mut found: Vec<(bool, String, Vec<&str>)> = Vec::new();
    for node in cluster.nodes() {
        let (holds, text) = judge(node);
        match found.iter_mut().find(|(known, words, _)| *known == holds && *words == text) {
            Some((_, _, nodes)) => nodes.push(&node.name.0),
            None => found.push((holds, text, vec![&node.name.0])),
        }
    }
    let is_same = found.len() == 1;
    let told = found.into_iter().map(|(holds, text, nodes)| {
        let text = if is_same { text } else { format!("{text}: {}", nodes.join(", ")) };
        evidence(None, holds, text)
    });
    told.collect()
}

fn encryption(cluster: &Cluster) -> Vec<Evidence> {
    let needs: Vec<&Node> =
        cluster.nodes().iter().filter(|node| node.version.series() >= Series::V4_7).collect();
    let keys: Vec<_> = needs.iter().map(|node| node.settings.encryption_key.as_ref()).collect();
    match keys.split_first() {
        None => vec![not_applicable(None, "from 4.7 on")],
        Some((first, rest)) if first.is_some() && rest.iter().all(|key| key == first) => {
            vec![evidence(None, true, "one key for all")]
        }
        Some(_) => {
            vec![Evidence { host: None, state: State::Broken, found: "not one key for all nodes".to_owned() }]
        }
    }
}
