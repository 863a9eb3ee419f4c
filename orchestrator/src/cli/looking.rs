//! Shared by verbs that query hosts without a plan: host selection, privileges, interrupts,
//! runtime.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use apim_protocol::value::Secret;
use tokio::sync::watch;

use super::connect::{self, Rights};
use super::exit::{Exit, Kind};
use super::options::{Files, Output, Reach, Shown};
use super::pipeline;
use super::read::{self, Read};
use crate::report::Look;
use apim_documents::inventory::pattern;
use apim_product::config;
use apim_product::yaml::{Mistakes, Span};
use apim_transport::host::HostName;
use apim_transport::query::{HostClient, QueryOptions, Stop};
use apim_transport::session::Connect;
use apim_transport::ssh::Connector;

/// Hosts and options of a query.
pub(super) struct Wanted<'a> {
    pub(super) verb: &'static str,
    pub(super) files: &'a Files,
    pub(super) reach: &'a Reach,
    pub(super) shown: Shown,
    /// Ansible pattern of the hosts; `None` selects all.
    pub(super) pattern: Option<&'a str>,
    pub(super) rights: Rights,
}

/// Validated input of a query; no host was contacted yet.
pub(super) struct Ready {
    pub(super) read: Read,
    pub(super) look: Look,
    pub(super) hosts: Vec<HostName>,
    connector: Connector,
    purpose: String,
}

/// The hosts of a query and how to connect to them.
pub(super) struct Round {
    pub(super) peers: Vec<HostClient>,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) terms: QueryOptions,
}

/// Reads the files and selects the hosts.
pub(super) fn prepare(wanted: &Wanted<'_>) -> Result<Ready, Exit> {
    let Wanted { verb, files, reach, shown, pattern, rights } = wanted;
    let look = Look::detect(shown.output == Output::Json, shown.verbose, false);
    let read = read::unchecked(files)?;
    read::tell_warnings(&read.inventory, &look)?;
    let hosts = hosts(&read, files, *pattern)?;
    let connector = connect::connector_with(&read.inventory, *rights, reach)?;
    let purpose = format!("{verb} {}", files.inventory.display());
    Ok(Ready { read, look, hosts, connector, purpose })
}

fn hosts(read: &Read, files: &Files, pattern: Option<&str>) -> Result<Vec<HostName>, Mistakes> {
    let limited: BTreeSet<&str> = read::limited(&read.inventory, files)?;
    let picked = match pattern {
        Some(pattern) => pattern::select(&read.inventory, pattern, &Span::flag("the host pattern"))?,
        None => read.inventory.hosts.iter().collect(),
    };
    let hosts: Vec<HostName> = picked
        .into_iter()
        .filter(|host| limited.contains(host.name.0.as_str()))
        .map(|host| host.name.clone())
        .collect();
    if hosts.is_empty() {
        let mut mistakes = Mistakes::default();
        let what = match (pattern, &files.limit) {
            (Some(pattern), Some(limit)) => format!("no host matches both `{pattern}` and --limit `{limit}`"),
            (Some(pattern), None) => format!("no host matches `{pattern}`"),
            (None, _) => "no host is selected".to_owned(),
        };
        let hint = "`apim-deploy inventory --graph` shows the hosts of each group";
        mistakes.add_hint(&Span::flag("the host pattern"), what, hint);
        return Err(mistakes);
    }
    Ok(hosts)
}

impl Ready {
    /// Returns the input of a verb that reads more than the inventory.
    pub(super) const fn new(
        read: Read,
        look: Look,
        hosts: Vec<HostName>,
        connector: Connector,
        purpose: String,
    ) -> Self {
        Self { read, look, hosts, connector, purpose }
    }

    /// Returns every secret in the configuration, to redact host output.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = Vec::new();
        for node in self.read.cluster.nodes() {
            for secret in config::render(&self.read.cluster, node).secrets {
                if !secrets.contains(&secret) {
                    secrets.push(secret);
                }
            }
        }
        // Longest first: a secret that contains another one must be redacted as a whole.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets
    }

    /// Checks the host keys, then runs `work` until the second interrupt.
    pub(super) fn ask<T, F: Future<Output = Result<T, Exit>>>(
        &self,
        work: impl FnOnce(Round) -> F,
    ) -> Result<T, Exit> {
        let runtime = pipeline::runtime()?;
        let done = runtime.block_on(async {
            let (stop, leave) = interrupts();
            let asking = async {
                connect::know_hosts(&self.connector, &self.hosts, self.look.json).await?;
                let (run, operator) = (pipeline::run_id(), pipeline::operator());
                work(Round {
                    peers: self.hosts.iter().cloned().map(HostClient::new).collect(),
                    connect: Arc::new(self.connector.clone()),
                    terms: QueryOptions::look(run, operator, self.purpose.clone(), stop.clone()),
                })
                .await
            };
            tokio::select! {
                done = asking => done,
                () = leave.requested() => Err(Exit::new(Kind::Interrupted, "interrupted; hosts finish the command in progress")),
            }
        });
        runtime.shutdown_background();
        done
    }
}

/// The first Ctrl-C (or SIGTERM) stops gracefully, the second exits immediately.
fn interrupts() -> (Stop, Stop) {
    let (stop, stopped) = watch::channel(false);
    let (leave, left) = watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for wish in [&stop, &leave] {
            tokio::select! {
                heard = tokio::signal::ctrl_c() => if heard.is_err() { return },
                _ = terminate.recv() => {}
            }
            wish.send_replace(true);
        }
        // Keep the senders open: a closed channel would be read as an interrupt.
        std::future::pending::<()>().await;
    });
    (Stop::new(stopped), Stop::new(left))
}
