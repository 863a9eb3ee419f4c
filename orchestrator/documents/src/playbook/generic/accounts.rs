//! `group`, `user`.

use apim_protocol::operation::Operation;
use apim_protocol::operation::account::Account;
use apim_protocol::operation::group::Group;

use super::options::Options;
use super::site::Site;
use apim_product::Draft;

const NUMBERS: std::ops::RangeInclusive<u64> = 0..=0xffff_fffe;

pub(super) fn group(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    options.choice("state", &["present"]);
    let name = options.require(&["name"]);
    let gid = options.number("gid", NUMBERS).and_then(|gid| u32::try_from(gid).ok());
    Some(vec![Draft::new(site.title, Operation::Group(Group { name: name?, gid }))])
}

pub(super) fn user(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    options.choice("state", &["present"]);
    options.only("create_home", true);
    let name = options.require(&["name"]);
    let account = Account {
        name: name?,
        uid: options.number("uid", NUMBERS).and_then(|uid| u32::try_from(uid).ok()),
        group: options.text(&["group"]),
        home: options.optional_path("home"),
        shell: options.optional_path("shell"),
        system: options.flag("system", false),
    };
    Some(vec![Draft::new(site.title, Operation::Account(account))])
}
