//! One database of a task: checks its schema, or creates and loads what is missing.

use apim_protocol::outcome::Failure;

use super::error::Attempt;
use super::script::{self, Load, Script};
use super::session::{self, Session};
use super::verdict::Verdict;
use crate::engine::LocalTask;
use crate::plan::model::ContentSource;
use apim_product::work::{Login, Schema, Schemas, Server};
use apim_transport::session::Connect;

/// One database of a task.
pub(super) struct SchemaTask<'a> {
    pub(super) connect: &'a dyn Connect,
    pub(super) task: &'a LocalTask<'a>,
    pub(super) schemas: &'a Schemas,
    pub(super) schema: &'a Schema,
}

/// State of a database.
pub(super) enum Found {
    /// The user can log in; with the pending work.
    Usable(Box<Session>, Verdict, Option<Script>),
    /// These are missing and can be created by the administrator account.
    Missing(Vec<String>),
}

/// Returns the context of an operation as the user of `login`.
pub(super) fn attempt<'a>(task: &'a LocalTask<'_>, login: &'a Login) -> Attempt<'a> {
    Attempt {
        host: task.host,
        server: &task.work.server,
        database: Some(&login.database),
        username: &login.username,
    }
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

    /// Loads the schema, unless another run did so while this one waited for the lock.
    async fn load(&self, session: &mut Session) -> Result<Vec<String>, Failure> {
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
        let load = Load { key, version: &self.schemas.version, script: &script, from };
        let loading = session.load(load, &progress);
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

    fn words(&self, script: Option<&Script>, from: Option<usize>) -> String {
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
