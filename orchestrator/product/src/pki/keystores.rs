//! Builds the keystores of the nodes from issued certificates.

use std::sync::Arc;

use apim_protocol::value::Secret;

use super::model::{AUTHORITY_ALIAS, ExternalTrust, Material, PRIMARY, SIGNER_ALIAS, shipped_password};
use super::required::{balancer_name, name_of};
use crate::cluster::{Cluster, Host};
use crate::keystore::{self, Base, Content, Format, Identity, KeystoreError, Opened};
use crate::settings::keystores::{Keystore, Purpose};
use crate::topology::{KeystoreFile, Node};

/// Placeholder content of a keystore that is not issued yet. Shown in plans, never written to a
/// host.
const TO_BE_ISSUED: &[u8] = b"to be issued";
/// Shipped entries whose private key is public (documentation, "configuring keystores").
const SHIPPED_ALIASES: [&str; 2] = ["wso2carbon", SIGNER_ALIAS];

/// Returns the bytes of a keystore whose format is not reproducible, by name, content and password.
pub type KeystoreWriter<'a> = &'a mut dyn FnMut(&str, &Content, &Secret) -> Result<Vec<u8>, KeystoreError>;

/// Assigns the issued keystores to the nodes.
///
/// # Errors
/// When a keystore cannot be written.
pub fn assign_keystores(
    cluster: &mut Cluster,
    material: &Material,
    external: &ExternalTrust,
    write: KeystoreWriter<'_>,
) -> Result<(), KeystoreError> {
    let mut builder = Builder { material, external, write, built: Vec::new() };
    for node in cluster.nodes_mut().iter_mut().filter(|node| node.settings.keystores.issued.is_some()) {
        node.keystores = builder.files(node)?;
    }
    if let Some(authority) = &material.authority {
        cluster.set_authority(authority.certificate.clone());
    }
    assign_to_load_balancers(cluster, material)
}

fn assign_to_load_balancers(cluster: &mut Cluster, material: &Material) -> Result<(), KeystoreError> {
    let is_issued = |host: &&Host| host.is_load_balancer && host.settings.load_balancer.certificate.is_none();
    let balancers = cluster.hosts().iter().filter(is_issued);
    let hosts: Vec<String> = balancers.map(|host| host.name.clone()).collect();
    for host in hosts {
        let name = balancer_name(&host);
        if let (Some(certificate), Some(key), Some(authority)) =
            (material.certificates.get(&name), material.keys.get(&name), &material.authority)
        {
            let chain = vec![certificate.clone(), authority.certificate.clone()];
            cluster.set_balancer(&host, Identity::new(key.clone(), chain, &name)?);
        }
    }
    Ok(())
}

/// A keystore that nodes may share.
#[derive(Clone)]
struct Built {
    name: String,
    bytes: Arc<[u8]>,
    opened: Arc<Opened>,
}

/// Builds each distinct keystore once.
struct Builder<'a, 'w> {
    material: &'a Material,
    external: &'a ExternalTrust,
    write: KeystoreWriter<'w>,
    built: Vec<Built>,
}

impl Builder<'_, '_> {
    /// Returns the keystores of `node`.
    fn files(&mut self, node: &Node) -> Result<Vec<KeystoreFile>, KeystoreError> {
        let mut files: Vec<KeystoreFile> = Vec::new();
        for store in &node.settings.keystores.stores {
            let Ok(path) = node.home.security.join(&store.file_name) else { continue };
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            files.push(match self.shared(store, node)? {
                Some(Built { bytes, opened, .. }) => KeystoreFile { path, bytes, opened: Some(opened) },
                None => KeystoreFile { path, bytes: TO_BE_ISSUED.into(), opened: None },
            });
        }
        Ok(files)
    }

    /// Returns a keystore, built before or now; `None` if its certificates are not issued yet.
    fn shared(&mut self, store: &Keystore, node: &Node) -> Result<Option<Built>, KeystoreError> {
        let name = match store.purpose {
            Purpose::Primary | Purpose::Internal => PRIMARY.to_owned(),
            Purpose::Tls => name_of(node),
            Purpose::Truststore => format!("truststore-{}", node.version),
        };
        if let Some(known) = self.built.iter().find(|known| known.name == name) {
            return Ok(Some(known.clone()));
        }
        let content = match &store.alias {
            Some(alias) if store.purpose != Purpose::Truststore => self.identity(&name, alias)?,
            _ => self.trusted(),
        };
        let Some(content) = content else { return Ok(None) };
        let shipped = shipped_password();
        let is_truststore = store.alias.is_none() || store.purpose == Purpose::Truststore;
        let base = self.external.shipped.get(&node.version.to_string()).filter(|_| is_truststore);
        let base = base.map(|bytes| Base { bytes, password: &shipped, without: &SHIPPED_ALIASES });
        let bytes = match store.kind {
            "JKS" => keystore::write(Format::Jks, base, &content, &store.password)?,
            _ => (self.write)(&name, &with_base(base)?.and(content), &store.password)?,
        };
        let opened = Opened::open(&bytes, &store.password)?;
        let built = Built { name, bytes: bytes.into(), opened: Arc::new(opened) };
        self.built.push(built.clone());
        Ok(Some(built))
    }

    /// Returns the content of a keystore with the key and chain of the certificate `name`.
    fn identity(&self, name: &str, alias: &str) -> Result<Option<Content>, KeystoreError> {
        let Material { authority, certificates, keys } = self.material;
        let (Some(authority), Some(certificate), Some(key)) =
            (authority, certificates.get(name), keys.get(name))
        else {
            return Ok(None);
        };
        let chain = vec![certificate.clone(), authority.certificate.clone()];
        Ok(Some(Content::default().identity(alias, Identity::new(key.clone(), chain, alias)?)))
    }

    /// Returns the content of the truststore without shipped entries.
    fn trusted(&self) -> Option<Content> {
        let authority = self.material.authority.as_ref()?;
        let signer = self.material.certificates.get(PRIMARY)?;
        let mut content = Content::default()
            .trusted(AUTHORITY_ALIAS, authority.certificate.clone())
            .trusted(SIGNER_ALIAS, signer.clone());
        for certificate in &self.external.named {
            let mark: String = certificate.fingerprint.to_string().chars().take(8).collect();
            content = content.trusted(&format!("{} {mark}", certificate.common_name()), certificate.clone());
        }
        Some(content)
    }
}

/// Returns the entries of a shipped truststore that stay.
fn with_base(base: Option<Base<'_>>) -> Result<Content, KeystoreError> {
    let mut all = Content::default();
    if let Some(base) = base {
        let opened = Opened::open(base.bytes, base.password)?;
        for (alias, one) in opened.trusted().filter(|(alias, _)| !base.without.contains(alias)) {
            all = all.trusted(alias, one.clone());
        }
    }
    Ok(all)
}
