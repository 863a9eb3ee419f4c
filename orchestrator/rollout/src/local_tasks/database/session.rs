//! One user's session with a MySQL, MariaDB or PostgreSQL server, from a host of the cluster.

use super::error::{Attempt, DatabaseError, Kind};
use super::outline::Outline;
use super::script::Load;
use super::server::Progress;
use super::split::Dialect;
use super::verdict::Entry;
use super::{mysql, postgres};
use apim_product::settings::databases::{Creation, DatabaseType};
use apim_product::work::Login;
use apim_transport::session::Connect;

/// A session.
pub(super) enum Session {
    Mysql(mysql::Session),
    Postgres(postgres::Session),
}

/// Returns the SQL dialect of this server type.
pub(super) const fn dialect(kind: DatabaseType) -> Dialect {
    match kind {
        DatabaseType::Postgresql => Dialect::Postgresql,
        _ => Dialect::Mysql,
    }
}

/// Logs in from the attempt's host.
pub(super) async fn connect(
    connect: &dyn Connect,
    attempt: &Attempt<'_>,
    password: &str,
) -> Result<Session, DatabaseError> {
    let Attempt { host, server, database, username } = *attempt;
    let stream = connect.tunnel(host, &server.reach, server.port).await?;
    match server.kind {
        DatabaseType::Mysql | DatabaseType::Mariadb => {
            mysql::connect(stream, server, username, password, database).await.map(Session::Mysql)
        }
        DatabaseType::Postgresql => {
            postgres::connect(stream, server, username, password, database).await.map(Session::Postgres)
        }
        kind @ (DatabaseType::Mssql | DatabaseType::Oracle | DatabaseType::Db2) => Err(DatabaseError::new(
            Kind::Other,
            format!("apim-deploy does not support the protocol of {kind}"),
        )),
    }
}

impl Session {
    /// Ends the session.
    pub(super) async fn goodbye(self) {
        match self {
            Self::Mysql(session) => session.goodbye().await,
            Self::Postgres(session) => drop(session),
        }
    }

    /// Returns the entries of the state table; empty if it does not exist.
    pub(super) async fn recorded(&mut self) -> Result<Vec<Entry>, DatabaseError> {
        match self {
            Self::Mysql(session) => session.recorded().await,
            Self::Postgres(session) => session.recorded().await,
        }
    }

    /// Returns the tables, without the state table.
    pub(super) async fn outline(&mut self, database: &str) -> Result<Outline, DatabaseError> {
        match self {
            Self::Mysql(session) => session.outline(database).await,
            Self::Postgres(session) => session.outline().await,
        }
    }

    /// Returns whether the user may create tables.
    pub(super) async fn may_create(&mut self) -> Result<bool, DatabaseError> {
        match self {
            // Usually the user has all privileges on the database; otherwise the first statement
            // fails.
            Self::Mysql(_) => Ok(true),
            Self::Postgres(session) => session.may_create().await,
        }
    }

    /// Takes the lock for loading into `database`; released when the session ends.
    pub(super) async fn lock(&mut self, database: &str) -> Result<(), DatabaseError> {
        match self {
            Self::Mysql(session) => session.lock(database).await,
            Self::Postgres(session) => session.lock().await,
        }
    }

    /// Runs the remaining statements of a script.
    pub(super) async fn load(
        &mut self,
        load: Load<'_>,
        progress: &Progress<'_>,
    ) -> Result<(), DatabaseError> {
        match self {
            Self::Mysql(session) => session.load(load, progress).await,
            Self::Postgres(session) => session.load(load, progress).await,
        }
    }

    pub(super) async fn has_database(&mut self, name: &str) -> Result<bool, DatabaseError> {
        match self {
            Self::Mysql(session) => session.has_database(name).await,
            Self::Postgres(session) => session.has_database(name).await,
        }
    }

    pub(super) async fn has_user(&mut self, name: &str) -> Result<bool, DatabaseError> {
        match self {
            Self::Mysql(session) => session.has_user(name).await,
            Self::Postgres(session) => session.has_user(name).await,
        }
    }

    /// Creates a database, its user, and the user's privileges, where missing.
    pub(super) async fn create(&mut self, login: &Login, creation: &Creation) -> Result<(), DatabaseError> {
        match self {
            Self::Mysql(session) => session.create(login, creation).await,
            Self::Postgres(session) => session.create(login, creation).await,
        }
    }

    /// Allows a user to create tables in the database of this session.
    pub(super) async fn open_schema(&mut self, login: &Login) -> Result<(), DatabaseError> {
        match self {
            Self::Mysql(_) => Ok(()),
            Self::Postgres(session) => session.open_schema(login).await,
        }
    }
}
