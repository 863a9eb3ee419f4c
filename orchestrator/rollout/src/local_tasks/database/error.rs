//! Database errors: database, server, user, host, the server's message, and what to do.

use apim_protocol::outcome::Failure;

use apim_product::settings::databases::{DatabaseType, Tls};
use apim_product::work::Server;
use apim_transport::failure::one_line;
use apim_transport::host::HostName;

/// Kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The server is unreachable from the host.
    Unreached,
    /// User or password are wrong, or the user may not connect from that host.
    Denied,
    /// The server refuses all connections from that host.
    HostRefused,
    /// The user may not use this database.
    NotGranted,
    /// The database does not exist.
    NoDatabase,
    /// The server requires an encrypted connection.
    TlsNeeded,
    /// The TLS handshake failed.
    TlsFailed,
    /// The table does not exist.
    NoTable,
    /// The object to create exists already, or the object to remove does not exist.
    AlreadySo,
    /// The server did not answer in time, or the connection was lost.
    Broken,
    /// Any other error of a statement.
    Other,
}

/// Returns whether a refused login can mean that the database, the user, or the user's privileges
/// are missing.
pub(super) const fn is_missing(kind: Kind) -> bool {
    matches!(kind, Kind::Denied | Kind::NotGranted | Kind::NoDatabase)
}

/// An error of a server or of the connection to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{words}")]
pub(super) struct DatabaseError {
    pub(super) kind: Kind,
    /// The message, bounded.
    pub(super) words: String,
    /// What to do next, if the connection error includes a hint.
    pub(super) hint: Option<String>,
}

/// Maximum length of a message, in characters.
const SHOWN: usize = 600;

impl DatabaseError {
    pub(super) fn new(kind: Kind, words: impl AsRef<str>) -> Self {
        let words = words.as_ref().replace(|c: char| c.is_control(), " ");
        Self { kind, words: words.chars().take(SHOWN).collect(), hint: None }
    }
}

impl From<Failure> for DatabaseError {
    fn from(failure: Failure) -> Self {
        Self { hint: failure.hint.clone(), ..Self::new(Kind::Unreached, one_line(&failure)) }
    }
}

/// Another cause of a refused login; observed with MariaDB 10.11 and `require_secure_transport=ON`.
const TLS_REQUIRED_NOTE: &str = "MariaDB reports the same error if it requires an encrypted connection: set `apim.databases.tls: required` (or `verified`)";

/// Context of an operation: host, server, database and user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) host: &'a HostName,
    pub(super) server: &'a Server,
    pub(super) database: Option<&'a str>,
    pub(super) username: &'a str,
}

impl Attempt<'_> {
    fn place(&self) -> String {
        let Server { name, port, .. } = self.server;
        let whose = self.database.map_or_else(String::new, |database| format!("database `{database}` on "));
        format!("{whose}{name}:{port} as `{}` from {}", self.username, self.host)
    }

    /// Returns the failure of a login.
    pub(super) fn login_failure(&self, error: &DatabaseError) -> Failure {
        let why = match error.kind {
            Kind::Denied => "access denied for this user, password and host",
            Kind::HostRefused => "the server refuses connections from this host",
            Kind::NotGranted => "the user may not use this database",
            Kind::NoDatabase => "the database does not exist",
            Kind::TlsNeeded => "the server requires an encrypted connection",
            Kind::TlsFailed => "the TLS handshake failed",
            Kind::Unreached => "the server is unreachable",
            Kind::Broken => "connection lost",
            Kind::NoTable | Kind::AlreadySo | Kind::Other => "the server reported an error",
        };
        let mut failure = Failure::new(format!("cannot log in to {}: {why}", self.place()));
        failure.causes = vec![error.words.clone()];
        if error.kind == Kind::Denied && self.may_want_encryption() {
            failure.causes.push(TLS_REQUIRED_NOTE.to_owned());
        }
        failure.hint = error.hint.clone().or_else(|| self.hint(error.kind));
        failure
    }

    /// MariaDB reports an unencrypted login as a wrong password.
    fn may_want_encryption(&self) -> bool {
        self.server.tls == Tls::Off && self.server.kind != DatabaseType::Postgresql
    }

    /// Returns the failure of any other operation.
    pub(super) fn failure(&self, what: &str, error: &DatabaseError) -> Failure {
        let mut failure = Failure::new(format!("{what} failed in {}", self.place()));
        failure.causes = vec![error.words.clone()];
        failure.hint = error.hint.clone().or_else(|| self.hint(error.kind));
        failure
    }

    fn hint(&self, kind: Kind) -> Option<String> {
        let Self { server, database, username, host } = self;
        let database = database.unwrap_or("the database");
        let postgresql = server.kind == DatabaseType::Postgresql;
        Some(match kind {
            Kind::Denied if postgresql => format!(
                "correct the password under `apim.databases`, or set it on the server: `ALTER ROLE \"{username}\" PASSWORD '…'`"
            ),
            Kind::Denied => format!(
                "correct username and password under `apim.databases`; run `SELECT user, host FROM mysql.user` on the server to check \
                whether `{username}` may log in from {host}"
            ),
            Kind::HostRefused if postgresql => {
                format!("add a line for {host} to the server's `pg_hba.conf` and reload it")
            }
            Kind::HostRefused => format!("allow {host} on the server: check bind address, skip-networking, and the hosts of the user"),
            Kind::NotGranted if postgresql => format!(
                "run on the server: `GRANT ALL ON DATABASE \"{database}\" TO \"{username}\"`, and in the database `GRANT ALL ON SCHEMA public TO \"{username}\"`"
            ),
            Kind::NotGranted => format!("run on the server: `GRANT ALL PRIVILEGES ON {database}.* TO '{username}'@'%'`"),
            Kind::NoDatabase => {
                "set `apim.databases.create: true` with an `admin` to create it; `apim-deploy databases INVENTORY --print-sql` prints the \
                statements for an administrator"
                    .to_owned()
            }
            Kind::TlsNeeded => "set `apim.databases.tls: required` (or `verified`) to encrypt the connections of apim-deploy and of the nodes".to_owned(),
            Kind::TlsFailed if server.tls == Tls::Verified => {
                "check that the server's certificate contains its name and was issued by an authority in `apim.databases.tls_ca`".to_owned()
            }
            Kind::TlsFailed => "check that the server accepts encrypted connections, or set `apim.databases.tls: off`".to_owned(),
            Kind::Unreached | Kind::Broken | Kind::NoTable | Kind::AlreadySo | Kind::Other => return None,
        })
    }
}
