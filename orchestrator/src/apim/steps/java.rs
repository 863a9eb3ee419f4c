//! `apim_java`: the JDK is where the unit will look for it, and of a version that the start script accepts.

use apim_protocol::operation::Operation;
use apim_protocol::operation::archive::{Archive, Format};
use apim_protocol::operation::wait::{Condition, Wait};
use apim_protocol::value::Owner;

use super::{Draft, distribution};
use crate::apim::artifact::ArtifactName;
use crate::apim::jdk;
use crate::apim::settings::source::{Fetch, Java};
use crate::apim::topology::Node;

/// Lowers the task for the nodes of one host, which share their settings.
pub(super) fn lower(nodes: &[&Node]) -> Vec<Draft> {
    let Some(node) = nodes.first() else { return Vec::new() };
    let mut drafts = match &node.settings.java {
        None | Some(Java::Home(_)) => Vec::new(),
        Some(Java::Archive(file)) => {
            let name = file.file_name();
            let archive = Archive {
                source: distribution::source(
                    &file.source.value,
                    file.sha256,
                    file.fetch,
                    node.settings.distributions.proxy.clone(),
                ),
                format: if name.ends_with(".zip") { Format::Zip } else { Format::TarGz },
                destination: node.java_home.clone(),
                strip_top: true,
                owner: Owner::default(),
                prepare: Vec::new(),
                max_bytes: distribution::MAX_BYTES,
                max_entries: distribution::MAX_ENTRIES,
            };
            let mut draft = Draft::new(format!("JDK {name}"), Operation::Archive(archive));
            if file.fetch == Fetch::Push {
                draft.files.push((file.sha256, ArtifactName(name.to_owned())));
            }
            let parent = node.java_home.parent();
            vec![Draft::folder(format!("folder {parent}"), &parent, 0o755, Owner::default()), draft]
        }
    };
    drafts.extend(version(node));
    drafts
}

/// The start script only tells the console that a JDK is not supported, goes on, and the server fails later in ways that do not name it.
fn version(node: &Node) -> Option<Draft> {
    let (lowest, highest) = node.version.series().java();
    let home = &node.java_home;
    let wait = Wait {
        awaited: format!(
            "a JDK {lowest} to {highest} for API Manager {} at {home} ({})",
            node.version,
            jdk::setting(node)
        ),
        conditions: vec![Condition::Version { of: jdk::version_of(home)?, lowest, highest }],
        deadline_secs: 0,
        service: None,
        settle_secs: 0,
        remedy: None,
    };
    Some(Draft::new(format!("JDK at {home} is {lowest} to {highest}"), Operation::Wait(Box::new(wait))))
}
