//! `apim_distribution`: the release is unpacked beside the one in use; a key manager's profile is set up in it, once.

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::{Archive, Format, Prepare, Pull, Source};
use apim_protocol::operation::command::Invocation;
use apim_protocol::value::{Content, Owner, Sha256};

use super::Draft;
use crate::apim::artifact::ArtifactName;
use crate::apim::files;
use crate::apim::settings::source::Fetch;
use crate::apim::topology::Node;

/// Distributions are below 500 MB packed and about twice that unpacked: this is a cap against mistakes, not a measure.
pub(super) const MAX_BYTES: u64 = 6 * 1024 * 1024 * 1024;
/// Distributions have some ten thousand entries.
pub(super) const MAX_ENTRIES: u64 = 300_000;

pub(super) fn lower(node: &Node) -> Vec<Draft> {
    let distributions = &node.settings.distributions;
    let Some(place) = distributions.locate(node.role, &node.version) else { return Vec::new() };
    let zip = node.version.zip(node.role);
    let archive = Archive {
        source: source(&place, node.zip, distributions.fetch, distributions.proxy.clone()),
        format: Format::Zip,
        destination: node.home.release.clone(),
        strip_top: true,
        owner: files::owner(node),
        prepare: node.role.profile().map(prepare).into_iter().collect(),
        max_bytes: MAX_BYTES,
        max_entries: MAX_ENTRIES,
    };
    let mut unpack = Draft::new(
        format!("{}: release {} from {zip}", node.words(), node.release),
        Operation::Archive(archive),
    )
    .of(node);
    if distributions.fetch == Fetch::Push {
        unpack.files.push((node.zip, ArtifactName(zip)));
    }
    vec![
        Draft::folder(format!("folder {}", node.home.releases), &node.home.releases, 0o755, Owner::default())
            .of(node),
        unpack,
        // The server writes passwords into many a file below its home.
        Draft::folder(
            format!("{}: release {} is private", node.words(), node.release),
            &node.home.release,
            0o750,
            files::owner(node),
        )
        .of(node),
    ]
}

/// Returns where an archive's bytes come from; the size of pushed ones is filled in by who finds the file.
pub(super) fn source(place: &str, sha256: Sha256, fetch: Fetch, proxy: Option<String>) -> Source {
    match fetch {
        Fetch::Push => Source::Pushed(Content { sha256, size: 0 }),
        Fetch::Pull => Source::Pulled(Pull { url: place.to_owned(), sha256, proxy, max_bytes: MAX_BYTES }),
    }
}

/// Sets up a profile in a folder that nothing runs from yet. The script has no guard of its own: a second run would make its backups of files
/// it has already replaced; and it replaces `deployment.toml`, so it comes before ours. Its exit status is 0 even for a wrong argument
/// (wso2/product-apim, api-control-plane, `profileSetup.sh`).
fn prepare(profile: &str) -> Prepare {
    let webapp = |name: &str| format!("repository/deployment/server/webapps/{name}");
    Prepare {
        title: format!("set up the profile {profile}"),
        command: Invocation {
            argv: ["/bin/sh", "bin/profileSetup.sh"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!("-Dprofile={profile}")])
                .collect(),
            ..Invocation::default()
        },
        output_holds: Some("Finished the optimizations".to_owned()),
        then_present: vec!["repository/conf/deployment.toml.backup".to_owned()],
        then_absent: ["publisher", "devportal", "admin"].map(webapp).to_vec(),
    }
}
