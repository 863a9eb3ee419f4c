//! PostgreSQL: logins, schema queries, creation of databases and users, loading a script in one
//! transaction.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{DatabaseError, Kind};
use super::outline::Outline;
use super::script::Load;
use super::server::{Progress, client_name, literal, within};
use super::verdict::{Entry, STATE_TABLE};
use super::{scram, tls};
use apim_product::settings::databases::{Creation, Tls};
use apim_product::work::{Login, Server};
use apim_transport::session::Stream;

/// Timeout of a login or a query.
const ANSWER: Duration = Duration::from_secs(30);
/// Timeout of one statement of a script, and for the lock while another run loads.
const STATEMENT: Duration = Duration::from_secs(600);

/// The database for administrator sessions without a database.
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
    config
        .user(username)
        .password(password)
        .dbname(database.unwrap_or(MAINTENANCE))
        .application_name(client_name());
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
    /// Returns the entries of the state table; empty if it does not exist.
    pub(super) async fn recorded(&mut self) -> Result<Vec<Entry>, DatabaseError> {
        let query = format!("SELECT name, version, script, statements, done, state FROM {STATE_TABLE}");
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

    /// Returns the tables of all non-system schemas, without the state table.
    pub(super) async fn outline(&mut self) -> Result<Outline, DatabaseError> {
        // Not from `information_schema`, which hides tables that the user may not use.
        let query = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";
        let rows = within(ANSWER, self.client.query(query, &[])).await?;
        let mut outline = Outline::default();
        for row in rows {
            let text = |at: usize| row.try_get::<_, String>(at).map_err(|error| read(&error));
            if text(0)? != STATE_TABLE {
                outline.add(&text(0)?, &text(1)?);
            }
        }
        Ok(outline)
    }

    /// Returns whether the user may create tables.
    pub(super) async fn may_create(&mut self) -> Result<bool, DatabaseError> {
        let query = "SELECT COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)";
        let row = within(ANSWER, self.client.query_one(query, &[])).await?;
        row.try_get(0).map_err(|error| read(&error))
    }

    /// Takes the lock for loading into this database; released when the session ends.
    pub(super) async fn lock(&mut self) -> Result<(), DatabaseError> {
        let query = "SELECT pg_advisory_lock(hashtext('apim-deploy')::bigint)";
        within(STATEMENT, self.client.query(query, &[])).await.map(drop)
    }

    /// Runs `script` in one transaction: an interrupted load leaves no changes.
    pub(super) async fn load(
        &mut self,
        load: Load<'_>,
        progress: &Progress<'_>,
    ) -> Result<(), DatabaseError> {
        let Load { key, version, script, from: _ } = load;
        let total = script.statements.len();
        let transaction = within(ANSWER, self.client.transaction()).await?;
        for (at, statement) in script.statements.iter().enumerate() {
            // Transaction statements of the script would end this transaction.
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
            "CREATE TABLE IF NOT EXISTS {STATE_TABLE} (name VARCHAR(32) NOT NULL PRIMARY KEY, version VARCHAR(32) NOT NULL, \
             script CHAR(64) NOT NULL, statements INTEGER NOT NULL, done INTEGER NOT NULL, state VARCHAR(16) NOT NULL, \
             changed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);\n\
             DELETE FROM {STATE_TABLE};\n\
             INSERT INTO {STATE_TABLE} (name, version, script, statements, done, state) VALUES ({}, {}, {}, {total}, {total}, 'loaded')",
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

    /// Creates a user and its database; existing ones are kept.
    pub(super) async fn create(&mut self, login: &Login, creation: &Creation) -> Result<(), DatabaseError> {
        if !self.has_user(&login.username).await? {
            let password = scram::verifier(login.password.expose())
                .map_err(|error| DatabaseError::new(Kind::Other, error.to_string()))?;
            self.run_ignoring_existing(&user_statement(login, &password)).await?;
        }
        if !self.has_database(&login.database).await? {
            self.run_ignoring_existing(&database_statement(login, creation)).await?;
        }
        let (database, user) = (identifier(&login.database), identifier(&login.username));
        self.run_ignoring_existing(&format!("GRANT ALL ON DATABASE {database} TO {user}")).await
    }

    /// Allows a user to create tables in this database; since version 15, only its owner may.
    pub(super) async fn open_schema(&mut self, login: &Login) -> Result<(), DatabaseError> {
        // The server rejects concurrent grants on one schema.
        self.lock().await?;
        let grant = format!("GRANT ALL ON SCHEMA public TO {}", identifier(&login.username));
        within(ANSWER, self.client.batch_execute(&grant)).await
    }

    async fn run_ignoring_existing(&self, statement: &str) -> Result<(), DatabaseError> {
        match within(STATEMENT, self.client.batch_execute(statement)).await {
            // Created by a concurrent run.
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
    // `template1` may contain local additions and supports only its own encoding.
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

/// Error codes: PostgreSQL's manual, appendix A.
fn read(error: &Error) -> DatabaseError {
    let Some(said) = error.as_db_error() else {
        let mut words = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            words = format!("{words}: {cause}");
            next = cause.source();
        }
        // A server without TLS is recognized only by the message.
        let is_tls = tls::is_behind(error) || words.contains("TLS");
        return DatabaseError::new(if is_tls { Kind::TlsFailed } else { Kind::Broken }, words);
    };
    let kind = match said.code().code() {
        "28P01" => Kind::Denied,
        // The message contains the missing line of pg_hba.conf, and whether the connection was
        // encrypted.
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
