//! State of a database: read as its own user, and as the administrator if the login is refused.

use apim_protocol::outcome::Failure;

use super::error::{Attempt, DatabaseError, Kind, is_missing};
use super::schema_task::{Found, SchemaTask, attempt};
use super::script::Script;
use super::session::{self, Session};
use super::verdict::{self, Verdict, Wanted};
use apim_product::settings::databases::Admin;
use apim_product::work::Login;

impl SchemaTask<'_> {
    /// Logs in as the database's own user and reads its state; if the login is refused, uses the
    /// administrator account.
    pub(super) async fn find(&self) -> Result<Found, Failure> {
        let attempt = attempt(self.task, self.login());
        let password = self.login().password.expose();
        let error = match session::connect(self.connect, &attempt, password).await {
            Ok(mut session) => {
                let (verdict, script) = self.judge(&mut session, &attempt).await?;
                let loads = matches!(verdict, Verdict::Load);
                if loads
                    && !session
                        .may_create()
                        .await
                        .map_err(|error| attempt.failure("reading the schema", &error))?
                {
                    let refused =
                        DatabaseError::new(Kind::NotGranted, "the user may not create tables in it");
                    if self.schemas.creation.admin.is_none() {
                        return Err(attempt.login_failure(&refused));
                    }
                    let privilege = format!(
                        "privilege of `{}` to create tables in `{}`",
                        self.login().username,
                        self.login().database
                    );
                    return Ok(Found::Missing(vec![privilege]));
                }
                return Ok(Found::Usable(Box::new(session), verdict, script));
            }
            Err(error) => error,
        };
        match &self.schemas.creation.admin {
            Some(admin) if is_missing(error.kind) => self.find_missing(admin, &attempt, &error).await,
            _ => Err(attempt.login_failure(&error)),
        }
    }

    /// Finds out with the administrator account what is missing.
    async fn find_missing(
        &self,
        admin: &Admin,
        refused: &Attempt<'_>,
        error: &DatabaseError,
    ) -> Result<Found, Failure> {
        let Login { database, username, .. } = self.login();
        let (mut session, attempt) = self.administer(admin, None).await?;
        let failed = |error: DatabaseError| attempt.failure("reading the schema", &error);
        let has_database = session.has_database(database).await.map_err(failed)?;
        let has_user = session.has_user(username).await.map_err(failed)?;
        session.goodbye().await;
        if has_database {
            // No user is created for a database that will be refused.
            let (mut session, attempt) = self.administer(admin, Some(database)).await?;
            let (verdict, _) = self.judge(&mut session, &attempt).await?;
            session.goodbye().await;
            if let Verdict::Refuse(failure) = verdict {
                return Err(*failure);
            }
        }
        // Another run may have created the user since the login was refused.
        if has_user && error.kind == Kind::Denied && self.is_still_denied(refused).await {
            let mut failure = refused.login_failure(error);
            failure.causes.push(format!(
                "the user `{username}` exists: its password differs, or it may not connect from {}",
                self.task.host
            ));
            return Err(failure);
        }
        let creation = &self.schemas.creation;
        let mut missing = Vec::new();
        if !has_database {
            let collation = creation.collation.as_ref().map_or_else(String::new, |name| format!(", {name}"));
            missing.push(format!("database `{database}` ({}{collation})", creation.charset));
        }
        if !has_user {
            missing.push(format!("user `{username}`"));
        }
        if missing.is_empty() {
            missing.push(format!("privileges of `{username}` on `{database}`"));
        }
        Ok(Found::Missing(missing))
    }

    async fn is_still_denied(&self, refused: &Attempt<'_>) -> bool {
        let password = self.login().password.expose();
        match session::connect(self.connect, refused, password).await {
            Ok(session) => {
                session.goodbye().await;
                false
            }
            Err(error) => error.kind == Kind::Denied,
        }
    }

    async fn administer<'b>(
        &'b self,
        admin: &'b Admin,
        database: Option<&'b str>,
    ) -> Result<(Session, Attempt<'b>), Failure> {
        let attempt =
            Attempt { host: self.task.host, server: self.server(), database, username: &admin.username };
        match session::connect(self.connect, &attempt, admin.password.expose()).await {
            Ok(session) => Ok((session, attempt)),
            Err(error) => {
                let mut failure = attempt.login_failure(&error);
                if is_missing(error.kind) {
                    failure.hint = Some(format!(
                        "correct `apim.databases.admin`: it must be able to log in from {} and create databases and users; \
                         `apim-deploy databases INVENTORY --print-sql` prints the statements",
                        self.task.host
                    ));
                }
                Err(failure)
            }
        }
    }

    pub(super) async fn create_database(&self) -> Result<(), Failure> {
        let Some(admin) = &self.schemas.creation.admin else { return Ok(()) };
        let Login { database, .. } = self.login();
        let (mut session, attempt) = self.administer(admin, None).await?;
        let what = format!("creating `{database}` and its user");
        let failed = |error: DatabaseError| attempt.failure(&what, &error);
        session.lock(database).await.map_err(failed)?;
        session.create(self.login(), &self.schemas.creation).await.map_err(failed)?;
        session.goodbye().await;
        let (mut session, attempt) = self.administer(admin, Some(database)).await?;
        session.open_schema(self.login()).await.map_err(|error| attempt.failure(&what, &error))?;
        session.goodbye().await;
        Ok(())
    }

    /// Determines the pending work. The state table is read first; the script is read only if the
    /// state table has no entry or an incomplete load.
    pub(super) async fn judge(
        &self,
        session: &mut Session,
        attempt: &Attempt<'_>,
    ) -> Result<(Verdict, Option<Script>), Failure> {
        let failed = |error: DatabaseError| attempt.failure("reading the schema", &error);
        let entries = session.recorded().await.map_err(failed)?;
        let server = self.server_name();
        let mut wanted = Wanted {
            key: self.schema.key,
            version: &self.schemas.version,
            database: &self.login().database,
            server: &server,
            script: None,
        };
        if let Some(verdict @ (Verdict::UpToDate | Verdict::Refuse(_))) =
            verdict::by_state_table(&wanted, &entries)
        {
            return Ok((verdict, None));
        }
        let script = self.script().await?;
        wanted.script =
            script.as_ref().map(|script| (script.digest.as_str(), script.statements.len(), &script.outline));
        let verdict = match verdict::by_state_table(&wanted, &entries) {
            Some(verdict) => verdict,
            None => {
                let outline = session.outline(&self.login().database).await.map_err(failed)?;
                match verdict::by_tables(&wanted, &outline) {
                    // Another run, which records a load before it starts, may have started between
                    // the two reads.
                    refused @ Verdict::Refuse(_) => {
                        let entries = session.recorded().await.map_err(failed)?;
                        verdict::by_state_table(&wanted, &entries).unwrap_or(refused)
                    }
                    verdict => verdict,
                }
            }
        };
        Ok((verdict, script))
    }
}
