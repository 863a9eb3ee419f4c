//! `apim.databases`: the server, its driver, and the two databases that the cluster shares.

use std::collections::BTreeMap;

use apim_agent::value::Secret;

use super::read::{Section, text_of};
use super::source::NamedFile;
use crate::yaml::{Kind, Span};

/// A kind of database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseType {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgresql,
    /// Microsoft SQL Server.
    Mssql,
    /// Oracle.
    Oracle,
    /// DB2.
    Db2,
}

impl DatabaseType {
    /// The words for it in an inventory.
    const WORDS: [(&'static str, Self); 8] = [
        ("mysql", Self::Mysql),
        ("mariadb", Self::Mariadb),
        ("postgresql", Self::Postgresql),
        ("postgres", Self::Postgresql),
        ("postgre", Self::Postgresql),
        ("mssql", Self::Mssql),
        ("oracle", Self::Oracle),
        ("db2", Self::Db2),
    ];

    /// Returns the product's own word; any other spelling makes it fall back to defaults without a word
    /// (carbon-kernel `infer.json`; note `postgre`).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgresql => "postgre",
            Self::Mssql => "mssql",
            Self::Oracle => "oracle",
            Self::Db2 => "db2",
        }
    }

    /// Returns the port that such a server listens on as a rule.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgresql => 5432,
            Self::Mssql => 1433,
            Self::Oracle => 1521,
            Self::Db2 => 50000,
        }
    }

    /// Returns the driver class that is written into the configuration, where the product's inferred one is outdated or better said aloud:
    /// for MySQL it infers `com.mysql.jdbc.Driver`, which Connector/J 8 keeps only as a deprecated alias (helm-apim sets this one too).
    #[must_use]
    pub const fn driver_class(self) -> Option<&'static str> {
        match self {
            Self::Mysql => Some("com.mysql.cj.jdbc.Driver"),
            Self::Mariadb => Some("org.mariadb.jdbc.Driver"),
            Self::Postgresql | Self::Mssql | Self::Oracle | Self::Db2 => None,
        }
    }
}

/// One database.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Its name (for Oracle the SID).
    pub name: String,
    /// Who logs in.
    pub username: String,
    /// With which password.
    pub password: Secret,
}

/// `apim.databases.driver`.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// The jar.
    pub file: NamedFile,
    /// The class, where it is another than the type's usual one.
    pub class: Option<String>,
}

/// `apim.databases`.
#[derive(Debug, Clone, PartialEq)]
pub struct Databases {
    /// What kind of server.
    pub kind: DatabaseType,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The JDBC driver; `None` when the operator puts it into the distribution.
    pub driver: Option<Driver>,
    /// APIs, applications, subscriptions.
    pub apim_db: Database,
    /// Users, permissions, registry.
    pub shared_db: Database,
    /// Options added to the JDBC URL.
    pub options: BTreeMap<String, String>,
    /// Where the settings stand.
    pub span: Span,
}

impl Databases {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let span = section.span().clone();
        let kind = section.word("type", &DatabaseType::WORDS);
        if kind.is_none() {
            section.missing("type", "mysql, mariadb, postgresql, mssql, oracle or db2");
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
                let what = format!("`apim.databases.driver.source`: `{}` is no jar", file.file_name());
                driver.mistakes.add(&file.source.span, what);
            }
            driver.finish();
            file.map(|file| Driver { file, class })
        });
        let apim_db = database(&mut section, "apim_db", "apimadmin");
        let shared_db = database(&mut section, "shared_db", "sharedadmin");
        let options = options(&mut section, kind);
        if let (Some(apim), Some(shared)) = (&apim_db, &shared_db)
            && apim.name == shared.name
        {
            let what = format!("`apim_db` and `shared_db` are both the database `{}`", apim.name);
            section.mistakes.add_hint(&span, what, "they hold different schemas: give each its own");
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
            span,
        })
    }

    /// Returns the driver class to write, if any.
    #[must_use]
    pub fn driver_class(&self) -> Option<&str> {
        self.driver.as_ref().and_then(|driver| driver.class.as_deref()).or(self.kind.driver_class())
    }

    /// Returns the JDBC URL of `database`, XML-escaped, where options make one necessary (else the product builds it from host, port and name).
    #[must_use]
    pub fn url(&self, database: &Database) -> Option<String> {
        if self.options.is_empty() {
            return None;
        }
        let pairs = |join: &str| {
            self.options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(join)
        };
        let (host, port, name) = (&self.host, self.port, &database.name);
        Some(match self.kind {
            DatabaseType::Mysql => format!("jdbc:mysql://{host}:{port}/{name}?{}", pairs("&amp;")),
            DatabaseType::Mariadb => format!("jdbc:mariadb://{host}:{port}/{name}?{}", pairs("&amp;")),
            DatabaseType::Postgresql => format!("jdbc:postgresql://{host}:{port}/{name}?{}", pairs("&amp;")),
            DatabaseType::Mssql => {
                format!("jdbc:sqlserver://{host}:{port};databaseName={name};{}", pairs(";"))
            }
            DatabaseType::Oracle => format!("jdbc:oracle:thin:@{host}:{port}/{name}?{}", pairs("&amp;")),
            DatabaseType::Db2 => format!("jdbc:db2://{host}:{port}/{name}:{};", pairs(";")),
        })
    }
}

fn database(section: &mut Section<'_, '_>, key: &'static str, user: &str) -> Option<Database> {
    let Some(mut part) = section.section(key) else {
        section.missing(key, "its name, username and password");
        return None;
    };
    let name = part.text("name").map_or_else(|| key.to_owned(), |text| text.value);
    let username = part.text("username").map_or_else(|| user.to_owned(), |text| text.value);
    let password = part.secret("password");
    match &password {
        None => part.missing("password", "a text, or better `!vault`, `!env` or `!file`"),
        Some(password) => super::refuse_placeholder(password, &part.path("password"), part.mistakes),
    }
    let span = part.span().clone();
    for (word, value) in [("name", &name), ("username", &username)] {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-.$#@".contains(c);
        if value.is_empty() || !value.chars().all(fits) {
            let what = format!(
                "`{}`: `{value}` holds characters that we do not paste into a JDBC URL",
                part.path(word)
            );
            part.mistakes.add(&span, what);
        }
    }
    part.finish();
    Some(Database { name, username, password: password?.value })
}

fn options(section: &mut Section<'_, '_>, kind: Option<DatabaseType>) -> BTreeMap<String, String> {
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
                    "`apim.databases.options.{}` holds characters that have a meaning in a URL",
                    key.text
                ),
                "write one option per key, without `&`, `;`, `?` and quotes",
            ),
            None => {}
        }
    }
    // The product's own URL has it; one of ours must not lose it (documentation, "changing to MSSQL").
    if kind == Some(DatabaseType::Mssql) && !options.is_empty() {
        options.entry("SendStringParametersAsUnicode".to_owned()).or_insert_with(|| "false".to_owned());
    }
    options
}
