//! `exec`: run a command on hosts in parallel. Identical output is grouped.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use apim_protocol::mask;
use apim_protocol::message::Job;
use apim_protocol::observation::{Answer, Ended, Printed};
use apim_protocol::operation::command::Invocation;
use apim_protocol::operation::execute::Execute;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::{AbsPath, Secret};
use serde_json::json;

use crate::app::connect::Rights;
use crate::app::exit::{Exit, Kind};
use crate::app::options::{Files, Reach, Shown};
use crate::app::query::{self, QueryRequest, QuerySession, ReadyQuery};
use crate::app::record::{self, Recording};
use crate::app::verb::Verb;
use crate::report::alike::{self, Block};
use crate::report::fold::folded;
use crate::report::history::{self, Begun, HostSum};
use crate::report::style::{count, time};
use crate::report::{self, Look, remark};
use apim_transport::host::HostName;
use apim_transport::query::{ClientEvent, HostQuery, HostUnavailable, with_all};

/// Interval of the message that lists the hosts where the command still runs.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// How long to wait for the result after the command's own timeout.
const GRACE: Duration = Duration::from_secs(15);

/// Prefix of the command in the host's journal.
const TITLE: &str = "exec: ";

/// Options of `exec`.
#[derive(Debug, Clone)]
pub(crate) struct ExecRequest {
    pub(crate) files: Files,
    /// Hosts, as an Ansible pattern such as `gateway:!gw3`
    pub(crate) pattern: String,
    pub(crate) reach: Reach,
    /// Run the command with `/bin/sh -c`, for pipes and variables
    pub(crate) shell: bool,
    /// Run the command as root or `ansible_become_user`, even if the inventory sets
    /// `ansible_become: false`
    pub(crate) escalate: bool,
    /// Run the command as the login account
    pub(crate) no_become: bool,
    /// Stop the command after this time on each host, such as 30s or 10m
    pub(crate) timeout: Duration,
    /// Take no host lock and write no journal entry; for commands that change nothing
    pub(crate) read_only: bool,
    /// Run the command in this folder on the host [default: /]
    pub(crate) chdir: Option<AbsPath>,
    /// Command and arguments; not interpreted by a shell unless --shell is set
    pub(crate) command: Vec<String>,
    pub(crate) shown: Shown,
}

/// The result of one host.
struct Row {
    host: HostName,
    answer: Result<Printed, HostUnavailable>,
}

pub(crate) fn run(args: &ExecRequest) -> Result<Kind, Exit> {
    let rights = match (args.escalate, args.no_become) {
        (_, true) => Rights::Login,
        (true, false) => Rights::Escalated,
        (false, false) => Rights::Usual,
    };
    let query = QueryRequest {
        verb: Verb::Exec,
        files: &args.files,
        reach: &args.reach,
        shown: args.shown,
        pattern: Some(&args.pattern),
        rights,
    };
    let ready = query::prepare(&query)?;
    let secrets = ready.secrets();
    let asked = asked(args, &secrets);
    let (recording, begun): (Mutex<Recording>, _) = (Mutex::default(), Instant::now());
    let recording_now = || recording.lock().unwrap_or_else(PoisonError::into_inner);
    let rows = ready.ask(|session| async {
        if !args.read_only {
            let begun = begun_as(args, &asked.title, &session.terms.run);
            *recording_now() =
                Recording::without_plan(&args.reach, &ready.read, &args.files.inventory, begun)?;
        }
        ask(session, args, &asked, ready.look).await
    });
    let recording = std::mem::take(&mut *recording_now());
    let rows = match rows {
        Ok(Rows(rows)) => rows,
        Err(exit) => {
            recording.end_as(record::of_exit(&exit));
            return Err(exit);
        }
    };
    let rows: Vec<Row> = rows.into_iter().map(|row| row.masked(&secrets)).collect();
    let kind = match (rows.iter().any(Row::was_interrupted), rows.iter().all(Row::is_success)) {
        (true, _) => Kind::Interrupted,
        (false, true) => Kind::Converged,
        (false, false) => Kind::Failed,
    };
    recording.ran(rows.iter().map(Row::end));
    recording.end_as(ended(&rows, kind, begun.elapsed()));
    show(&rows, &ready)?;
    Ok(kind)
}

/// Returns the record entry that is written before the command runs.
fn begun_as(args: &ExecRequest, title: &str, run: &str) -> Begun {
    let mut flags = vec![format!("{:?}", args.pattern)];
    let mut add = |given: bool, flag: &str| {
        if given {
            flags.push(flag.to_owned());
        }
    };
    add(args.shell, "--shell");
    add(args.escalate, "--become");
    add(args.no_become, "--no-become");
    flags.extend(args.files.limit.as_ref().map(|limit| format!("--limit {limit}")));
    flags.extend(args.chdir.as_ref().map(|folder| format!("--chdir {folder}")));
    let playbook = title.strip_prefix(TITLE).unwrap_or(title).to_owned();
    Begun { run: run.to_owned(), verb: Verb::Exec.to_string(), playbook, flags, ..Begun::default() }
}

fn ended(rows: &[Row], kind: Kind, took: Duration) -> history::Ended {
    let hosts = rows.iter().map(|row| {
        let ran = usize::from(row.answer.is_ok());
        let state = match (&row.answer, row.is_success()) {
            (Err(_), _) => "unreachable",
            (Ok(_), true) => "done",
            (Ok(_), false) => "failed",
        };
        (row.host.0.clone(), HostSum { state: state.to_owned(), changed: ran, ..HostSum::default() })
    });
    history::Ended {
        code: kind.code(),
        // It is unknown whether the command changed anything, so count every host that it ran on.
        changed: rows.iter().filter(|row| row.answer.is_ok()).count(),
        seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
        hosts: hosts.collect(),
        why: None,
        ..history::Ended::default()
    }
}

fn asked(args: &ExecRequest, secrets: &[Secret]) -> HostQuery {
    let argv = match args.shell {
        true => vec!["/bin/sh".to_owned(), "-c".to_owned(), args.command.join(" ")],
        false => args.command.clone(),
    };
    let words = mask::text(&args.command.join(" "), secrets);
    let run = Invocation {
        argv,
        directory: args.chdir.clone(),
        timeout_secs: args.timeout.as_secs().max(1),
        ..Invocation::default()
    };
    HostQuery {
        title: format!("{TITLE}{}", words.chars().take(500).collect::<String>()),
        own_deadline: args.timeout + GRACE,
        entries: None,
        job: Job::Operation {
            operation: Operation::Execute(Execute { run, reads_only: args.read_only }),
            mode: if args.read_only { Mode::Check } else { Mode::Apply },
        },
    }
}

struct Rows(Vec<Row>);

async fn ask(
    mut session: QuerySession,
    args: &ExecRequest,
    asked: &HostQuery,
    look: Look,
) -> Result<Rows, Exit> {
    session.terms.lock = Verb::Exec.policy().may_change && !args.read_only;
    let begun = tokio::time::Instant::now();
    let running: Mutex<BTreeSet<String>> = Mutex::default();
    let running_now = || running.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = |host: &HostName, heard: ClientEvent| match heard {
        ClientEvent::Connecting => {
            running_now().insert(host.0.clone());
        }
        ClientEvent::Held(holder) if !look.json => remark(&format!("{host}: {holder}; waiting for the lock")),
        ClientEvent::Held(_) | ClientEvent::Said(_) => {}
    };
    let QuerySession { mut peers, connect, terms } = session;
    let asking = with_all(&mut peers, usize::from(args.reach.forks), |peer| {
        let (connect, terms, heard, running_now) = (&connect, &terms, &heard, &running_now);
        async move {
            let answer = peer.ask(connect.as_ref(), terms, std::slice::from_ref(asked), heard).await;
            peer.goodbye().await;
            running_now().remove(&peer.host.0);
            Row { host: peer.host.clone(), answer: answer.and_then(printed) }
        }
    });
    let progress = async {
        loop {
            tokio::time::sleep(PROGRESS_INTERVAL).await;
            let hosts = running_now().clone();
            if !look.json && !hosts.is_empty() {
                let hosts = folded(hosts.iter().map(String::as_str));
                remark(&look.err.faint(format!("still running on {hosts} ({})", time(begun.elapsed()))));
            }
        }
    };
    tokio::select! {
        rows = asking => Ok(Rows(rows)),
        () = progress => Ok(Rows(Vec::new())),
    }
}

fn printed(outcomes: Vec<Outcome>) -> Result<Printed, HostUnavailable> {
    let no_status = || Err(HostUnavailable::new("the agent did not report the exit status"));
    match outcomes.into_iter().next() {
        Some(Outcome::Observed(mut seen)) => match seen.answers.pop() {
            Some(Answer::Printed(printed)) => Ok(*printed),
            _ => no_status(),
        },
        Some(Outcome::Failed(failure)) => Err(failure.into()),
        // The agent skips a command only if the run is cancelled before it starts.
        Some(Outcome::Skipped(_)) => Err(HostUnavailable::Interrupted),
        _ => no_status(),
    }
}

impl Row {
    fn masked(mut self, secrets: &[Secret]) -> Self {
        if let Ok(printed) = &mut self.answer {
            for output in [&mut printed.stdout, &mut printed.stderr] {
                *output = mask::text(output, secrets);
            }
        }
        self
    }

    /// Returns the exit status for the record, without the output.
    fn end(&self) -> (&str, String) {
        let ended = match &self.answer {
            Ok(printed) => printed.ended.to_string(),
            Err(away) => format!("did not run: {}", away.why()),
        };
        (&self.host.0, ended)
    }

    fn is_success(&self) -> bool {
        self.answer.as_ref().is_ok_and(|printed| printed.ended.is_success())
    }

    fn was_interrupted(&self) -> bool {
        match &self.answer {
            Ok(printed) => printed.ended == Ended::CalledOff,
            Err(away) => *away == HostUnavailable::Interrupted,
        }
    }

    fn json(&self) -> String {
        match &self.answer {
            Ok(Printed { ended, stdout, stderr, left_out }) => {
                let code = if let Ended::Exited(code) = ended { Some(code) } else { None };
                json!({
                    "event": "exec", "host": self.host.0, "code": code, "ended": ended.to_string(),
                    "stdout": stdout, "stderr": stderr, "left_out": left_out,
                })
            }
            Err(away) => json!({
                "event": "exec", "host": self.host.0, "code": null, "problem": away.why(), "hint": away.hint(),
            }),
        }
        .to_string()
    }

    fn block(&self) -> Block {
        match &self.answer {
            Ok(Printed { ended, stdout, stderr, left_out }) => {
                let mut body = String::new();
                if *left_out > 0 {
                    body.push_str(&format!("… {left_out} earlier bytes omitted\n"));
                }
                body.push_str(stdout);
                if !stderr.is_empty() {
                    if !body.is_empty() && !body.ends_with('\n') {
                        body.push('\n');
                    }
                    body.push_str("standard error:\n");
                    body.push_str(stderr);
                }
                Block { head: ended.to_string(), body, is_good: ended.is_success() }
            }
            Err(away) => {
                let hint = away.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
                let body = format!("{}{hint}", away.why());
                Block { head: "did not run".to_owned(), body, is_good: false }
            }
        }
    }
}

fn show(rows: &[Row], ready: &ReadyQuery) -> Result<(), Exit> {
    let look = ready.look;
    let success = rows.iter().all(Row::is_success);
    if look.json {
        for row in rows {
            report::say(&row.json())?;
        }
        report::say(&json!({"event": "executed", "success": success}).to_string())?;
        return Ok(());
    }
    let blocks: Vec<(&str, Block)> = rows.iter().map(|row| (row.host.0.as_str(), row.block())).collect();
    report::say(&alike::text(&blocks, look.out))?;
    let failed: Vec<&str> =
        rows.iter().filter(|row| !row.is_success()).map(|row| row.host.0.as_str()).collect();
    if !failed.is_empty() {
        let words = format!("{} of {} failed: {}", failed.len(), count(rows.len(), "host"), folded(failed));
        remark(&look.err.bad(words));
    }
    Ok(())
}
