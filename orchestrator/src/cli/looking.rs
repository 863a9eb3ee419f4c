//! What verbs share that ask hosts without a plan: whom, with which rights, until when; and a runtime to do it in.

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
use crate::apim::config;
use crate::inventory::host::HostName;
use crate::inventory::pattern;
use crate::report::Look;
use crate::rounds::{Peer, Stop, Terms};
use crate::session::Connect;
use crate::ssh::Connector;
use crate::yaml::{Mistakes, Span};

/// Whom to ask, and how.
pub(super) struct Wanted<'a> {
    pub(super) verb: &'static str,
    pub(super) files: &'a Files,
    pub(super) reach: &'a Reach,
    pub(super) shown: Shown,
    /// Which hosts: an Ansible pattern; all of the inventory without one.
    pub(super) pattern: Option<&'a str>,
    pub(super) rights: Rights,
}

/// Everything is read and right; nothing was contacted yet.
pub(super) struct Ready {
    pub(super) read: Read,
    pub(super) look: Look,
    pub(super) hosts: Vec<HostName>,
    connector: Connector,
    purpose: String,
}

/// Hosts that can be asked.
pub(super) struct Round {
    pub(super) peers: Vec<Peer>,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) terms: Terms,
}

/// Reads the files and picks the hosts.
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
            (Some(pattern), Some(limit)) => format!("no host is in both `{pattern}` and --limit `{limit}`"),
            (Some(pattern), None) => format!("no host is in `{pattern}`"),
            (None, _) => "no host is left".to_owned(),
        };
        let hint = "see the hosts of each group with `apim-deploy inventory --graph`";
        mistakes.add_hint(&Span::flag("the host pattern"), what, hint);
        return Err(mistakes);
    }
    Ok(hosts)
}

impl Ready {
    /// Returns what a verb made ready that reads more than the inventory.
    pub(super) const fn new(
        read: Read,
        look: Look,
        hosts: Vec<HostName>,
        connector: Connector,
        purpose: String,
    ) -> Self {
        Self { read, look, hosts, connector, purpose }
    }

    /// Returns every secret that the configuration holds, to be hidden in what hosts say.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = Vec::new();
        for node in self.read.cluster.nodes() {
            for secret in config::render(&self.read.cluster, node).secrets {
                if !secrets.contains(&secret) {
                    secrets.push(secret);
                }
            }
        }
        // One that is part of another must not leave the other's rest behind.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets
    }

    /// Asks: makes sure of the host keys, then does `work` until the user leaves off for the second time.
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
                    peers: self.hosts.iter().cloned().map(Peer::new).collect(),
                    connect: Arc::new(self.connector.clone()),
                    terms: Terms::look(run, operator, self.purpose.clone(), stop.clone()),
                })
                .await
            };
            tokio::select! {
                done = asking => done,
                () = leave.wished() => Err(Exit::new(Kind::Interrupted, "interrupted; hosts finish what they are at")),
            }
        });
        runtime.shutdown_background();
        done
    }
}

/// The first Ctrl-C (or TERM) ends what goes on, the second leaves at once.
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
        // Kept until the end, so that nobody takes a closed channel for a wish.
        std::future::pending::<()>().await;
    });
    (Stop::new(stopped), Stop::new(left))
}
