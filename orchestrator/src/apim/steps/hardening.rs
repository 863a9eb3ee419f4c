//! `apim_hardening`: the kernel's settings and the account's limits, as files of our own beside those of the distribution.

use apim_protocol::operation::Operation;
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::sysctl::Sysctl;
use apim_protocol::value::{AbsPath, Owner};

use super::Draft;
use crate::apim::cluster::Cluster;
use crate::apim::files::PlacedFile;
use crate::apim::hardening;
use crate::apim::topology::Node;

pub(super) fn lower(cluster: &Cluster, node: &Node) -> Vec<Draft> {
    let is_mentioned = node.settings.hardening.span.is_some();
    let mut drafts = Vec::new();
    match hardening::sysctl_file(cluster, &node.host) {
        Some(file) => {
            drafts.extend(placed("kernel settings kept over boots", file));
            let values = hardening::sysctl(cluster, &node.host);
            drafts.push(Draft::new("kernel settings in effect", Operation::Sysctl(Sysctl { values })));
        }
        None if is_mentioned => {
            drafts.extend(gone("no kernel settings of ours at boot", hardening::SYSCTL_FILE))
        }
        None => {}
    }
    match hardening::limits_file(node) {
        Some(file) => drafts.extend(placed("limits of the service account", file)),
        None if is_mentioned => drafts.extend(gone("no limits of ours", hardening::LIMITS_FILE)),
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

/// What was switched off is taken away again; a file that is not there is no difference.
fn gone(title: &str, path: &str) -> Option<Draft> {
    let path = AbsPath::parse(path).ok()?;
    Some(Draft::new(title, Operation::Absent(Absent { path, recursive: false })))
}
