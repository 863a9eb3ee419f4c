//! Why a database does not do what is asked of it: which, on which server, as whom, from which host, the server's own words, what to do.

use apim_protocol::outcome::Failure;

use crate::apim::settings::databases::{DatabaseType, Tls};
use crate::inventory::host::HostName;
use crate::plan::model::Server;
use crate::session::ConnectError;

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The server cannot be reached from the host.
    Unreached,
    /// User or password are refused, or the user may not come from that host.
    Denied,
    /// Nobody may come from that host.
    HostRefused,
    /// The user may not use this database.
    NotGranted,
    /// There is no such database.
    NoDatabase,
    /// The server wants an encrypted connection.
    TlsNeeded,
    /// The encrypted connection cannot be made.
    TlsFailed,
    /// There is no such table.
    NoTable,
    /// What is to be made is there already, or what is to be removed is gone.
    AlreadySo,
    /// The server did not answer in time, or the connection broke.
    Broken,
    /// Anything else that a statement may run into.
    Other,
}

/// What a server, or the way to it, said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{words}")]
pub(super) struct DatabaseError {
    pub(super) kind: Kind,
    /// The answer, bounded.
    pub(super) words: String,
    /// What to do, where the way to the server knows.
    pub(super) hint: Option<String>,
}

/// The longest answer that is shown, in characters.
const SHOWN: usize = 600;

impl DatabaseError {
    pub(super) fn new(kind: Kind, words: impl AsRef<str>) -> Self {
        let words = words.as_ref().replace(|c: char| c.is_control(), " ");
        Self { kind, words: words.chars().take(SHOWN).collect(), hint: None }
    }
}

impl From<ConnectError> for DatabaseError {
    fn from(error: ConnectError) -> Self {
        Self { hint: error.hint, ..Self::new(Kind::Unreached, error.what) }
    }
}

/// What else a refused login may mean; seen with MariaDB 10.11 and `require_secure_transport=ON`.
const SAME_WORDS: &str = "a MariaDB that wants an encrypted connection says the same: `apim.databases.tls: required` (or `verified`) makes one";

/// Where something was tried, and as whom.
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
            Kind::Denied => "the server refuses this user with this password from this host",
            Kind::HostRefused => "the server lets nobody in from this host",
            Kind::NotGranted => "the user may not use this database",
            Kind::NoDatabase => "there is no such database",
            Kind::TlsNeeded => "the server wants an encrypted connection",
            Kind::TlsFailed => "no encrypted connection can be made",
            Kind::Unreached => "the server cannot be reached",
            Kind::Broken => "the connection broke",
            Kind::NoTable | Kind::AlreadySo | Kind::Other => "the server refuses",
        };
        let mut failure = Failure::new(format!("cannot log in to {}: {why}", self.place()));
        failure.causes = vec![error.words.clone()];
        if error.kind == Kind::Denied && self.may_want_encryption() {
            failure.causes.push(SAME_WORDS.to_owned());
        }
        failure.hint = error.hint.clone().or_else(|| self.hint(error.kind));
        failure
    }

    /// MariaDB refuses a login without encryption with the words for a wrong password.
    fn may_want_encryption(&self) -> bool {
        self.server.tls == Tls::Off && self.server.kind != DatabaseType::Postgresql
    }

    /// Returns the failure of something else than a login.
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
                "correct username and password under `apim.databases`; on the server `SELECT user, host FROM mysql.user` shows \
                 whether `{username}` may log in from {host}"
            ),
            Kind::HostRefused if postgresql => {
                format!("add a line for {host} to the server's `pg_hba.conf` and reload it")
            }
            Kind::HostRefused => format!("let {host} in on the server: bind address, skip-networking, and the hosts of the user"),
            Kind::NotGranted if postgresql => format!(
                "on the server: `GRANT ALL ON DATABASE \"{database}\" TO \"{username}\"`, and in it `GRANT ALL ON SCHEMA public TO \"{username}\"`"
            ),
            Kind::NotGranted => format!("on the server: `GRANT ALL PRIVILEGES ON {database}.* TO '{username}'@'%'`"),
            Kind::NoDatabase => {
                "`apim.databases.create: true` with an `admin` makes it; `apim-deploy databases INVENTORY --print-sql` prints what \
                 an administrator can run in its place"
                    .to_owned()
            }
            Kind::TlsNeeded => "`apim.databases.tls: required` (or `verified`) encrypts our connections and those of the nodes".to_owned(),
            Kind::TlsFailed if server.tls == Tls::Verified => {
                "does the server show a certificate that names it, of an issuer in `apim.databases.tls_ca`?".to_owned()
            }
            Kind::TlsFailed => "does the server take encrypted connections? `apim.databases.tls: off` does without".to_owned(),
            Kind::Unreached | Kind::Broken | Kind::NoTable | Kind::AlreadySo | Kind::Other => return None,
        })
    }
}
