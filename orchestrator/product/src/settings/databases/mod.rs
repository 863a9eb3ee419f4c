//! `apim.databases`: the server, its driver, and the two databases shared by the cluster.

use std::collections::BTreeMap;

use apim_protocol::value::Secret;

use super::read::{Section, Spanned, refuse_placeholder, text_of};
use super::source::NamedFile;
use crate::yaml::{Kind, Node, Span};

mod create;
mod kind;
mod pool;
mod tls;
mod url;

pub use create::{Admin, Creation};
pub use kind::DatabaseType;
pub use pool::{Pool, PoolValue};
pub use tls::Tls;

/// The name of the embedded database, which is a file on each node.
const EMBEDDED: &str = "h2";

/// One database.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// The database name; for Oracle the SID or service name.
    pub name: String,
    /// The user name that nodes log in with.
    pub username: String,
    /// The password of the user.
    pub password: Secret,
    /// The full JDBC URL, if it is set.
    pub url: Option<String>,
    /// Options of the connection pool.
    pub pool: Pool,
}

/// `apim.databases.driver`.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// The jar file.
    pub file: NamedFile,
    /// The driver class, if it differs from the type's default.
    pub class: Option<String>,
}

/// `apim.databases`.
#[derive(Debug, Clone, PartialEq)]
pub struct Databases {
    /// The type of the server.
    pub kind: DatabaseType,
    /// The server's name or address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The JDBC driver; `None` if the distribution already contains it.
    pub driver: Option<Driver>,
    /// APIs, applications, subscriptions.
    pub apim_db: Database,
    /// Users, permissions, registry.
    pub shared_db: Database,
    /// Options added to the JDBC URL.
    pub options: BTreeMap<String, String>,
    /// The statement that validates a pooled connection, if it differs from the type's default.
    pub validation_query: Option<String>,
    /// Oracle: whether the names are service names instead of SIDs.
    pub oracle_service: bool,
    /// Whether connections from apim-deploy are encrypted.
    pub tls: Tls,
    /// A PEM file on the control machine with trusted authorities; `None`: the public ones.
    pub tls_ca: Option<Spanned<String>>,
    /// How databases are created; `None`: they are not.
    pub create: Option<Creation>,
    /// Whether a login is tested from every host.
    pub login_check: bool,
    /// The location of the section.
    pub span: Span,
}

/// Returns whether the section selects the embedded database.
pub(super) fn is_embedded(section: &Node) -> bool {
    section.get("type").and_then(Node::as_text).is_some_and(|kind| kind == EMBEDDED)
}

impl Databases {
    /// Reads the section; returns `None` on errors, and for `type: h2`, the embedded database.
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let span = section.span().clone();
        if section.is("type", EMBEDDED) {
            section.take("type");
            section.finish();
            return None;
        }
        let kind = section.word("type", &DatabaseType::WORDS);
        if kind.is_none() {
            section.missing("type", "mysql, mariadb, postgresql, mssql, oracle, db2 or h2");
        }
        let host = section.host("host");
        if host.is_none() {
            section.missing("host", "the database server's name or address");
        }
        let port = section.port("port");
        let driver = section.section("driver").and_then(|mut driver| {
            let file = NamedFile::read(&mut driver, "a URL or path of the driver's jar");
            let class = driver.text("class").map(|text| text.value);
            if let Some(file) = file.as_ref().filter(|file| !file.file_name().ends_with(".jar")) {
                let what =
                    format!("`apim.databases.driver.source`: `{}` is not a jar file", file.file_name());
                driver.mistakes.add(&file.source.span, what);
            }
            driver.finish();
            file.map(|file| Driver { file, class })
        });
        let pool = pool::read(&mut section);
        let apim_db = database(&mut section, "apim_db", "apimadmin", &pool);
        let shared_db = database(&mut section, "shared_db", "sharedadmin", &pool);
        let options = options(&mut section);
        let oracle_service = oracle_service(&mut section, kind, &options);
        let validation_query = section.text("validation_query").map(|text| text.value);
        let (tls, options) = tls_of(&mut section, kind, options);
        let tls_ca = section.text("tls_ca");
        let create = create::read(&mut section, kind);
        let login_check = section.flag("login_check", create.is_some());
        if let (Some(apim), Some(shared)) = (&apim_db, &shared_db) {
            if apim.name == shared.name {
                let what = format!("`apim_db` and `shared_db` both use the database `{}`", apim.name);
                section.mistakes.add_hint(
                    &span,
                    what,
                    "their schemas differ: use a separate database for each",
                );
            }
            if apim.username == shared.username && apim.password != shared.password {
                let what = format!(
                    "the user `{}` has different passwords for `apim_db` and `shared_db`",
                    apim.username
                );
                section.mistakes.add_hint(&span, what, "set the same password, or use two users");
            }
        }
        section.finish();
        let kind = kind?;
        Some(Self {
            kind,
            host: host?.value,
            port: port.unwrap_or_else(|| kind.default_port()),
            driver,
            apim_db: apim_db?,
            shared_db: shared_db?,
            options,
            validation_query,
            oracle_service,
            tls,
            tls_ca,
            create,
            login_check,
            span,
        })
    }

    /// Returns the driver class to write, if any.
    #[must_use]
    pub fn driver_class(&self) -> Option<&str> {
        self.driver.as_ref().and_then(|driver| driver.class.as_deref()).or(self.kind.driver_class())
    }
}

fn database(section: &mut Section<'_, '_>, key: &'static str, user: &str, base: &Pool) -> Option<Database> {
    let Some(mut part) = section.section(key) else {
        section.missing(key, "its name, username and password");
        return None;
    };
    let name = part.text("name").map_or_else(|| key.to_owned(), |text| text.value);
    let username = part.text("username").map_or_else(|| user.to_owned(), |text| text.value);
    let password = part.secret("password");
    match &password {
        None => part.missing("password", "a text, preferably `!vault`, `!env` or `!file`"),
        Some(password) => refuse_placeholder(password, &part.path("password"), part.mistakes),
    }
    let span = part.span().clone();
    for (word, value) in [("name", &name), ("username", &username)] {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.$#@".contains(c);
        if value.is_empty() || !value.chars().all(fits) {
            let what = format!(
                "`{}`: `{value}` contains characters that are not supported in a JDBC URL",
                part.path(word)
            );
            part.mistakes.add(&span, what);
        }
    }
    let url = part.text("url").map(|text| {
        if !text.value.starts_with("jdbc:") || text.value.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            let what = format!("`{}` is not a valid JDBC URL", part.path("url"));
            part.mistakes.add_hint(
                &text.span,
                what,
                "it must start with `jdbc:` and contain no blanks; write `&` unescaped",
            );
        }
        if text.value.to_ascii_lowercase().contains("password=") {
            let what = format!("`{}` contains a password", part.path("url"));
            part.mistakes.add_hint(&text.span, what, "the URL is displayed: move the password to `password`");
        }
        text.value
    });
    let pool = pool::merged(base, pool::read(&mut part));
    part.finish();
    Some(Database { name, username, password: password?.value, url, pool })
}

/// Oracle databases are identified by SID or by service name; only URLs with a service name take
/// options.
fn oracle_service(
    section: &mut Section<'_, '_>,
    kind: Option<DatabaseType>,
    options: &BTreeMap<String, String>,
) -> bool {
    let place = section.place("oracle");
    let words = [("sid", false), ("service", true)];
    let said = section.word("oracle", &words);
    if let (
        Some(place),
        Some(
            DatabaseType::Mysql
            | DatabaseType::Mariadb
            | DatabaseType::Postgresql
            | DatabaseType::Mssql
            | DatabaseType::Db2,
        ),
    ) = (&place, kind)
    {
        section.mistakes.add(place, "`apim.databases.oracle` requires `type: oracle`");
    }
    if kind == Some(DatabaseType::Oracle) && said == Some(false) && !options.is_empty() {
        let span = section.span().clone();
        let hint = "use `oracle: service` with the service name, or set `url:` for each database";
        section.mistakes.add_hint(&span, "a URL with an Oracle SID takes no `options`", hint);
    }
    said.unwrap_or(kind == Some(DatabaseType::Oracle) && !options.is_empty())
}

/// `tls` applies to connections of apim-deploy and of the nodes' drivers; for a driver, the user's
/// `options` take precedence.
fn tls_of(
    section: &mut Section<'_, '_>,
    kind: Option<DatabaseType>,
    mut options: BTreeMap<String, String>,
) -> (Tls, BTreeMap<String, String>) {
    let place = section.place("tls");
    let said = section.word("tls", &Tls::WORDS);
    let Some(kind) = kind else { return (said.unwrap_or_default(), options) };
    let written = Tls::said_by(kind, options.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let Some(tls) = said else { return (written, options) };
    match tls.options(kind) {
        Some(more) => {
            for (key, value) in more {
                if !options.keys().any(|known| known.eq_ignore_ascii_case(key)) {
                    options.insert((*key).to_owned(), (*value).to_owned());
                }
            }
        }
        None => {
            if let Some(place) = place {
                let what = format!(
                    "`apim.databases.tls`: not supported for {kind}, which requires it in the full URL"
                );
                section.mistakes.add_hint(
                    &place,
                    what,
                    "set `url: jdbc:oracle:thin:@tcps://…` for each database",
                );
            }
        }
    }
    (tls, options)
}

fn options(section: &mut Section<'_, '_>) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    let Some(node) = section.take("options") else { return options };
    let Kind::Map(entries) = &node.kind else {
        section
            .mistakes
            .add(&node.span, format!("`apim.databases.options` must be a map, not {}", node.describe()));
        return options;
    };
    for (key, value) in entries {
        let text = match &value.kind {
            Kind::Bool(b) => Some(b.to_string()),
            _ => text_of(value, &format!("apim.databases.options.{}", key.text), section.mistakes)
                .map(|t| t.value),
        };
        let fits = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/,+@".contains(c));
        match text {
            Some(text) if fits(&key.text) && fits(&text) => {
                options.insert(key.text.clone(), text);
            }
            Some(_) => section.mistakes.add_hint(
                &value.span,
                format!(
                    "`apim.databases.options.{}` contains characters with a special meaning in a URL",
                    key.text
                ),
                "write one option per key, without `&`, `;`, `?` and quotes",
            ),
            None => {}
        }
    }
    options
}
