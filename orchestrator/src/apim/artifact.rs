//! Files that a cluster is made from and that are too big or too foreign to be rendered: zips, JDKs, drivers.
//! Where they come from and what they must be; fetching them is somebody else's.

use std::collections::BTreeMap;
use std::fmt;

use apim_protocol::value::Sha256;

use super::cluster::Cluster;
use super::settings::source::{Fetch, Java, NamedFile};
use crate::yaml::Span;

/// An artifact's name: its file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName(pub String);

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One file that is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its file name.
    pub name: ArtifactName,
    /// A URL or a path of this machine (relative: from the folder of the file that `place` names).
    pub source: String,
    /// What it must be.
    pub sha256: Sha256,
    /// Who fetches it.
    pub fetch: Fetch,
    /// A proxy for the download.
    pub proxy: Option<String>,
    /// The setting that names its source.
    pub setting: &'static str,
    /// Where the inventory names its source.
    pub place: Span,
}

impl Cluster {
    /// Returns every artifact that the cluster's nodes are made from, each once.
    #[must_use]
    pub fn artifacts(&self) -> Vec<Artifact> {
        let mut found: BTreeMap<Sha256, Artifact> = BTreeMap::new();
        let mut add = |artifact: Artifact| {
            found.entry(artifact.sha256).or_insert(artifact);
        };
        for node in self.nodes() {
            let distributions = &node.settings.distributions;
            if let (Some(source), Some(place)) =
                (distributions.locate(node.role, &node.version), &distributions.source)
            {
                add(Artifact {
                    name: ArtifactName(node.version.zip(node.role)),
                    source,
                    sha256: node.zip,
                    fetch: distributions.fetch,
                    proxy: distributions.proxy.clone(),
                    setting: "apim.distributions.source",
                    place: place.span.clone(),
                });
            }
            let mut named = |file: &NamedFile, setting| {
                add(Artifact {
                    name: ArtifactName(file.file_name().to_owned()),
                    source: file.source.value.clone(),
                    sha256: file.sha256,
                    fetch: file.fetch,
                    proxy: distributions.proxy.clone(),
                    setting,
                    place: file.source.span.clone(),
                });
            };
            if let Some(Java::Archive(file)) = &node.settings.java {
                named(file, "apim.java.archive.source");
            }
            if let Some(driver) = node.settings.databases.as_ref().and_then(|d| d.driver.as_ref()) {
                named(&driver.file, "apim.databases.driver.source");
            }
        }
        found.into_values().collect()
    }
}
