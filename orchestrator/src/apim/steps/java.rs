//! `apim_java`: the JDK is where the unit will look for it.

use apim_agent::operation::Operation;
use apim_agent::operation::archive::{Archive, Format};
use apim_agent::operation::wait::{Condition, Wait};
use apim_agent::value::Owner;

use super::{Draft, distribution};
use crate::apim::artifact::ArtifactName;
use crate::apim::settings::source::{Fetch, Java};
use crate::apim::topology::Node;

pub(super) fn lower(node: &Node) -> Vec<Draft> {
    match &node.settings.java {
        None => Vec::new(),
        Some(Java::Home(home)) => {
            // The start script checks only that this file can be run, and only tells the console.
            let Ok(program) = home.join("bin/java") else { return Vec::new() };
            let wait = Wait {
                awaited: format!("a JDK at {home} (apim.java.home)"),
                conditions: vec![Condition::Exists(program)],
                deadline_secs: 1,
                service: None,
                settle_secs: 0,
                remedy: None,
            };
            vec![Draft::new(format!("JDK at {home}"), Operation::Wait(Box::new(wait)))]
        }
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
    }
}
