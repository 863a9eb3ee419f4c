//! `apim.user`, `apim.group`, `apim.uid`, `apim.gid`: the service account.

use super::read::Section;

/// The service account.
pub(super) struct Account {
    pub user: String,
    pub group: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Account {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let mut name = |key: &'static str, default: &str| match section.text(key) {
            None => default.to_owned(),
            Some(text) => {
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
                let first = text.value.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
                if !first || text.value.len() > 32 || !text.value.chars().all(fits) {
                    let what = format!("`apim.{key}`: invalid account name `{}`", text.value);
                    section.mistakes.add_hint(
                        &text.span,
                        what,
                        "lower-case letters, digits, `_` and `-`, at most 32",
                    );
                }
                text.value
            }
        };
        let user = name("user", "wso2carbon");
        let group = name("group", "wso2");
        let mut number = |key| section.number(key, 1..=60000).and_then(|n| u32::try_from(n).ok());
        Self { user, group, uid: number("uid"), gid: number("gid") }
    }
}
