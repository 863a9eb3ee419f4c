//! What is wrong with a load balancer as it is wished, found before anything is contacted.

use apim_protocol::value::Secret;

use super::{Layout, files, is_ours};
use crate::apim::cluster::{Cluster, FileReader, Host};
use crate::apim::port;
use crate::apim::settings::keystores::KeystoreMode;
use crate::apim::settings::load_balancer::{BalancerKind, CertificateFiles};
use crate::keystore::{Format, Identity, KeystoreError, Opened};
use crate::yaml::{Mistakes, Span};

/// A file larger than this is no certificate.
const LARGEST: usize = 1024 * 1024;

/// Looks at every load balancer of the cluster, and hands each the user's certificate.
pub(in crate::apim) fn look(cluster: &mut Cluster, reader: &dyn FileReader, mistakes: &mut Mistakes) {
    if !cluster.hosts().iter().any(|host| host.is_load_balancer) {
        let asked =
            cluster.hosts().iter().find(|host| host.settings.load_balancer.kind == BalancerKind::Nginx);
        if let Some(host) = asked {
            let what = "`apim.load_balancer.kind` is nginx, and no host is in the group `load_balancer`";
            let hint = "put the host that nginx is for into that group, or say `kind: external`";
            mistakes.add_hint(&host.settings.load_balancer.span, what, hint);
        }
        return;
    }
    let ours: Vec<Host> = cluster.hosts().iter().filter(|host| is_ours(host)).cloned().collect();
    for host in &ours {
        let span = &host.settings.load_balancer.span;
        let layout = Layout::of(cluster, host);
        for clash in &layout.clashes {
            let hint = "give one of them another name or port in `apim.endpoints`, or in the `endpoint` of its environment";
            mistakes.add_hint(span, clash.clone(), hint);
        }
        if layout.sites.is_empty() && !cluster.nodes().is_empty() {
            let what = format!("load balancer `{}`: nothing is to be balanced", host.name);
            let hint = "it serves the endpoints of roles and environments with several nodes, or with another port than the node's";
            mistakes.add_hint(span, what, hint);
        }
        neighbours(cluster, host, &layout, mistakes);
        certificate(cluster, host, &layout, reader, mistakes);
        if let Err(error) = files(cluster, host) {
            mistakes.add(span, format!("host `{}`: {error}", host.name));
        }
    }
}

/// Nodes on the same host listen, too.
fn neighbours(cluster: &Cluster, host: &Host, layout: &Layout, mistakes: &mut Mistakes) {
    for node in cluster.nodes_on(&host.name) {
        let clash = port::ports(node.role, node.offset)
            .into_iter()
            .find(|port| layout.ports().contains_key(&port.number));
        if let Some(port) = clash {
            let what = format!(
                "host `{}`: port {} would be the load balancer's, and the {}'s for {}",
                host.name, port.number, node.role, port.purpose
            );
            let hint = "give the node a `port_offset`, or the endpoint another port";
            mistakes.add_hint(&host.settings.load_balancer.span, what, hint);
        }
    }
}

fn certificate(
    cluster: &mut Cluster,
    host: &Host,
    layout: &Layout,
    reader: &dyn FileReader,
    mistakes: &mut Mistakes,
) {
    let settings = &host.settings.load_balancer;
    let Some(said) = &settings.certificate else {
        let mode = cluster.nodes().first().map(|node| node.settings.keystores.mode);
        if mode.is_some_and(|mode| mode != KeystoreMode::Issued) {
            let what = format!("load balancer `{}` has no certificate", host.name);
            let hint = "`certificate: {file: …, key_file: …}` (PEM), or let the cluster's be issued: `keystores: {mode: issued}`";
            mistakes.add_hint(&settings.span, what, hint);
        }
        return;
    };
    let Some(identity) = opened(said, reader, mistakes) else { return };
    let names = layout.sites.iter().filter(|site| site.tls).map(|site| site.name.as_str());
    let mut missing: Vec<&str> =
        names.filter(|name| identity.certificate().is_some_and(|one| !one.covers(name))).collect();
    missing.sort_unstable();
    missing.dedup();
    if let (false, Some(one)) = (missing.is_empty(), identity.certificate()) {
        let what = format!(
            "`apim.load_balancer.certificate`: the certificate of {} does not name {} (it names {})",
            one.subject,
            missing.join(", "),
            one.shown_names()
        );
        let hint = "have it made with every endpoint's name among its alternative names, or let nodes use names that it has";
        mistakes.add_hint(&said.file.span, what, hint);
    }
    if identity.certificate().is_some_and(|one| one.for_servers == Some(false)) {
        let what =
            "`apim.load_balancer.certificate` is not for servers (its extended key usage lacks serverAuth)";
        mistakes.add_hint(&said.file.span, what, "have it made with serverAuth");
    }
    cluster.set_balancer(&host.name, identity);
}

/// Reads the user's files as one identity.
fn opened(said: &CertificateFiles, reader: &dyn FileReader, mistakes: &mut Mistakes) -> Option<Identity> {
    const WHAT: &str = "`apim.load_balancer.certificate";
    let mut bytes = Vec::new();
    for (key, file) in [("file", Some(&said.file)), ("key_file", said.key_file.as_ref())] {
        let Some(file) = file else { continue };
        match reader.read(&file.value, &file.span) {
            Ok(read) if read.len() <= LARGEST && Format::of(&read) == Some(Format::Pem) => {
                bytes.extend(read);
                bytes.push(b'\n');
            }
            Ok(_) => {
                let what = format!("{WHAT}.{key}`: `{}` is no PEM file", file.value);
                mistakes.add_hint(
                    &file.span,
                    what,
                    "a text with `-----BEGIN …-----`; `openssl pkcs12 -in FILE -nodes` makes one",
                );
                return None;
            }
            Err(why) => {
                mistakes.add(&file.span, format!("{WHAT}.{key}`: cannot read `{}`: {why}", file.value));
                return None;
            }
        }
    }
    let nothing = Secret::new("");
    match Opened::open(&bytes, &nothing).and_then(|opened| opened.identity(ALIAS, &nothing)) {
        Ok(identity) => Some(identity),
        Err(error) => {
            mistakes.add_hint(span_of(said, &error), format!("{WHAT}`: {error}"), HINT);
            None
        }
    }
}

/// What a PEM file's key is called by `Opened`, whatever is asked for.
const ALIAS: &str = "";
const HINT: &str = "certificates first, the key's own before its issuers; the key behind them or in `key_file`, without a passphrase";

fn span_of<'a>(said: &'a CertificateFiles, error: &KeystoreError) -> &'a Span {
    match (error, &said.key_file) {
        (KeystoreError::UnreadableKey(_), Some(key)) => &key.span,
        _ => &said.file.span,
    }
}
