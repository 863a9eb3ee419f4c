//! PostgreSQL: logging in, looking, making databases and users, loading a script in one transaction: all of it or nothing.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{DatabaseError, Kind};
use super::judge::{BOOK, Entry};
use super::outline::Outline;
use super::script::Script;
use super::server::{literal, within};
use super::{Progress, scram, tls, who};
use crate::apim::settings::databases::{Creation, Tls};
use crate::plan::model::{Login, Server};
use crate::session::Stream;

/// How long a login, or a question to the server, may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long one statement of a script may take, or another run that loads may be waited for.
const STATEMENT: Duration = Duration::from_secs(600);

/// The database in which an administrator finds himself who names none.
const MAINTENANCE: &str = "postgres";

/// A session of a user.
pub(super) struct Session {
    client: Client,
    carrier: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Logs in through `stream`.
pub(super) async fn connect(
    stream: Box<dyn Stream>,
    server: &Server,
    username: &str,
    password: &str,
    database: Option<&str>,
) -> Result<Session, DatabaseError> {
    let mut config = Config::new();
    config.user(username).password(password).dbname(database.unwrap_or(MAINTENANCE)).application_name(who());
    let (client, carrier) = if server.tls == Tls::Off {
        config.ssl_mode(SslMode::Disable);
        let (client, connection) = within(ANSWER, config.connect_raw(stream, NoTls)).await?;
        (client, tokio::spawn(async move { drop(connection.await) }))
    } else {
        config.ssl_mode(SslMode::Require);
        let mut maker = MakeRustlsConnect::new(tls::config(server)?);
        let connector = <MakeRustlsConnect as MakeTlsConnect<Box<dyn Stream>>>::make_tls_connect(
            &mut maker,
            &server.name,
        )
        .map_err(|error| DatabaseError::new(Kind::TlsFailed, error.to_string()))?;
        let (client, connection) = within(ANSWER, config.connect_raw(stream, connector)).await?;
        (client, tokio::spawn(async move { drop(connection.await) }))
    };
    Ok(Session { client, carrier })
}

impl Session {
    /// Returns what our own table says.
    pub(super) async fn book(&mut self) -> Result<Vec<Entry>, DatabaseError> {
        let query = format!("SELECT name, version, script, statements, done, state FROM {BOOK}");
        let rows = match within(ANSWER, self.client.query(&query, &[])).await {
            Ok(rows) => rows,
            Err(error) if error.kind == Kind::NoTable => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for row in rows {
            let text = |at: usize| row.try_get::<_, String>(at).map_err(|error| read(&error));
            let number = |at: usize| {
                row.try_get::<_, i32>(at)
                    .map(|n| usize::try_from(n).unwrap_or(0))
                    .map_err(|error| read(&error))
            };
            entries.push(Entry {
                key: text(0)?,
                version: text(1)?,
                script: text(2)?,
                statements: number(3)?,
                done: number(4)?,
                is_loaded: text(5)? == "loaded",
            });
        }
        Ok(entries)
    }

    /// Returns the tables in the schemas that the user works in, without our own.
    pub(super) async fn outline(&mut self) -> Result<Outline, DatabaseError> {
        // Not `information_schema`, which hides what the user may not use.
        let query = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";
        let rows = within(ANSWER, self.client.query(query, &[])).await?;
        let mut outline = Outline::default();
        for row in rows {
            let text = |at: usize| row.try_get::<_, String>(at).map_err(|error| read(&error));
            if text(0)? != BOOK {
                outline.add(&text(0)?, &text(1)?);
            }
        }
        Ok(outline)
    }

    /// Says whether the user may make tables.
    pub(super) async fn may_create(&mut self) -> Result<bool, DatabaseError> {
        let query = "SELECT COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)";
        let row = within(ANSWER, self.client.query_one(query, &[])).await?;
        row.try_get(0).map_err(|error| read(&error))
    }

    /// Waits until nobody else loads into this database; let go of when the session ends.
    pub(super) async fn lock(&mut self) -> Result<(), DatabaseError> {
        let query = "SELECT pg_advisory_lock(hashtext('apim-deploy')::bigint)";
        within(STATEMENT, self.client.query(query, &[])).await.map(drop)
    }

    /// Runs `script`; a load that is broken off leaves nothing.
    pub(super) async fn load(
        &mut self,
        key: &str,
        version: &str,
        script: &Script,
        progress: &Progress<'_>,
    ) -> Result<(), DatabaseError> {
        let total = script.statements.len();
        let transaction = within(ANSWER, self.client.transaction()).await?;
        for (at, statement) in script.statements.iter().enumerate() {
            // The script's own transactions would end ours.
            if !matches!(statement.words(1).as_str(), "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK") {
                within(STATEMENT, transaction.batch_execute(&statement.text)).await.map_err(|error| {
                    let words = format!(
                        "{} line {} ({}): {}",
                        script.name,
                        statement.line,
                        statement.words(3),
                        error.words
                    );
                    DatabaseError::new(
                        if error.kind == Kind::Broken { Kind::Broken } else { Kind::Other },
                        words,
                    )
                })?;
            }
            progress("statements", at as u64 + 1, total as u64);
        }
        let note = format!(
            "CREATE TABLE IF NOT EXISTS {BOOK} (name VARCHAR(32) NOT NULL PRIMARY KEY, version VARCHAR(32) NOT NULL, \
             script CHAR(64) NOT NULL, statements INTEGER NOT NULL, done INTEGER NOT NULL, state VARCHAR(16) NOT NULL, \
             changed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);\n\
             DELETE FROM {BOOK};\n\
             INSERT INTO {BOOK} (name, version, script, statements, done, state) VALUES ({}, {}, {}, {total}, {total}, 'loaded')",
            literal(key),
            literal(version),
            literal(&script.digest)
        );
        within(ANSWER, transaction.batch_execute(&note)).await?;
        within(STATEMENT, transaction.commit()).await
    }

    pub(super) async fn has_database(&mut self, name: &str) -> Result<bool, DatabaseError> {
        let rows =
            within(ANSWER, self.client.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]))
                .await?;
        Ok(!rows.is_empty())
    }

    pub(super) async fn has_user(&mut self, name: &str) -> Result<bool, DatabaseError> {
        let query = "SELECT 1 FROM pg_roles WHERE rolname = $1 AND rolcanlogin";
        Ok(!within(ANSWER, self.client.query(query, &[&name])).await?.is_empty())
    }

    /// Makes a user and a database of his; what is there already is left.
    pub(super) async fn make(&mut self, login: &Login, creation: &Creation) -> Result<(), DatabaseError> {
        if !self.has_user(&login.username).await? {
            let password = scram::verifier(login.password.expose())
                .map_err(|error| DatabaseError::new(Kind::Other, error.to_string()))?;
            self.made(&user_statement(login, &password)).await?;
        }
        if !self.has_database(&login.database).await? {
            self.made(&database_statement(login, creation)).await?;
        }
        let (database, user) = (identifier(&login.database), identifier(&login.username));
        self.made(&format!("GRANT ALL ON DATABASE {database} TO {user}")).await
    }

    /// Lets a user make tables in this database, which since version 15 only its owner may.
    pub(super) async fn open_schema(&mut self, login: &Login) -> Result<(), DatabaseError> {
        // The server refuses two grants on one schema at once.
        self.lock().await?;
        let grant = format!("GRANT ALL ON SCHEMA public TO {}", identifier(&login.username));
        within(ANSWER, self.client.batch_execute(&grant)).await
    }

    async fn made(&self, statement: &str) -> Result<(), DatabaseError> {
        match within(STATEMENT, self.client.batch_execute(statement)).await {
            // Another run was faster.
            Err(error) if error.kind == Kind::AlreadySo => Ok(()),
            other => other,
        }
    }
}

pub(super) fn user_statement(login: &Login, password: &str) -> String {
    format!("CREATE ROLE {} LOGIN PASSWORD {}", identifier(&login.username), literal(password))
}

pub(super) fn database_statement(login: &Login, creation: &Creation) -> String {
    let collation = creation
        .collation
        .as_ref()
        .map_or_else(String::new, |name| format!(" LC_COLLATE {name} LC_CTYPE {name}", name = literal(name)));
    // The other template may hold what somebody put there, and fits only its own encoding.
    format!(
        "CREATE DATABASE {} OWNER {} ENCODING {} TEMPLATE template0{collation}",
        identifier(&login.database),
        identifier(&login.username),
        literal(&creation.charset)
    )
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        read(&error)
    }
}

/// Codes of errors: PostgreSQL's manual, appendix A.
fn read(error: &Error) -> DatabaseError {
    let Some(said) = error.as_db_error() else {
        let mut words = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            words = format!("{words}: {cause}");
            next = cause.source();
        }
        // A server that takes no encryption is told in words only.
        let is_tls = tls::is_behind(error) || words.contains("TLS");
        return DatabaseError::new(if is_tls { Kind::TlsFailed } else { Kind::Broken }, words);
    };
    let kind = match said.code().code() {
        "28P01" => Kind::Denied,
        // The server names the line of pg_hba.conf that it lacks, and whether the connection was encrypted.
        "28000" if said.message().contains("no encryption") => Kind::TlsNeeded,
        "28000" if said.message().contains("pg_hba.conf") => Kind::HostRefused,
        "28000" => Kind::Denied,
        "3D000" => Kind::NoDatabase,
        "42501" => Kind::NotGranted,
        "42P01" => Kind::NoTable,
        "42P04" | "42P07" | "42710" | "23505" => Kind::AlreadySo,
        "57P01" | "57P02" | "57P03" => Kind::Broken,
        _ => Kind::Other,
    };
    DatabaseError::new(kind, format!("{} ({})", said.message(), said.code().code()))
}
