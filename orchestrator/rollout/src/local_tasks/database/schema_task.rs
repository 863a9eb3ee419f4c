//! SchemaTask schema of a node: created, found or loaded.

use super::error::{Attempt, DatabaseError, Kind};
use super::script::{self, Script};
use super::session::{self, Session};
use super::task::{Databases, attempt, is_missing};
use super::verdict::{self, Verdict, Wanted};
use crate::engine::LocalTask;
use crate::plan::model::ContentSource;
use apim_product::settings::databases::Admin;
use apim_product::work::{Login, Schema, Schemas, Server};
use apim_protocol::outcome::Failure;

/// SchemaTask database of a task.
pub(super) struct SchemaTask<'a> {
    pub(super) databases: &'a Databases,
    pub(super) task: &'a LocalTask<'a>,
    pub(super) schemas: &'a Schemas,
    pub(super) schema: &'a Schema,
}

/// State of a database.
enum Found {
    /// The user can log in; with the pending work.
    Usable(Box<Session>, Verdict, Option<Script>),
    /// These are missing and can be created by the administrator account.
    Missing(Vec<String>),
}

impl SchemaTask<'_> {
    pub(super) fn login(&self) -> &Login {
        &self.schema.login
    }

    pub(super) fn server(&self) -> &Server {
        &self.task.work.server
    }

    pub(super) fn server_name(&self) -> String {
        format!("{}:{}", self.server().name, self.server().port)
    }

    /// Returns what apply mode would do; refusals are failures.
    pub(super) async fn check(&self) -> Result<Vec<String>, Failure> {
        match self.find().await? {
            Found::Missing(mut items) => {
                items.push(self.words(None, None));
                Ok(items)
            }
            Found::Usable(session, verdict, script) => {
                session.goodbye().await;
                match verdict {
                    Verdict::UpToDate => Ok(Vec::new()),
                    Verdict::Load => Ok(vec![self.words(script.as_ref(), None)]),
                    Verdict::Resume(done) => Ok(vec![self.words(script.as_ref(), Some(done))]),
                    Verdict::Refuse(failure) => Err(*failure),
                }
            }
        }
    }

    /// Creates and loads what is missing; returns what was done.
    pub(super) async fn apply(&self) -> Result<Vec<String>, Failure> {
        let mut items = Vec::new();
        let mut found = self.find().await?;
        if let Found::Missing(missing) = found {
            self.create_database().await?;
            items.extend(missing);
            found = self.find().await?;
        }
        let Found::Usable(mut session, verdict, _) = found else {
            let what = format!(
                "database `{}` and its user `{}` were created on {}, but the user cannot log in",
                self.login().database,
                self.login().username,
                self.server_name()
            );
            let hint = "check the user's password, and that it may connect from this host: `apim.databases.user_hosts`";
            return Err(Failure::new(what).hint(hint));
        };
        match verdict {
            Verdict::UpToDate => session.goodbye().await,
            Verdict::Refuse(failure) => return Err(*failure),
            Verdict::Load | Verdict::Resume(_) => {
                items.extend(self.load(&mut session).await?);
                session.goodbye().await;
            }
        }
        Ok(items)
    }

    /// Logs in as the database's own user and reads its state; if the login is refused, uses the
    /// administrator account.
    async fn find(&self) -> Result<Found, Failure> {
        let attempt = attempt(self.task, self.login());
        let password = self.login().password.expose();
        let error = match session::connect(self.databases.connect.as_ref(), &attempt, password).await {
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

    pub(super) async fn is_still_denied(&self, refused: &Attempt<'_>) -> bool {
        let password = self.login().password.expose();
        match session::connect(self.databases.connect.as_ref(), refused, password).await {
            Ok(session) => {
                session.goodbye().await;
                false
            }
            Err(error) => error.kind == Kind::Denied,
        }
    }

    pub(super) async fn administer<'b>(
        &'b self,
        admin: &'b Admin,
        database: Option<&'b str>,
    ) -> Result<(Session, Attempt<'b>), Failure> {
        let attempt =
            Attempt { host: self.task.host, server: self.server(), database, username: &admin.username };
        match session::connect(self.databases.connect.as_ref(), &attempt, admin.password.expose()).await {
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

    /// Loads the schema, unless another run did so while this one waited for the lock.
    pub(super) async fn load(&self, session: &mut Session) -> Result<Vec<String>, Failure> {
        let attempt = attempt(self.task, self.login());
        session
            .lock(&self.login().database)
            .await
            .map_err(|error| attempt.failure("waiting for another run", &error))?;
        let (verdict, script) = self.judge(session, &attempt).await?;
        let from = match verdict {
            Verdict::UpToDate => return Ok(Vec::new()),
            Verdict::Refuse(failure) => return Err(*failure),
            Verdict::Load => 0,
            Verdict::Resume(done) => done,
        };
        let Some(script) = script else {
            let what = format!("cannot load the schema: `{}` is not on this machine", self.schemas.zip_name);
            return Err(Failure::new(what));
        };
        let key = self.schema.key;
        let progress =
            |_: &str, done, total| (self.task.progress)(&format!("{key}: statements"), done, total);
        let loading = session.load((key, &self.schemas.version), &script, from, &progress);
        loading.await.map_err(|error| {
            let mut failure = attempt.failure("loading the schema", &error);
            failure.hint = Some(
                "re-run to resume the load; if the server rejects the script, \
                check the server's version and settings"
                    .to_owned(),
            );
            failure
        })?;
        Ok(vec![self.words(Some(&script), Some(from).filter(|from| *from > 0))])
    }

    /// Reads the script; `None` if the zip is not on this machine, as in a check that has not
    /// downloaded it.
    pub(super) async fn script(&self) -> Result<Option<Script>, Failure> {
        let zip = match self.task.contents.sources.get(&self.schemas.zip) {
            Some(ContentSource::File(path)) => path.clone(),
            Some(ContentSource::Bytes(_)) | None => return Ok(None),
        };
        script::read(zip, &self.schema.script, session::dialect(self.server().kind)).await.map(Some)
    }

    pub(super) fn words(&self, script: Option<&Script>, from: Option<usize>) -> String {
        let (database, key, version) = (&self.login().database, self.schema.key, &self.schemas.version);
        let statements = script.map(|script| script.statements.len());
        let rest = match (statements, from) {
            (Some(all), Some(from)) => format!(": the last {} of {all} statements", all.saturating_sub(from)),
            (Some(all), None) => format!(": {all} statements"),
            (None, _) => String::new(),
        };
        let whose = if database == key { String::new() } else { format!(" ({key})") };
        format!("schema of {version} in `{database}`{whose}{rest}")
    }
}
