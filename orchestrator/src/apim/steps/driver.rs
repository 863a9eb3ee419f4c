//! `apim_driver`: the JDBC driver's jar, which the product does not ship.

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::Pull;
use apim_protocol::operation::download::Download;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::value::{Content, FileMode};

use super::Draft;
use crate::apim::artifact::ArtifactName;
use crate::apim::files;
use crate::apim::settings::source::Fetch;
use crate::apim::topology::Node;

/// A driver is a few megabytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

pub(super) fn lower(node: &Node) -> Vec<Draft> {
    let driver = node.settings.databases.as_ref().and_then(|databases| databases.driver.as_ref());
    let Some(file) = driver.map(|driver| &driver.file) else { return Vec::new() };
    let name = file.file_name();
    let Ok(path) = node.home.drivers.join(name) else { return Vec::new() };
    let title = format!("{}: JDBC driver {name}", node.words());
    let (mode, owner) = (Some(FileMode::new(0o644)), files::owner(node));
    let draft = match file.fetch {
        Fetch::Push => {
            let content = Content { sha256: file.sha256, size: 0 };
            let mut draft =
                Draft::new(title, Operation::File(File { path, content, mode, owner, show: Show::Nothing }));
            draft.files.push((file.sha256, ArtifactName(name.to_owned())));
            draft
        }
        Fetch::Pull => {
            let proxy = node.settings.distributions.proxy.clone();
            let pull =
                Pull { url: file.source.value.clone(), sha256: file.sha256, proxy, max_bytes: MAX_BYTES };
            Draft::new(title, Operation::Download(Download { pull, path, mode, owner }))
        }
    };
    vec![draft.of(node)]
}
