//! Mode `issued`: which certificates the cluster needs, which of them are due, and the keystores made of them. Where they are kept, and
//! who decides to issue, is `cli`'s.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use apim_protocol::value::Secret;

use super::cluster::Cluster;
use super::host_name;
use super::role::Role;
use super::settings::keystores::{IssuedSettings, Keystore, KeystoreMode, Purpose};
use super::topology::{KeystoreFile, Node};
use super::trust::SIGNER_ALIAS;
use crate::keystore::{
    self, Authority, Base, Certificate, Content, Format, Identity, KeystoreError, Opened, PrivateKey,
};

#[cfg(test)]
mod tests;

/// The alias of the cluster's authority in truststores.
pub const AUTHORITY_ALIAS: &str = "cluster_ca";
/// The name of the shared certificate.
pub const PRIMARY: &str = "primary";
/// What stands in place of a keystore that is still to be issued; it is shown in plans and never placed.
const TO_BE_ISSUED: &[u8] = b"to be issued";
/// Clocks of hosts may be behind this machine's.
const SKEW_SECS: i64 = 3600;
const DAY_SECS: i64 = 86_400;
/// Shipped entries whose private key everybody has (documentation, "configuring keystores").
const SHIPPED_ALIASES: [&str; 2] = ["wso2carbon", SIGNER_ALIAS];

/// A certificate that the cluster needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its name among the cluster's certificates; fit for a file name.
    pub name: String,
    /// For people, such as `gateway gw1`.
    pub words: String,
    /// The subject.
    pub common_name: String,
    /// The names that it must be for, no more and no fewer.
    pub names: Vec<String>,
    /// What it is for.
    pub purpose: keystore::Purpose,
}

/// What there is already.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The authority.
    pub authority: Option<Authority>,
    /// Certificates by name.
    pub certificates: BTreeMap<String, Certificate>,
    /// Keys by the name of their certificate.
    pub keys: BTreeMap<String, PrivateKey>,
}

/// A certificate that must be issued, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub needed: Needed,
    /// Why, as a fragment.
    pub why: String,
}

/// Returns how the cluster's certificates are issued; `None` in other modes.
#[must_use]
pub fn settings(cluster: &Cluster) -> Option<&IssuedSettings> {
    let first = cluster.nodes().first()?;
    first.settings.keystores.issued.as_ref()
}

/// Returns every certificate that the cluster needs: the shared one, each node's, each load balancer's.
#[must_use]
pub fn needed(cluster: &Cluster) -> Vec<Needed> {
    let mut all = vec![Needed {
        name: PRIMARY.to_owned(),
        words: "the key that all nodes share".to_owned(),
        common_name: "API Manager cluster".to_owned(),
        names: Vec::new(),
        purpose: keystore::Purpose::Encipherment,
    }];
    for node in cluster.nodes().iter().filter(|node| node.settings.keystores.mode == KeystoreMode::Issued) {
        all.push(Needed {
            name: name_of(node),
            words: node.words(),
            common_name: shortened(&node.peer),
            names: names_of(cluster, node),
            purpose: keystore::Purpose::Tls,
        });
    }
    let balancers = cluster.hosts().iter().filter(|host| host.is_load_balancer);
    for host in balancers.filter(|host| host.settings.load_balancer.certificate.is_none()) {
        let mut names: Vec<String> = vec![host.name.clone(), host.peer.clone()];
        names.extend(host.address.map(|address| address.to_string()));
        names.extend(cluster.all_endpoints().map(|endpoint| endpoint.name.clone()));
        names.extend(more_names(host.settings.keystores.issued.as_ref()));
        all.push(Needed {
            name: balancer_name(&host.name),
            words: format!("load balancer {}", host.name),
            common_name: shortened(&host.peer),
            names: tidy(names),
            purpose: keystore::Purpose::Tls,
        });
    }
    all
}

/// Returns the name of a node's certificate.
#[must_use]
pub fn name_of(node: &Node) -> String {
    file_stem(&format!("{}-{}", node.host, node.component))
}

/// Returns the name of a load balancer's certificate.
#[must_use]
pub fn balancer_name(host: &str) -> String {
    file_stem(&format!("{host}-load-balancer"))
}

fn file_stem(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// Every name by which peers and clients reach a node.
fn names_of(cluster: &Cluster, node: &Node) -> Vec<String> {
    let mut names =
        vec![node.peer.clone(), node.host.clone(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(node.address.map(|address| address.to_string()));
    names.extend(cluster.endpoint_of(node).map(|endpoint| endpoint.name.clone()));
    if node.role.is_hub() {
        names.extend(cluster.endpoint(Role::ControlPlane).map(|endpoint| endpoint.name.clone()));
    }
    for environment in node.environments.iter().filter(|_| node.role.is_gateway()) {
        names.extend(cluster.environment_endpoint(environment).map(|endpoint| endpoint.name.clone()));
        names.extend(cluster.virtual_hosts(environment).iter().map(|endpoint| endpoint.name.clone()));
    }
    names.extend(more_names(node.settings.keystores.issued.as_ref()));
    tidy(names)
}

fn more_names(settings: Option<&IssuedSettings>) -> impl Iterator<Item = String> {
    settings.into_iter().flat_map(|settings| &settings.names).map(|name| name.value.clone())
}

fn tidy(names: Vec<String>) -> Vec<String> {
    let fits = |name: &String| name.parse::<Ipv4Addr>().is_ok() || host_name::check(name).is_ok();
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_lowercase()).filter(fits).collect();
    names.sort();
    names.dedup();
    names
}

/// X.520 allows 64 characters.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Says why the authority's certificate must be made anew, if it must.
#[must_use]
pub fn authority_due(material: &Material, settings: &IssuedSettings, now: i64) -> Option<String> {
    let Some(authority) = &material.authority else { return Some("there is none yet".to_owned()) };
    ends_soon(&authority.certificate, settings.renew_days, now)
}

/// Returns which of the needed certificates must be issued.
#[must_use]
pub fn due(cluster: &Cluster, material: &Material, now: i64) -> Vec<Due> {
    let Some(settings) = settings(cluster) else { return Vec::new() };
    let mut all = Vec::new();
    for needed in needed(cluster) {
        let why = match (material.certificates.get(&needed.name), material.keys.get(&needed.name)) {
            (None, _) => Some("there is none yet".to_owned()),
            (Some(_), None) => Some("its private key is missing".to_owned()),
            (Some(certificate), Some(key)) => reason(&needed, certificate, key, material, settings, now),
        };
        all.extend(why.map(|why| Due { needed, why }));
    }
    all
}

#[expect(clippy::too_many_arguments, reason = "one question about six things")]
fn reason(
    needed: &Needed,
    certificate: &Certificate,
    key: &PrivateKey,
    material: &Material,
    settings: &IssuedSettings,
    now: i64,
) -> Option<String> {
    if !key.is_of(certificate) {
        return Some("its private key is another's".to_owned());
    }
    if let Some(authority) = &material.authority
        && !authority.signed(certificate)
    {
        return Some("another authority signed it".to_owned());
    }
    let have = tidy(certificate.names());
    if have != needed.names {
        let lacks: Vec<&str> =
            needed.names.iter().filter(|name| !have.contains(name)).map(String::as_str).collect();
        let extra: Vec<&str> =
            have.iter().filter(|name| !needed.names.contains(name)).map(String::as_str).collect();
        let said = [("lacks", lacks), ("need no longer name", extra)];
        let said: Vec<String> = said
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what} {}", names.join(", ")))
            .collect();
        return Some(format!("it {}", said.join(", and ")));
    }
    ends_soon(certificate, settings.renew_days, now)
}

fn ends_soon(certificate: &Certificate, renew_days: i64, now: i64) -> Option<String> {
    let days = certificate.days_left(now);
    match certificate.not_after <= now {
        true => Some("it expired".to_owned()),
        false => (days < renew_days).then(|| format!("it expires in {days} days")),
    }
}

/// Makes what is due; the authority first. What was there and is not due stays as it is.
///
/// # Errors
/// When a key or certificate cannot be made.
pub fn issue(cluster: &Cluster, material: &mut Material, now: i64) -> Result<Vec<Due>, KeystoreError> {
    let Some(settings) = settings(cluster) else { return Ok(Vec::new()) };
    let mut made = Vec::new();
    let (from, until) = (now - SKEW_SECS, |days: i64| now + days * DAY_SECS);
    if let Some(why) = authority_due(material, settings, now) {
        let authority = match &material.authority {
            Some(old) => old.renew(from, until(settings.authority_days))?,
            None => Authority::create(&settings.authority, from, until(settings.authority_days))?,
        };
        let needed = Needed {
            name: "ca".to_owned(),
            words: "the cluster's authority".to_owned(),
            common_name: settings.authority.clone(),
            names: Vec::new(),
            purpose: keystore::Purpose::Encipherment,
        };
        material.authority = Some(authority);
        made.push(Due { needed, why });
    }
    for due in due(cluster, material, now) {
        let Some(authority) = &material.authority else { continue };
        let needed = &due.needed;
        let is_shared = needed.purpose == keystore::Purpose::Encipherment;
        // What the shared key locked, it must open for ever.
        let kept = material.keys.get(&needed.name).filter(|_| is_shared).cloned();
        let key = kept.map_or_else(PrivateKey::generate, Ok)?;
        let wanted = keystore::Wanted {
            common_name: &needed.common_name,
            names: &needed.names,
            purpose: needed.purpose,
            not_before: from,
            not_after: until(if is_shared { settings.authority_days } else { settings.valid_days }),
        };
        let certificate = authority.issue(&wanted, &key)?;
        material.certificates.insert(needed.name.clone(), certificate);
        material.keys.insert(needed.name.clone(), key);
        made.push(due);
    }
    Ok(made)
}

/// The truststore that the distribution ships, and certificates that the user named: what is trusted besides the cluster.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// A JKS truststore by version of the product, with what opens it.
    pub shipped: BTreeMap<String, Arc<[u8]>>,
    /// Certificates of the user.
    pub named: Vec<Certificate>,
}

/// What opens a shipped truststore.
#[must_use]
pub fn shipped_password() -> Secret {
    Secret::new("wso2carbon")
}

/// Gives the bytes of a keystore that cannot be written twice alike: by its name, what it must hold, and its password.
pub type Fresh<'a> = &'a mut dyn FnMut(&str, &Content, &Secret) -> Result<Vec<u8>, KeystoreError>;

/// Hands the nodes their keystores, as far as they are issued already.
///
/// # Errors
/// When one cannot be written.
pub fn hand_out(
    cluster: &mut Cluster,
    material: &Material,
    outside: &Outside,
    fresh: Fresh<'_>,
) -> Result<(), KeystoreError> {
    let mut made: Vec<(String, Arc<[u8]>, Arc<Opened>)> = Vec::new();
    for node in cluster.nodes_mut() {
        let settings = Arc::clone(&node.settings);
        let mut files: Vec<KeystoreFile> = Vec::new();
        for store in settings.keystores.stores.iter().filter(|_| settings.keystores.issued.is_some()) {
            let Ok(path) = node.home.security.join(&store.file_name) else { continue };
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            let name = match store.purpose {
                Purpose::Primary | Purpose::Internal => PRIMARY.to_owned(),
                Purpose::Tls => name_of(node),
                Purpose::Truststore => format!("truststore-{}", node.version),
            };
            let known = made.iter().find(|(known, ..)| *known == name).cloned();
            let made_now = match known {
                Some(known) => Some(known),
                None => keystore_of(store, &name, node, material, outside, fresh)?,
            };
            match made_now {
                Some((name, bytes, opened)) => {
                    files.push(KeystoreFile {
                        path,
                        bytes: Arc::clone(&bytes),
                        opened: Some(Arc::clone(&opened)),
                    });
                    made.retain(|(known, ..)| *known != name);
                    made.push((name, bytes, opened));
                }
                None => files.push(KeystoreFile { path, bytes: TO_BE_ISSUED.into(), opened: None }),
            }
        }
        if settings.keystores.issued.is_some() {
            node.keystores = files;
        }
    }
    if let Some(authority) = &material.authority {
        cluster.set_authority(authority.certificate.clone());
    }
    let issued_to =
        |host: &&super::Host| host.is_load_balancer && host.settings.load_balancer.certificate.is_none();
    let balancers = cluster.hosts().iter().filter(issued_to);
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

type Made = (String, Arc<[u8]>, Arc<Opened>);

#[expect(clippy::too_many_arguments, reason = "one keystore of six things")]
fn keystore_of(
    store: &Keystore,
    name: &str,
    node: &Node,
    material: &Material,
    outside: &Outside,
    fresh: Fresh<'_>,
) -> Result<Option<Made>, KeystoreError> {
    let Some(authority) = &material.authority else { return Ok(None) };
    let mut base = None;
    let shipped = shipped_password();
    let content = if let (Some(alias), Purpose::Primary | Purpose::Internal | Purpose::Tls) =
        (&store.alias, store.purpose)
    {
        let (Some(certificate), Some(key)) = (material.certificates.get(name), material.keys.get(name))
        else {
            return Ok(None);
        };
        let chain = vec![certificate.clone(), authority.certificate.clone()];
        Content::default().identity(alias, Identity::new(key.clone(), chain, alias)?)
    } else {
        let Some(signer) = material.certificates.get(PRIMARY) else { return Ok(None) };
        base = outside.shipped.get(&node.version.to_string()).map(|bytes| Base {
            bytes,
            password: &shipped,
            without: &SHIPPED_ALIASES,
        });
        let mut content = Content::default()
            .trusted(AUTHORITY_ALIAS, authority.certificate.clone())
            .trusted(SIGNER_ALIAS, signer.clone());
        for certificate in &outside.named {
            let mark: String = certificate.fingerprint.to_string().chars().take(8).collect();
            content = content.trusted(&format!("{} {mark}", certificate.common_name()), certificate.clone());
        }
        content
    };
    let bytes = match store.kind {
        "JKS" => keystore::write(Format::Jks, base, &content, &store.password)?,
        _ => {
            let mut all = Content::default();
            if let Some(base) = base {
                let kept = Opened::open(base.bytes, base.password)?;
                for (alias, one) in kept.trusted().filter(|(alias, _)| !base.without.contains(alias)) {
                    all = all.trusted(alias, one.clone());
                }
            }
            fresh(name, &all.and(content), &store.password)?
        }
    };
    let opened = Opened::open(&bytes, &store.password)?;
    Ok(Some((name.to_owned(), bytes.into(), Arc::new(opened))))
}
