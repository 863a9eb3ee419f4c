//! MySQL and MariaDB: logins, schema queries, creation of databases and users, loading a script
//! statement by statement.
//!
//! DDL statements cannot be rolled back: each commits immediately. The state table therefore counts
//! the statements that were run. An interrupted load resumes at the first uncounted statement,
//! which may have been run already and may then fail because its object exists.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, IoError, OptsBuilder, SslOpts};

use super::error::{DatabaseError, Kind};
use super::forward::{Forward, forward};
use super::outline::Outline;
use super::script::{Load, Script};
use super::server::{Progress, client_name, literal, within};
use super::split::Statement;
use super::tls;
use super::verdict::{Entry, STATE_TABLE};
use apim_product::settings::databases::{Creation, Tls};
use apim_product::work::{Login, Server};
use apim_transport::session::Stream;

/// Timeout of a login or a query.
const ANSWER: Duration = Duration::from_secs(30);
/// Timeout of one statement of a script.
const STATEMENT: Duration = Duration::from_secs(600);
/// Timeout for the lock while another run loads, in seconds.
const LOCK_SECS: u64 = 600;

/// A session of a user.
pub(super) struct Session {
    conn: Conn,
    _forward: Forward,
}

/// Logs in through `stream`.
pub(super) async fn connect(
    stream: Box<dyn Stream>,
    server: &Server,
    username: &str,
    password: &str,
    database: Option<&str>,
) -> Result<Session, DatabaseError> {
    let forward =
        forward(stream).await.map_err(|error| DatabaseError::new(Kind::Broken, error.to_string()))?;
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(forward.port)
        .user(Some(username))
        .pass(Some(password))
        .db_name(database)
        // The server's socket file is not on this machine.
        .prefer_socket(false)
        .connect_attribute("program_name", client_name())
        .ssl_opts(encryption(server)?);
    let conn = within(ANSWER, Conn::new(options)).await?;
    Ok(Session { conn, _forward: forward })
}

fn encryption(server: &Server) -> Result<Option<SslOpts>, DatabaseError> {
    if server.tls == Tls::Off {
        return Ok(None);
    }
    tls::use_a_provider();
    let options = SslOpts::default().with_danger_tls_hostname_override(Some(server.name.clone()));
    Ok(Some(match (server.tls, tls::authorities(server)?) {
        (Tls::Verified, Some(pem)) => {
            options.with_root_certs(vec![pem.into()]).with_disable_built_in_roots(true)
        }
        (Tls::Verified, None) => options,
        _ => options.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true),
    }))
}

impl Session {
    pub(super) async fn goodbye(self) {
        // Without the message, the server detects the closed connection.
        drop(tokio::time::timeout(Duration::from_secs(1), self.conn.disconnect()).await);
    }

    /// Returns the entries of the state table; empty if it does not exist.
    pub(super) async fn recorded(&mut self) -> Result<Vec<Entry>, DatabaseError> {
        let query = format!("SELECT name, version, script, statements, done, state FROM {STATE_TABLE}");
        let rows =
            within(ANSWER, self.conn.query::<(String, String, String, usize, usize, String), _>(query)).await;
        match rows {
            Ok(rows) => Ok(rows
                .into_iter()
                .map(|(key, version, script, statements, done, state)| Entry {
                    key,
                    version,
                    script,
                    statements,
                    done,
                    is_loaded: state == "loaded",
                })
                .collect()),
            Err(error) if error.kind == Kind::NoTable => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Returns the tables of `database`, without the state table.
    pub(super) async fn outline(&mut self, database: &str) -> Result<Outline, DatabaseError> {
        let query = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = ?";
        let rows: Vec<(String, String)> = within(ANSWER, self.conn.exec(query, (database,))).await?;
        let mut outline = Outline::default();
        for (table, column) in rows.iter().filter(|(table, _)| table != STATE_TABLE) {
            outline.add(table, column);
        }
        Ok(outline)
    }

    /// Takes the lock for loading into `database`; released when the session ends.
    pub(super) async fn lock(&mut self, database: &str) -> Result<(), DatabaseError> {
        // Lock names are limited to 64 characters.
        let name = format!("apim-deploy {}", apim_protocol::value::Sha256::of(database.as_bytes()).short());
        let wait = Duration::from_secs(LOCK_SECS + 30);
        let got: Option<Option<i64>> =
            within(wait, self.conn.exec_first("SELECT GET_LOCK(?, ?)", (name, LOCK_SECS))).await?;
        if got == Some(Some(1)) {
            return Ok(());
        }
        let words = format!("another run has been loading into `{database}` for {LOCK_SECS} s");
        Err(DatabaseError::new(Kind::Broken, words))
    }

    /// Runs the remaining statements of a script, and counts them in the state table.
    pub(super) async fn load(
        &mut self,
        load: Load<'_>,
        progress: &Progress<'_>,
    ) -> Result<(), DatabaseError> {
        let Load { key, version, script, from } = load;
        let total = script.statements.len();
        if from == 0 {
            let make = format!(
                "CREATE TABLE IF NOT EXISTS {STATE_TABLE} (name VARCHAR(32) NOT NULL PRIMARY KEY, version VARCHAR(32) NOT NULL, \
                 script CHAR(64) NOT NULL, statements INT NOT NULL, done INT NOT NULL, state VARCHAR(16) NOT NULL, \
                 changed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) ENGINE=InnoDB"
            );
            within(ANSWER, self.conn.query_drop(make)).await?;
            let note = format!(
                "REPLACE INTO {STATE_TABLE} (name, version, script, statements, done, state) VALUES (?, ?, ?, ?, 0, 'loading')"
            );
            within(ANSWER, self.conn.exec_drop(note, (key, version, script.digest.as_str(), total))).await?;
        }
        let key = literal(key);
        for (at, statement) in script.statements.iter().enumerate() {
            // Session settings are lost with the session: run them again.
            let is_setting = statement.words(1) == "SET";
            if at < from && !is_setting {
                continue;
            }
            let count = format!("UPDATE {STATE_TABLE} SET done = {} WHERE name = {key}", at + 1);
            match within(STATEMENT, self.conn.query_drop(counted(statement, &count))).await {
                Ok(()) => {}
                Err(error) if at == from && from > 0 && error.kind == Kind::AlreadySo => {
                    within(ANSWER, self.conn.query_drop(count)).await?;
                }
                Err(error) => {
                    drop(within(ANSWER, self.conn.query_drop("ROLLBACK")).await);
                    return Err(placed(script, statement, &error));
                }
            }
            progress("statements", at as u64 + 1, total as u64);
        }
        let loaded = format!("UPDATE {STATE_TABLE} SET state = 'loaded', done = {total} WHERE name = {key}");
        within(ANSWER, self.conn.query_drop(loaded)).await
    }

    pub(super) async fn has_database(&mut self, name: &str) -> Result<bool, DatabaseError> {
        let query = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?";
        let count: Option<i64> = within(ANSWER, self.conn.exec_first(query, (name,))).await?;
        Ok(count.unwrap_or(0) > 0)
    }

    pub(super) async fn has_user(&mut self, name: &str) -> Result<bool, DatabaseError> {
        let query = "SELECT COUNT(*) FROM mysql.user WHERE user = ?";
        let count: Option<i64> = within(ANSWER, self.conn.exec_first(query, (name,))).await?;
        Ok(count.unwrap_or(0) > 0)
    }

    /// Creates a database, its user, and the user's privileges, where missing.
    pub(super) async fn create(&mut self, login: &Login, creation: &Creation) -> Result<(), DatabaseError> {
        within(
            ANSWER,
            self.conn.query_drop("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"),
        )
        .await?;
        for statement in statements(login, creation, &literal(login.password.expose())) {
            within(ANSWER, self.conn.query_drop(statement)).await?;
        }
        Ok(())
    }
}

/// Returns the statements that create a database, its user and the user's privileges; `password` is
/// an SQL literal.
pub(super) fn statements(login: &Login, creation: &Creation, password: &str) -> Vec<String> {
    let database = identifier(&login.database);
    let collation = creation.collation.as_ref().map_or_else(String::new, |name| format!(" COLLATE {name}"));
    let mut statements = vec![format!(
        "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET {}{collation}",
        creation.charset
    )];
    // In a grant, `_` and `%` are wildcards.
    let granted = identifier(&login.database.replace('_', "\\_").replace('%', "\\%"));
    for host in &creation.user_hosts {
        let user = format!("{}@{}", literal(&login.username), literal(host));
        statements.push(format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {password}"));
        statements.push(format!("GRANT ALL PRIVILEGES ON {granted}.* TO {user}"));
    }
    statements
}

/// Returns a statement with its counter update: in one transaction for DML, after the statement for
/// DDL.
fn counted(statement: &Statement, count: &str) -> String {
    let text = &statement.text;
    match statement.words(1).as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" => {
            format!("START TRANSACTION;\n{text}\n;\n{count};\nCOMMIT")
        }
        _ => format!("{text}\n;\n{count}"),
    }
}

fn placed(script: &Script, statement: &Statement, error: &DatabaseError) -> DatabaseError {
    let words = format!("{} line {} ({}): {}", script.name, statement.line, statement.words(3), error.words);
    DatabaseError::new(if error.kind == Kind::Broken { Kind::Broken } else { Kind::Other }, words)
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        read(&error)
    }
}

/// Error numbers: MySQL's and MariaDB's error references.
fn read(error: &Error) -> DatabaseError {
    let (kind, words) = match error {
        Error::Server(said) => {
            let kind = match said.code {
                1045 | 1698 | 3118 => Kind::Denied,
                1129 | 1130 => Kind::HostRefused,
                1044 | 1142 | 1227 | 1370 => Kind::NotGranted,
                1049 => Kind::NoDatabase,
                3159 | 4164 => Kind::TlsNeeded,
                1146 => Kind::NoTable,
                // Exists: database, table, key, column, routine, trigger, event, row, constraint.
                // Does not exist: table, key, routine, trigger.
                1007 | 1022 | 1050 | 1051 | 1060 | 1061 | 1062 | 1068 | 1091 | 1304 | 1305 | 1359 | 1360
                | 1537 | 1826 => Kind::AlreadySo,
                _ => Kind::Other,
            };
            (kind, format!("{} (error {})", said.message, said.code))
        }
        Error::Io(IoError::Tls(error)) => (Kind::TlsFailed, error.to_string()),
        Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => {
            (Kind::TlsFailed, "the server does not accept encrypted connections".to_owned())
        }
        Error::Io(IoError::Io(io)) if tls::is_behind(error) => (Kind::TlsFailed, io.to_string()),
        Error::Io(IoError::Io(error)) => (Kind::Broken, error.to_string()),
        other => (Kind::Broken, other.to_string()),
    };
    DatabaseError::new(kind, words)
}
