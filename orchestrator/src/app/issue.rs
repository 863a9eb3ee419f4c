//! Keystores of mode `issued`: assigns issued certificates to the nodes and issues due ones.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::exit::{Exit, Kind};
use crate::app::pki_store::Folder;
use apim_product::keystore::{Certificate, Format, Opened, write};
use apim_product::pki::{self, ExternalTrust, Material, Unissued, trust};
use apim_product::settings::keystores::IssuedSettings;
use apim_product::settings::source::Fetch;
use apim_product::yaml::{Mistakes, Span};
use apim_product::{Artifact, Cluster, Role};
use apim_rollout::artifact::{Cache, Progress};

/// Path of the truststore in a distribution, below its top folder (carbon-kernel,
/// `repository/resources/security`).
const SHIPPED: &str = "/repository/resources/security/client-truststore.jks";
/// Maximum size of a truststore, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;

/// How to handle due certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issue {
    /// Issue and save them; download missing artifacts.
    Now,
    /// Issue and save them; download nothing.
    Offline,
    /// Report that they would be issued.
    ReportOnly,
}

/// Assigns keystores to the nodes of a cluster in mode `issued`; does nothing in other modes.
pub(crate) fn provide(
    cluster: &mut Cluster,
    inventory: &Path,
    cache: &Cache,
    issue: Issue,
) -> Result<(), Exit> {
    let settings = pki::settings(cluster).cloned();
    let Some(settings) = settings else { return Ok(()) };
    let local = Local { inventory, cache, issue, unissued: Unissued::Omit };
    issue_certificates(cluster, &settings, &local)?;
    let found = trust::check(cluster, now());
    cluster.tell(found.notes);
    if found.mistakes.0.is_empty() { Ok(()) } else { Err(found.mistakes.into()) }
}

/// Like `provide`, but for every mode, and keeps due certificates. Returns the errors in
/// certificates that the user provided.
pub(crate) fn provide_all(
    cluster: &mut Cluster,
    inventory: &Path,
    cache: &Cache,
    issue: Issue,
) -> Result<Mistakes, Exit> {
    if let Some(settings) = pki::settings(cluster).cloned() {
        let local = Local { inventory, cache, issue, unissued: Unissued::Keep };
        issue_certificates(cluster, &settings, &local)?;
        return Ok(Mistakes::default());
    }
    let found = trust::check(cluster, now());
    cluster.tell(found.notes);
    Ok(found.mistakes)
}

/// The local files of the certificates, and how due certificates are handled.
struct Local<'a> {
    inventory: &'a Path,
    cache: &'a Cache,
    issue: Issue,
    unissued: Unissued,
}

/// Issues the certificates that are due, or reports them, and assigns keystores to the nodes.
fn issue_certificates(
    cluster: &mut Cluster,
    settings: &IssuedSettings,
    local: &Local<'_>,
) -> Result<(), Exit> {
    let Local { inventory, cache, issue, unissued } = *local;
    let now = now();
    let folder = folder(settings, inventory);
    let mut material = folder.read()?;
    let is_due = pki::is_due(cluster, &material, settings, now);
    // Reading requires no write permission.
    let lock = if issue != Issue::ReportOnly && is_due { Some(folder.lock()?) } else { None };
    if lock.is_some() {
        material = folder.read()?;
    }
    let outside = ExternalTrust {
        named: named(settings)?,
        shipped: if settings.public_authorities {
            shipped(cluster, &folder, cache, issue)?
        } else {
            BTreeMap::new()
        },
    };
    match issue {
        Issue::Now | Issue::Offline => {
            let made = pki::issue(cluster, &mut material, now).map_err(failed)?;
            if !made.is_empty() {
                folder.save(&material, &made)?;
            }
            for due in &made {
                let text = format!("issued the certificate of {}: {}", due.required.words, due.why);
                cluster.tell([text]);
            }
        }
        Issue::ReportOnly => {
            let notes = pki::preview(cluster, &mut material, settings, now, unissued);
            cluster.tell(notes);
        }
    }
    assign_keystores(cluster, &material, &outside, &folder, issue)?;
    drop(lock);
    Ok(())
}

/// Returns the folder of issued certificates.
fn folder(settings: &IssuedSettings, inventory: &Path) -> Folder {
    let path = match &settings.folder {
        Some(named) => resolve(&named.value, &named.span),
        None => {
            let stem = inventory.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            inventory.with_file_name(format!("{stem}.pki"))
        }
    };
    Folder::new(path, settings.passphrase.value.clone(), settings.passphrase.span.clone())
}

/// Returns the certificate of the cluster's authority, if it exists.
pub(crate) fn authority(cluster: &Cluster, inventory: &Path) -> Result<Option<Certificate>, Exit> {
    pki::settings(cluster).map_or(Ok(None), |settings| folder(settings, inventory).authority())
}

fn resolve(path: &str, span: &Span) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match (path.strip_prefix("~/"), home, span.file_name().and_then(|file| Path::new(file).parent())) {
        (Some(rest), Some(home), _) => home.join(rest),
        (_, _, Some(folder)) => folder.join(path),
        (_, _, None) => PathBuf::from(path),
    }
}

/// Reads the certificates of `apim.keystores.trust`.
fn named(settings: &IssuedSettings) -> Result<Vec<Certificate>, Mistakes> {
    let (mut found, mut mistakes) = (Vec::new(), Mistakes::default());
    for file in &settings.trust {
        let read = std::fs::read(resolve(&file.value, &file.span)).map_err(|error| error.to_string());
        let opened = read.and_then(|bytes| match Format::of(&bytes) {
            Some(Format::Pem) => {
                Opened::open(&bytes, &pki::shipped_password()).map_err(|error| error.to_string())
            }
            _ => Err("not a PEM file".to_owned()),
        });
        match opened {
            Ok(opened) => found.extend(opened.trusted().map(|(_, one)| one.clone())),
            Err(why) => mistakes.add_hint(
                &file.span,
                format!("`apim.keystores.trust`: `{}`: {why}", file.value),
                "use a PEM file of certificates; relative paths start at the folder of this file",
            ),
        }
    }
    if mistakes.0.is_empty() { Ok(found) } else { Err(mistakes) }
}

/// Returns the public authorities in the truststore of each version. They are saved next to the
/// certificates when first read from a zip, so that the result does not depend on the cache.
fn shipped(
    cluster: &mut Cluster,
    folder: &Folder,
    cache: &Cache,
    issue: Issue,
) -> Result<BTreeMap<String, Arc<[u8]>>, Exit> {
    let mut found = BTreeMap::new();
    let mut notes = Vec::new();
    let mut versions: Vec<String> = cluster.nodes().iter().map(|node| node.version.to_string()).collect();
    versions.sort();
    versions.dedup();
    for version in versions {
        let name = format!("public-authorities-{version}.jks");
        if let Some(bytes) = folder.get(&name)? {
            found.insert(version, bytes.into());
            continue;
        }
        let artifacts = cluster.artifacts();
        let mut zips: Vec<_> =
            cluster.nodes().iter().filter(|node| node.version.to_string() == version).collect();
        zips.sort_by_key(|node| node.role != Role::ControlPlane);
        let zips: Vec<&Artifact> =
            zips.iter().filter_map(|node| artifacts.iter().find(|one| one.sha256 == node.zip)).collect();
        let here = || zips.iter().find_map(|artifact| truststore(&cache.path_of(artifact)?));
        let read = match (here(), zips.first(), issue) {
            (None, Some(first), Issue::Now) if is_fetched_here(first) => {
                fetch(cache, first)?;
                here()
            }
            (read, _, _) => read,
        };
        match read {
            Some(bytes) => {
                if issue != Issue::ReportOnly {
                    folder.put(&name, &bytes)?;
                }
                found.insert(version, bytes.into());
            }
            None => notes.push(format!(
                "the public authorities of {version} are unknown: its zip is not available locally"
            )),
        }
    }
    cluster.tell(notes);
    Ok(found)
}

/// Returns whether the artifact is downloaded to this machine. Missing local files are reported
/// with the other artifacts.
fn is_fetched_here(artifact: &Artifact) -> bool {
    artifact.fetch == Fetch::Push && artifact.source.starts_with("http")
}

/// Downloads a zip that will be sent to hosts later in the run.
fn fetch(cache: &Cache, artifact: &Artifact) -> Result<(), Exit> {
    let failed = |error: std::io::Error| Exit::new(Kind::Failed, format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let silent: Progress = Arc::new(|_, _, _| {});
    let wanted = std::slice::from_ref(artifact);
    match runtime.block_on(cache.provide(wanted, &silent)) {
        Ok(_) => Ok(()),
        Err(errors) => Err(errors.first().map_or_else(
            || Exit::new(Kind::Bug, "no reason given"),
            |error| Exit::from_error(Kind::Failed, error).hint(error.hint()),
        )),
    }
}

/// Reads the truststore from the zip of a distribution, if it is valid.
fn truststore(zip: &Path) -> Option<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).ok()?).ok()?;
    let name = archive.file_names().filter_map(Result::ok).find(|name| name.ends_with(SHIPPED))?.into_owned();
    let mut bytes = Vec::new();
    archive.by_name(&name).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let opened = Opened::open(&bytes, &pki::shipped_password()).ok()?;
    (opened.format == Format::Jks).then_some(bytes)
}

/// Assigns keystores to the nodes. A PKCS12 file differs each time it is written, so existing files
/// are reused while their content is correct.
fn assign_keystores(
    cluster: &mut Cluster,
    material: &Material,
    outside: &ExternalTrust,
    folder: &Folder,
    issue: Issue,
) -> Result<(), Exit> {
    let mut failure = None;
    let mut fresh =
        |name: &str, content: &apim_product::keystore::Content, password: &apim_protocol::value::Secret| {
            let file = format!("{name}.p12");
            if let Ok(Some(bytes)) = folder.get(&file)
                && Opened::open(&bytes, password).is_ok_and(|opened| content.is_in(&opened, password))
            {
                return Ok(bytes);
            }
            let bytes = write(Format::Pkcs12, None, content, password)?;
            if issue != Issue::ReportOnly
                && let Err(exit) = folder.put(&file, &bytes)
            {
                failure = Some(exit);
            }
            Ok(bytes)
        };
    let done = pki::assign_keystores(cluster, material, outside, &mut fresh);
    match failure {
        Some(exit) => Err(exit),
        None => done.map_err(failed),
    }
}

fn failed(error: apim_product::keystore::KeystoreError) -> Exit {
    Exit::from_error(Kind::Failed, &error)
}

/// Returns the Unix time in seconds.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
