//! Validates load balancer settings before any host is contacted.

use apim_protocol::value::Secret;

use super::{Layout, files, is_managed};
use crate::cluster::{Cluster, FileReader, Host};
use crate::keystore::{Format, Identity, KeystoreError, Opened};
use crate::port;
use crate::settings::keystores::KeystoreMode;
use crate::settings::load_balancer::{BalancerKind, CertificateFiles};
use crate::yaml::{Mistakes, Span};

/// The size limit of a certificate file.
const LARGEST: usize = 1024 * 1024;

/// Checks every load balancer of the cluster, and assigns the user's certificate to each.
pub(crate) fn look(cluster: &mut Cluster, reader: &dyn FileReader, mistakes: &mut Mistakes) {
    if !cluster.hosts().iter().any(|host| host.is_load_balancer) {
        let requested =
            cluster.hosts().iter().find(|host| host.settings.load_balancer.kind == BalancerKind::Nginx);
        if let Some(host) = requested {
            let what = "`apim.load_balancer.kind` is nginx, but no host is in the group `load_balancer`";
            let hint = "add the nginx host to that group, or set `kind: external`";
            mistakes.add_hint(&host.settings.load_balancer.span, what, hint);
        }
        return;
    }
    let managed: Vec<Host> = cluster.hosts().iter().filter(|host| is_managed(host)).cloned().collect();
    for host in &managed {
        let span = &host.settings.load_balancer.span;
        let layout = Layout::of(cluster, host);
        for clash in &layout.clashes {
            let hint = "change the name or port of one of them in `apim.endpoints`, or in the `endpoint` of its environment";
            mistakes.add_hint(span, clash.clone(), hint);
        }
        if layout.sites.is_empty() && !cluster.nodes().is_empty() {
            let what = format!("load balancer `{}` has nothing to balance", host.name);
            let hint = "it serves endpoints of roles and environments that have several nodes, or a different port than the node's";
            mistakes.add_hint(span, what, hint);
        }
        neighbours(cluster, host, &layout, mistakes);
        certificate(cluster, host, &layout, reader, mistakes);
        if let Err(error) = files(cluster, host) {
            mistakes.add(span, format!("host `{}`: {error}", host.name));
        }
    }
}

/// Checks for port conflicts with nodes on the same host.
fn neighbours(cluster: &Cluster, host: &Host, layout: &Layout, mistakes: &mut Mistakes) {
    for node in cluster.nodes_on(&host.name) {
        let clash = port::ports(node.role, node.offset)
            .into_iter()
            .find(|port| layout.ports().contains_key(&port.number));
        if let Some(port) = clash {
            let what = format!(
                "host `{}`: port {} is used by the load balancer, and by the {} for {}",
                host.name, port.number, node.role, port.purpose
            );
            let hint = "set a `port_offset` for the node, or another port for the endpoint";
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
    let Some(files) = &settings.certificate else {
        let mode = cluster.nodes().first().map(|node| node.settings.keystores.mode);
        if mode.is_some_and(|mode| mode != KeystoreMode::Issued) {
            let what = format!("load balancer `{}` has no certificate", host.name);
            let hint = "set `certificate: {file: …, key_file: …}` (PEM), or issue certificates with `keystores: {mode: issued}`";
            mistakes.add_hint(&settings.span, what, hint);
        }
        return;
    };
    let Some(identity) = opened(files, reader, mistakes) else { return };
    let names = layout.sites.iter().filter(|site| site.tls).map(|site| site.name.as_str());
    let mut missing: Vec<&str> =
        names.filter(|name| identity.certificate().is_some_and(|one| !one.covers(name))).collect();
    missing.sort_unstable();
    missing.dedup();
    if let (false, Some(one)) = (missing.is_empty(), identity.certificate()) {
        let what = format!(
            "`apim.load_balancer.certificate`: the certificate of {} does not contain {} (it contains {})",
            one.subject,
            missing.join(", "),
            one.shown_names()
        );
        let hint = "reissue it with all endpoint names as alternative names, or let nodes use names that it contains";
        mistakes.add_hint(&files.file.span, what, hint);
    }
    if identity.certificate().is_some_and(|one| one.for_servers == Some(false)) {
        let what = "`apim.load_balancer.certificate` is not valid for servers (its extended key usage lacks serverAuth)";
        mistakes.add_hint(&files.file.span, what, "reissue it with serverAuth");
    }
    cluster.set_balancer(&host.name, identity);
}

/// Reads the user's files and combines them to one identity.
fn opened(files: &CertificateFiles, reader: &dyn FileReader, mistakes: &mut Mistakes) -> Option<Identity> {
    const WHAT: &str = "`apim.load_balancer.certificate";
    let mut bytes = Vec::new();
    for (key, file) in [("file", Some(&files.file)), ("key_file", files.key_file.as_ref())] {
        let Some(file) = file else { continue };
        match reader.read(&file.value, &file.span) {
            Ok(read) if read.len() <= LARGEST && Format::of(&read) == Some(Format::Pem) => {
                bytes.extend(read);
                bytes.push(b'\n');
            }
            Ok(_) => {
                let what = format!("{WHAT}.{key}`: `{}` is not a PEM file", file.value);
                mistakes.add_hint(
                    &file.span,
                    what,
                    "expected text with `-----BEGIN …-----`; convert with `openssl pkcs12 -in FILE -nodes`",
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
            mistakes.add_hint(span_of(files, &error), format!("{WHAT}`: {error}"), HINT);
            None
        }
    }
}

/// The alias for the only key of a PEM file; `Opened` accepts any.
const ALIAS: &str = "";
const HINT: &str = "expected the certificates first (own before issuers), then the unencrypted key, or the key in `key_file`";

fn span_of<'a>(files: &'a CertificateFiles, error: &KeystoreError) -> &'a Span {
    match (error, &files.key_file) {
        (KeystoreError::UnreadableKey(_), Some(key)) => &key.span,
        _ => &files.file.span,
    }
}
