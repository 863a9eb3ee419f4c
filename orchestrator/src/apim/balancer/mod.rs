//! What we put on a host of the group `load_balancer`: nginx's files, made from the same topology as every node's, and how a node is
//! taken out of it for a while.
//!
//! `layout` says who answers what, `nginx` writes it down; nothing here knows a step.

use std::sync::Arc;

use apim_protocol::operation::bundle::Bundle;
use apim_protocol::operation::command::Invocation;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::value::{AbsPath, Content, FileMode, Owner, UnitName, ValueError};

use super::cluster::{Cluster, Host};
use super::files::PlacedFile;
use super::issued;
use super::settings::load_balancer::BalancerKind;
use super::topology::Node;
use crate::keystore::{self, Format, Identity, KeystoreError};
use layout::Layout;

pub(super) mod check;
mod layout;
mod nginx;
#[cfg(test)]
mod tests;

/// The unit of nginx, as every distribution calls it.
const UNIT: &str = "nginx";
/// What stands in place of a certificate that is still to be issued; it is shown in plans and never placed.
const TO_BE_ISSUED: &[u8] = b"to be issued";

/// Whether a node is given requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It is, as the inventory wishes.
    Open,
    /// It is given no new ones; those in hand are finished.
    Held,
}

/// The line about one node in one upstream of one load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFile {
    /// The load balancer's host.
    pub host: String,
    /// Where the line stands.
    pub path: AbsPath,
    /// What the file holds as the inventory wishes it.
    pub wished: String,
    /// What it holds while the node is given no requests.
    pub drained: String,
}

/// Files that nginx reads, as one wish about a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// They are written together, tested by nginx, read by it.
    pub bundle: Bundle,
    /// The bytes that the host may ask for.
    pub contents: Vec<Arc<[u8]>>,
}

/// Returns the hosts whose load balancer we see to.
pub fn hosts(cluster: &Cluster) -> impl Iterator<Item = &Host> {
    cluster.hosts().iter().filter(|host| is_ours(host))
}

/// Says whether we see to a load balancer on `host`.
#[must_use]
pub fn is_ours(host: &Host) -> bool {
    host.is_load_balancer && host.settings.load_balancer.kind == BalancerKind::Nginx
}

/// Returns the ports that the load balancer on `host` listens on.
#[must_use]
pub fn ports(cluster: &Cluster, host: &Host) -> Vec<u16> {
    Layout::of(cluster, host).ports().into_keys().collect()
}

/// Returns every file of the load balancer on `host`.
///
/// # Errors
/// When the certificate cannot be written, or a name cannot be a path.
pub fn files(cluster: &Cluster, host: &Host) -> Result<Vec<PlacedFile>, BalancerError> {
    let layout = Layout::of(cluster, host);
    let settings = &host.settings.load_balancer;
    let identity = cluster.balancer_identity(&host.name);
    let authority = cluster.authority();
    let tls = nginx::Tls { verify: is_verified(cluster) };
    let mut files = vec![
        public(nginx::ENTRY, &nginx::entry(&layout))?,
        public(&inside("upstreams.conf"), &nginx::upstreams(&layout))?,
        public(&inside("sites.conf"), &nginx::sites(&layout, settings, &management_from(cluster, host)))?,
        public(&inside("server.conf"), &nginx::common(settings, tls))?,
        public(&inside("tls.conf"), &nginx::tls())?,
    ];
    for server in server_files_of(host, &layout, None)? {
        files.push(public(server.path.as_str(), &server.wished)?);
    }
    let private = FileMode::new(0o600);
    files.push(placed(&inside("identity.pem"), pem(identity, &host.name)?, private)?);
    if tls.verify {
        let bytes = match authority {
            Some(authority) => keystore::write(
                Format::Pem,
                None,
                &keystore::Content::default().trusted(issued::AUTHORITY_ALIAS, authority.clone()),
                &issued::shipped_password(),
            )?,
            None => TO_BE_ISSUED.to_vec(),
        };
        files.push(placed(&inside("authority.pem"), bytes, FileMode::new(0o644))?);
    }
    Ok(files)
}

/// Says whether `file` stands for a certificate that is still to be issued.
#[must_use]
pub fn is_to_be_issued(file: &PlacedFile) -> bool {
    file.bytes.as_ref() == TO_BE_ISSUED
}

/// Returns what a node stands for in every load balancer that we see to: the lines to rewrite when it is to be given no more requests.
/// The load balancer must have been applied before.
///
/// # Errors
/// When a name cannot be a path.
pub fn server_files(cluster: &Cluster, node: &Node) -> Result<Vec<ServerFile>, BalancerError> {
    let mut all = Vec::new();
    for host in hosts(cluster) {
        all.extend(server_files_of(host, &Layout::of(cluster, host), Some(node))?);
    }
    Ok(all)
}

fn server_files_of(
    host: &Host,
    layout: &Layout,
    only: Option<&Node>,
) -> Result<Vec<ServerFile>, BalancerError> {
    let mut all = Vec::new();
    for upstream in &layout.upstreams {
        for server in
            upstream.servers.iter().filter(|server| only.is_none_or(|node| node.name == server.node))
        {
            let (wished, drained) = nginx::server(server);
            let path = AbsPath::parse(&nginx::server_file(upstream, server))?;
            all.push(ServerFile { host: host.name.clone(), path, wished, drained });
        }
    }
    Ok(all)
}

/// Returns the wish that a node be given requests by every load balancer that we see to, or none: by host of a load balancer, what its
/// agent must see to and the bytes that it may ask for. It is checked and takes effect before it counts as done; what a run that died left
/// behind is put right by the next ordinary one.
///
/// # Errors
/// When a name cannot be a path.
pub fn shift(cluster: &Cluster, node: &Node, flow: Flow) -> Result<Vec<(String, Wish)>, BalancerError> {
    let mut all: Vec<(String, Vec<PlacedFile>)> = Vec::new();
    for file in server_files(cluster, node)? {
        let text = if flow == Flow::Open { &file.wished } else { &file.drained };
        let placed = public(file.path.as_str(), text)?;
        match all.iter_mut().find(|(host, _)| *host == file.host) {
            Some((_, files)) => files.push(placed),
            None => all.push((file.host, vec![placed])),
        }
    }
    let wishes = all.into_iter().map(|(host, files)| Ok((host, bundle(files)?)));
    wishes.collect()
}

/// Returns files as one wish: written together, tested by nginx, read by it.
///
/// # Errors
/// When a name cannot be a unit's.
pub fn bundle(files: Vec<PlacedFile>) -> Result<Wish, BalancerError> {
    let contents = files.iter().map(|file| Arc::clone(&file.bytes)).collect();
    let files = files.into_iter().map(|file| File {
        path: file.path,
        content: Content::of(&file.bytes),
        mode: Some(file.mode),
        owner: file.owner,
        show: file.show,
    });
    let bundle = Bundle { reader: unit()?, files: files.collect(), verify: Some(test()), tell: reload() };
    Ok(Wish { bundle, contents })
}

/// Returns the name of nginx's unit.
///
/// # Errors
/// Never in practice: it is a constant.
pub fn unit() -> Result<UnitName, ValueError> {
    UnitName::parse(UNIT)
}

/// Returns the command by which nginx says whether it would take its files.
#[must_use]
pub fn test() -> Invocation {
    command(["nginx", "-t", "-q"])
}

/// Returns the command that has nginx read its files; one that does not run is started. Requests in hand are finished by the former
/// workers.
#[must_use]
pub fn reload() -> Invocation {
    command(["systemctl", "--no-ask-password", "reload-or-restart", "nginx.service"])
}

fn command<const N: usize>(argv: [&str; N]) -> Invocation {
    Invocation { argv: argv.map(str::to_owned).to_vec(), timeout_secs: 60, ..Invocation::default() }
}

/// Says whether the load balancer can tell the nodes' certificates from others: it knows who issued them.
fn is_verified(cluster: &Cluster) -> bool {
    issued::settings(cluster).is_some()
}

/// The networks that may manage gateways. Where a control plane's address is not known nobody can be told from others.
fn management_from(cluster: &Cluster, host: &Host) -> Vec<String> {
    if let Some(said) = &host.settings.load_balancer.management_from {
        return said.clone();
    }
    let addresses: Option<Vec<String>> =
        cluster.hubs().map(|hub| hub.address.map(|address| address.to_string())).collect();
    addresses.unwrap_or_default()
}

fn pem(identity: Option<&Identity>, alias: &str) -> Result<Vec<u8>, KeystoreError> {
    let Some(identity) = identity else { return Ok(TO_BE_ISSUED.to_vec()) };
    let content = keystore::Content::default().identity(alias, identity.clone());
    keystore::write(Format::Pem, None, &content, &issued::shipped_password())
}

fn inside(name: &str) -> String {
    format!("{}/{name}", nginx::FOLDER)
}

fn public(path: &str, text: &str) -> Result<PlacedFile, ValueError> {
    placed(path, text.as_bytes().to_vec(), FileMode::new(0o644))
}

fn placed(path: &str, bytes: Vec<u8>, mode: FileMode) -> Result<PlacedFile, ValueError> {
    Ok(PlacedFile {
        path: AbsPath::parse(path)?,
        bytes: bytes.into(),
        mode,
        owner: Owner { user: Some("root".to_owned()), group: Some("root".to_owned()) },
        show: if mode == FileMode::new(0o600) { Show::Nothing } else { Show::Text },
        is_block: false,
    })
}

/// Why a load balancer's files cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BalancerError {
    /// Its certificate cannot be written.
    #[error("the load balancer's certificate: {0}")]
    Certificate(#[from] KeystoreError),
    /// A name that cannot stand in a path.
    #[error("the load balancer's files: {0}")]
    Name(#[from] ValueError),
}
