//! `apim_account`: the service account, without a login.

use apim_protocol::operation::Operation;
use apim_protocol::operation::account::Account;
use apim_protocol::operation::group::Group;
use apim_protocol::value::AbsPath;

use super::Draft;
use crate::apim::topology::Node;

pub(super) fn lower(node: &Node) -> Vec<Draft> {
    let settings = &node.settings;
    let group = Group { name: settings.group.clone(), gid: settings.gid };
    let account = Account {
        name: settings.user.clone(),
        uid: settings.uid,
        group: Some(settings.group.clone()),
        home: None,
        shell: AbsPath::parse("/usr/sbin/nologin").ok(),
        system: true,
    };
    vec![
        Draft::new(format!("group {}", settings.group), Operation::Group(group)),
        Draft::new(format!("account {}", settings.user), Operation::Account(account)),
    ]
}
