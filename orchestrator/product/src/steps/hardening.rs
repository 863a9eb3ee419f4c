//! `apim_hardening`: kernel settings and account limits, in separate files next to those of the
//! operating system.

use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::sysctl::Sysctl;
use apim_protocol::value::{AbsPath, Owner};

use super::Draft;
use crate::cluster::Cluster;
use crate::files::PlacedFile;
use crate::hardening;
use crate::topology::Node;

pub(super) fn lower(cluster: &Cluster, node: &Node) -> Vec<Draft> {
    let is_mentioned = node.settings.hardening.span.is_some();
    let mut drafts = Vec::new();
    match hardening::sysctl_file(cluster, &node.host) {
        Some(file) => {
            drafts.extend(placed("persistent kernel settings", file));
            let values = hardening::sysctl(cluster, &node.host);
            drafts.push(Draft::new("kernel settings in effect", Operation::Sysctl(Sysctl { values })));
        }
        None if is_mentioned => drafts.extend(gone("remove kernel settings", hardening::SYSCTL_FILE)),
        None => {}
    }
    match hardening::limits_file(node) {
        Some(file) => drafts.extend(placed("limits of the service account", file)),
        None if is_mentioned => drafts.extend(gone("remove account limits", hardening::LIMITS_FILE)),
        None => {}
    }
    drafts
}

fn placed(title: &str, file: PlacedFile) -> [Draft; 2] {
    let parent = file.path.parent();
    let folder = Directory { path: parent.clone(), mode: None, owner: Owner::default() };
    [
        Draft::new(format!("folder {parent}"), Operation::Directory(folder)),
        Draft::file(format!("{title}: {}", file.path.name()), file),
    ]
}

/// Removes the file of a disabled setting; a missing file is not a change.
fn gone(title: &str, path: &str) -> Option<Draft> {
    let path = AbsPath::parse(path).ok()?;
    Some(Draft::new(title, Operation::Absent(Absent { path, recursive: false })))
}
