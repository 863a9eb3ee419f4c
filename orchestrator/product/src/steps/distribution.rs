//! `apim_distribution`: unpacks the release next to the current one, and sets up the profile of a
//! key manager once.

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::{Archive, Format, Prepare, Pull, Source};
use apim_protocol::operation::command::Invocation;
use apim_protocol::value::{Content, Owner, Sha256};

use super::Draft;
use crate::artifact::ArtifactName;
use crate::files;
use crate::settings::source::Fetch;
use crate::topology::Node;

/// Maximum size of an unpacked distribution, a safety limit: they have less than 500 MB packed and
/// about twice that unpacked.
pub(super) const MAX_BYTES: u64 = 6 * 1024 * 1024 * 1024;
/// Maximum number of entries; distributions have some ten thousand.
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
        // The server writes passwords into several files below its home.
        Draft::folder(
            format!("{}: release {} is private", node.words(), node.release),
            &node.home.release,
            0o750,
            files::owner(node),
        )
        .of(node),
    ]
}

/// Returns the source of an archive. The size of a pushed one is set when the file is found.
pub(super) fn source(place: &str, sha256: Sha256, fetch: Fetch, proxy: Option<String>) -> Source {
    match fetch {
        Fetch::Push => Source::Pushed(Content { sha256, size: 0 }),
        Fetch::Pull => Source::Pulled(Pull { url: place.to_owned(), sha256, proxy, max_bytes: MAX_BYTES }),
    }
}

/// Returns the command that sets up a profile, before the release is used. The script is not
/// idempotent: a second run would back up files that it has already replaced. It replaces
/// `deployment.toml`, so it must run before the configuration is written. Its exit status is 0 even
/// for a wrong argument (wso2/product-apim, api-control-plane, `profileSetup.sh`).
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
