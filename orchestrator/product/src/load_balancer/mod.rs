//! nginx files for hosts of the group `load_balancer`, built from the same topology as the nodes,
//! and draining of nodes.
//!
//! `layout` maps names to nodes, `nginx` writes the files; this module does not depend on steps.

use std::sync::Arc;

use apim_protocol::operation::bundle::Bundle;
use apim_protocol::operation::command::Invocation;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::value::{AbsPath, Content, FileMode, Owner, UnitName, ValueError};

use super::cluster::{Cluster, Host};
use super::files::PlacedFile;
use super::pki;
use super::settings::load_balancer::BalancerKind;
use super::topology::Node;
use crate::keystore::{self, Format, Identity, KeystoreError};
use layout::Layout;

pub(super) mod check;
mod layout;
mod nginx;
#[cfg(test)]
mod tests;

/// The unit of nginx; the same in every distribution.
const UNIT: &str = "nginx";
/// Placeholder content of a certificate that is not issued yet. Shown in plans, never written to a
/// host.
const TO_BE_ISSUED: &[u8] = b"to be issued";

/// Whether a node gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationState {
    /// In rotation, as in the inventory.
    InRotation,
    /// Drained: no new requests; active requests finish.
    Drained,
}

/// The file of one node in one upstream of one load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFile {
    /// The load balancer's host.
    pub host: String,
    /// The path of the file.
    pub path: AbsPath,
    /// Its content while the node is in rotation.
    pub desired: String,
    /// Its content while the node is drained.
    pub drained: String,
}

/// The desired nginx files of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredFiles {
    /// The files are written together, tested by nginx, and loaded.
    pub bundle: Bundle,
    /// The contents that the host may request.
    pub contents: Vec<Arc<[u8]>>,
}

/// Returns the hosts with a managed load balancer.
pub fn hosts(cluster: &Cluster) -> impl Iterator<Item = &Host> {
    cluster.hosts().iter().filter(|host| is_managed(host))
}

/// Returns whether `host` has a managed load balancer.
#[must_use]
pub fn is_managed(host: &Host) -> bool {
    host.is_load_balancer && host.settings.load_balancer.kind == BalancerKind::Nginx
}

/// Returns the ports that the load balancer on `host` listens on.
#[must_use]
pub fn ports(cluster: &Cluster, host: &Host) -> Vec<u16> {
    Layout::of(cluster, host).ports().into_keys().collect()
}

/// Returns the ports of the managed load balancer on the host of this name; empty if it has none.
pub(crate) fn managed_ports(cluster: &Cluster, host: &str) -> Vec<u16> {
    cluster.host(host).filter(|host| is_managed(host)).map(|host| ports(cluster, host)).unwrap_or_default()
}

/// Returns every file of the load balancer on `host`.
///
/// # Errors
/// When the certificate cannot be encoded, or a name is not valid in a path.
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
        files.push(public(server.path.as_str(), &server.desired)?);
    }
    let private = FileMode::new(0o600);
    files.push(placed(&inside("identity.pem"), pem(identity, &host.name)?, private)?);
    if tls.verify {
        let bytes = match authority {
            Some(authority) => keystore::write(
                Format::Pem,
                None,
                &keystore::Content::default().trusted(pki::AUTHORITY_ALIAS, authority.clone()),
                &pki::shipped_password(),
            )?,
            None => TO_BE_ISSUED.to_vec(),
        };
        files.push(placed(&inside("authority.pem"), bytes, FileMode::new(0o644))?);
    }
    Ok(files)
}

/// Returns whether `file` is the placeholder of a certificate that is not issued yet.
#[must_use]
pub fn is_to_be_issued(file: &PlacedFile) -> bool {
    file.bytes.as_ref() == TO_BE_ISSUED
}

/// Returns the files of a node on all managed load balancers. They are rewritten to drain it.
/// The load balancer must have been applied before.
///
/// # Errors
/// When a name is not valid in a path.
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
            let (desired, drained) = nginx::server(server);
            let path = AbsPath::parse(&nginx::server_file(upstream, server))?;
            all.push(ServerFile { host: host.name.clone(), path, desired, drained });
        }
    }
    Ok(all)
}

/// Returns the desired files that put a node in or out of rotation on all managed load balancers,
/// by load balancer host. They are tested and loaded before the step counts as done. The next
/// ordinary run repairs what an aborted run left behind.
///
/// # Errors
/// When a name is not valid in a path.
pub fn rotation_files(
    cluster: &Cluster,
    node: &Node,
    state: RotationState,
) -> Result<Vec<(String, DesiredFiles)>, BalancerError> {
    let mut all: Vec<(String, Vec<PlacedFile>)> = Vec::new();
    for file in server_files(cluster, node)? {
        let text = if state == RotationState::InRotation { &file.desired } else { &file.drained };
        let placed = public(file.path.as_str(), text)?;
        match all.iter_mut().find(|(host, _)| *host == file.host) {
            Some((_, files)) => files.push(placed),
            None => all.push((file.host, vec![placed])),
        }
    }
    let bundles = all.into_iter().map(|(host, files)| Ok((host, bundle(files)?)));
    bundles.collect()
}

/// Returns files as one bundle: written together, tested by nginx, and loaded.
///
/// # Errors
/// When the unit name is invalid.
pub fn bundle(files: Vec<PlacedFile>) -> Result<DesiredFiles, BalancerError> {
    let contents = files.iter().map(|file| Arc::clone(&file.bytes)).collect();
    let files = files.into_iter().map(|file| File {
        path: file.path,
        content: Content::of(&file.bytes),
        mode: Some(file.mode),
        owner: file.owner,
        show: file.show,
    });
    let bundle = Bundle { reader: unit()?, files: files.collect(), verify: Some(test()), tell: reload() };
    Ok(DesiredFiles { bundle, contents })
}

/// Returns the name of nginx's unit.
///
/// # Errors
/// Never in practice: it is a constant.
pub fn unit() -> Result<UnitName, ValueError> {
    UnitName::parse(UNIT)
}

/// Returns the command by which nginx tests its files.
#[must_use]
pub fn test() -> Invocation {
    command(["nginx", "-t", "-q"])
}

/// Returns the command that reloads nginx, or starts it. Old workers finish active requests.
#[must_use]
pub fn reload() -> Invocation {
    command(["systemctl", "--no-ask-password", "reload-or-restart", "nginx.service"])
}

fn command<const N: usize>(argv: [&str; N]) -> Invocation {
    Invocation { argv: argv.map(str::to_owned).to_vec(), timeout_secs: 60, ..Invocation::default() }
}

/// Returns whether the load balancer can verify the nodes' certificates, because their issuer is
/// known.
fn is_verified(cluster: &Cluster) -> bool {
    pki::settings(cluster).is_some()
}

/// The networks with access to gateway management. Empty (no restriction) if a control plane's
/// address is unknown.
fn management_from(cluster: &Cluster, host: &Host) -> Vec<String> {
    if let Some(networks) = &host.settings.load_balancer.management_from {
        return networks.clone();
    }
    let addresses: Option<Vec<String>> =
        cluster.hubs().map(|hub| hub.address.map(|address| address.to_string())).collect();
    addresses.unwrap_or_default()
}

fn pem(identity: Option<&Identity>, alias: &str) -> Result<Vec<u8>, KeystoreError> {
    let Some(identity) = identity else { return Ok(TO_BE_ISSUED.to_vec()) };
    let content = keystore::Content::default().identity(alias, identity.clone());
    keystore::write(Format::Pem, None, &content, &pki::shipped_password())
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

/// Why a load balancer's files cannot be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BalancerError {
    /// Its certificate cannot be written.
    #[error("the load balancer's certificate: {0}")]
    Certificate(#[from] KeystoreError),
    /// A name is not valid in a path.
    #[error("the load balancer's files: {0}")]
    Name(#[from] ValueError),
}
