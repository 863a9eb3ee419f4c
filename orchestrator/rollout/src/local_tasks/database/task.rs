//! Database steps of a plan. Check mode only reads; apply mode creates what is missing and nothing
//! else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use apim_protocol::operation::Mode;
use apim_protocol::outcome::{Difference, Failure, Outcome};
use futures_util::future::join_all;

use super::error::is_missing;
use super::schema_task::{SchemaTask, attempt};
use super::session;
use crate::engine::{LocalTask, LocalTaskRunner};
use apim_product::work::{DatabaseSpec, Login, Schemas};
use apim_transport::session::Connect;

/// A login attempt in progress.
type Trying<'a> = Pin<Box<dyn Future<Output = Result<bool, Failure>> + Send + 'a>>;

/// Runs the local tasks for databases.
#[derive(Clone)]
pub struct Databases {
    connect: Arc<dyn Connect>,
}

impl Databases {
    /// Creates the runner; `connect` opens the tunnels from the hosts.
    #[must_use]
    pub fn new(connect: Arc<dyn Connect>) -> Self {
        Self { connect }
    }
}

impl LocalTaskRunner for Databases {
    fn run<'a>(&'a self, task: LocalTask<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(async move {
            let done = match &task.work.spec {
                DatabaseSpec::Logins { logins, created_before } => {
                    self.log_in(&task, logins, *created_before && task.mode == Mode::Check).await
                }
                DatabaseSpec::Schemas(schemas) => self.schemas(&task, schemas).await,
            };
            done.unwrap_or_else(Outcome::Failed)
        })
    }
}

impl Databases {
    /// Tries all logins concurrently.
    async fn log_in(
        &self,
        task: &LocalTask<'_>,
        logins: &[Login],
        may_be_missing: bool,
    ) -> Result<Outcome, Failure> {
        let mut tries: Vec<Trying<'_>> = Vec::new();
        for login in logins {
            tries.push(Box::pin(self.try_login(task, login, may_be_missing)));
        }
        let mut all = true;
        for tried in join_all(tries).await {
            all &= tried?;
        }
        if all {
            return Ok(Outcome::Ok);
        }
        Ok(Outcome::Skipped("databases and users will be created by an earlier step".to_owned()))
    }

    /// Returns whether the login works; `false` if it fails as expected because database or user do
    /// not exist yet.
    async fn try_login(
        &self,
        task: &LocalTask<'_>,
        login: &Login,
        may_be_missing: bool,
    ) -> Result<bool, Failure> {
        let attempt = attempt(task, login);
        match session::connect(self.connect.as_ref(), &attempt, login.password.expose()).await {
            Ok(session) => {
                session.goodbye().await;
                Ok(true)
            }
            Err(error) if may_be_missing && is_missing(error.kind) => Ok(false),
            Err(error) => Err(attempt.login_failure(&error)),
        }
    }

    async fn schemas(&self, task: &LocalTask<'_>, schemas: &Schemas) -> Result<Outcome, Failure> {
        let mut items = Vec::new();
        for schema in &schemas.schemas {
            let one = SchemaTask { connect: self.connect.as_ref(), task, schemas, schema };
            match task.mode {
                Mode::Check => items.extend(one.check().await?),
                Mode::Apply => items.extend(one.apply().await?),
            }
        }
        if items.is_empty() {
            return Ok(Outcome::Ok);
        }
        let difference = Difference::of(items);
        Ok(match task.mode {
            Mode::Check => Outcome::WouldChange(difference),
            Mode::Apply => Outcome::Changed(difference),
        })
    }
}
