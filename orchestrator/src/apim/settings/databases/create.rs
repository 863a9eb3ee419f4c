//! `apim.databases.create` and what goes with it: who makes the databases, for whom, in which characters.

use apim_protocol::value::Secret;

use super::kind::DatabaseType;
use crate::apim::settings::read::Section;

/// How databases are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// Who makes databases and users; `None`: they are there, and only the schema is loaded, by each database's own user.
    pub admin: Option<Admin>,
    /// The character set of a new database.
    pub charset: String,
    /// Its collation; `None`: the server's for that set.
    pub collation: Option<String>,
    /// MySQL, MariaDB: from where the users may log in (`%`: from anywhere).
    pub user_hosts: Vec<String>,
}

/// Who may make databases and users.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Reads the four keys; `None` when nothing is to be made.
pub(super) fn read(section: &mut Section<'_, '_>, kind: Option<DatabaseType>) -> Option<Creation> {
    let wanted = section.flag("create", false);
    let kind = kind.unwrap_or(DatabaseType::Mysql);
    let admin = section.section("admin").and_then(|mut part| {
        let username =
            part.text("username").map_or_else(|| kind.administrator().to_owned(), |text| text.value);
        let password = part.secret("password");
        if password.is_none() {
            part.missing("password", "a text, or better `!vault`, `!env` or `!file`");
        }
        part.finish();
        Some(Admin { username, password: password?.value })
    });
    let charset = word(section, "charset");
    let collation = word(section, "collation");
    let user_hosts = user_hosts(section, kind);
    if !wanted {
        return None;
    }
    // Keys of several long columns do not fit an index in a wider set: "key too long" (documentation, "changing to MySQL"), and
    // resource paths must be told apart by case.
    let latin = charset.is_none() && collation.is_none();
    let (charset, collation) = match kind {
        DatabaseType::Postgresql => (charset.unwrap_or_else(|| "UTF8".to_owned()), collation),
        _ if latin => ("latin1".to_owned(), Some("latin1_bin".to_owned())),
        _ => (charset.unwrap_or_else(|| "latin1".to_owned()), collation),
    };
    Some(Creation { admin, charset, collation, user_hosts })
}

/// A name of a character set or collation: it is pasted into a statement.
fn word(section: &mut Section<'_, '_>, key: &'static str) -> Option<String> {
    let text = section.text(key)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    if text.value.is_empty() || text.value.len() > 64 || !text.value.chars().all(fits) {
        let what = format!("`{}`: `{}` is no name of one", section.path(key), text.value);
        section.mistakes.add_hint(
            &text.span,
            what,
            "such as `latin1`, `utf8mb4`, `UTF8`; `latin1_bin`, `en_US.UTF-8`",
        );
        return None;
    }
    Some(text.value)
}

fn user_hosts(section: &mut Section<'_, '_>, kind: DatabaseType) -> Vec<String> {
    let span = section.place("user_hosts");
    let hosts = section.texts("user_hosts");
    let Some((hosts, span)) = hosts.zip(span) else { return vec!["%".to_owned()] };
    if kind == DatabaseType::Postgresql {
        section.mistakes.add_hint(
            &span,
            format!("`{}` means nothing to PostgreSQL", section.path("user_hosts")),
            "who may log in from where is said in the server's `pg_hba.conf`",
        );
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "%_.-:/".contains(c);
    for host in hosts.iter().filter(|host| host.is_empty() || host.len() > 255 || !host.chars().all(fits)) {
        let what = format!("`{}`: `{host}` is no host pattern of MySQL", section.path("user_hosts"));
        section.mistakes.add_hint(
            &span,
            what,
            "such as `%`, `10.0.0.%`, `10.0.0.0/255.255.255.0`, `cp1.example.com`",
        );
    }
    if hosts.is_empty() {
        section.mistakes.add(&span, format!("`{}` lets nobody log in", section.path("user_hosts")));
    }
    hosts
}
