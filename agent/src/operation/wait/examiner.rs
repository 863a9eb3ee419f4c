//! Trying conditions: each look answers whether it holds and what was seen. Keeps between looks what makes the next one cheap.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use apim_protocol::operation::unit::ProcessMatch;
use apim_protocol::operation::version::{VersionOf, main_number};
use apim_protocol::operation::wait::Condition;
use apim_protocol::value::{AbsPath, UnitName};
use regex::Regex;

use super::log_watch::LogWatch;
use crate::operation::support;
use crate::operation::unit::supervisor;
use crate::probe::http::{Client, io_words};
use crate::probe::name::Names;
use crate::probe::process::Process;
use crate::probe::socket;
use crate::probe::socket::{Socket, State};
use crate::system::System;

/// How long a TCP connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// A server is asked no more often than this …
const ASKING: Duration = Duration::from_millis(100);
/// … and after a good answer not for longer.
const BELIEVING: Duration = Duration::from_secs(1);
/// Finding the process that holds a port reads every process; once in this time is enough.
const HOLDER: Duration = Duration::from_secs(2);

/// What a look at a condition showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether it holds.
    pub(crate) holds: bool,
    /// What was seen, in words.
    pub(crate) text: String,
}

impl Answer {
    fn yes(text: impl Into<String>) -> Self {
        Self { holds: true, text: text.into() }
    }

    fn no(text: impl Into<String>) -> Self {
        Self { holds: false, text: text.into() }
    }
}

/// Tries conditions.
#[derive(Debug)]
pub(crate) struct Examiner<'a> {
    system: &'a System,
    verifying: Option<Client>,
    trusting: Option<Client>,
    names: Names,
    logs: Vec<LogWatch>,
    processes: HashMap<Vec<String>, Vec<Process>>,
    recent: HashMap<String, (Instant, Answer)>,
    holders: HashMap<u16, (Instant, Option<String>)>,
}

impl<'a> Examiner<'a> {
    /// Returns an examiner of this host that has seen nothing yet.
    pub(crate) fn new(system: &'a System) -> Self {
        Self {
            system,
            verifying: None,
            trusting: None,
            names: Names::default(),
            logs: Vec::new(),
            processes: HashMap::new(),
            recent: HashMap::new(),
            holders: HashMap::new(),
        }
    }

    /// Forgets what was seen, because the service was restarted.
    pub(crate) fn forget(&mut self) {
        self.logs.clear();
        self.processes.clear();
        self.recent.clear();
        self.holders.clear();
    }

    /// Looks at `condition`.
    pub(crate) fn look(&mut self, condition: &Condition) -> Answer {
        match condition {
            Condition::Process(process) => match self.own(process).first() {
                Some(found) => {
                    Answer::yes(format!("{}, up for {} s", found.label(), found.uptime().as_secs()))
                }
                None => Answer::no("there is none"),
            },
            Condition::Tcp { host, port } => {
                self.at_intervals(format!("{host}:{port}"), |me| me.tcp(host, *port))
            }
            Condition::Listens { port, process } => self.listens(*port, process),
            Condition::Connected { host, port, process } => self.connected(host, *port, process),
            Condition::Http { url, status, body_holds, verify, scope: _ } => {
                let key = format!("{status} {verify} {url} {}", body_holds.as_deref().unwrap_or(""));
                self.at_intervals(key, |me| me.http(url, *status, body_holds.as_deref(), *verify))
            }
            Condition::Logged { log, pattern, since_start_of } => self.logged(log, pattern, since_start_of),
            Condition::Exists(path) => match self.system.stat(path) {
                Ok(Some(_)) => Answer::yes("it exists"),
                Ok(None) => Answer::no("it does not exist"),
                Err(error) => Answer::no(error.to_string()),
            },
            Condition::Version { of, lowest, highest } => version(self.system, of, *lowest, *highest),
            Condition::Quiet { ports, from, except } => quiet(ports, from, except),
            Condition::Where { when, then } => {
                let matters = self.look(when);
                if matters.holds {
                    self.look(then)
                } else {
                    Answer::yes(format!("does not matter: {}: {}", when.words(), matters.text))
                }
            }
        }
    }

    /// Returns the processes that `process` matches; searches again only when a known one is gone.
    pub(crate) fn own(&mut self, process: &ProcessMatch) -> Vec<Process> {
        if let Some(known) = self.processes.get(&process.arguments)
            && !known.is_empty()
            && known.iter().all(Process::is_alive)
        {
            return known.clone();
        }
        let found = supervisor::matcher(self.system, process).find();
        self.processes.insert(process.arguments.clone(), found.clone());
        found
    }

    /// Asks, unless it was asked a moment ago.
    fn at_intervals(&mut self, key: String, ask: impl FnOnce(&mut Self) -> Answer) -> Answer {
        if let Some((when, answer)) = self.recent.get(&key)
            && when.elapsed() < if answer.holds { BELIEVING } else { ASKING }
        {
            return answer.clone();
        }
        let answer = ask(self);
        self.recent.insert(key, (Instant::now(), answer.clone()));
        answer
    }

    fn tcp(&mut self, host: &str, port: u16) -> Answer {
        let addresses = match self.names.addresses(host) {
            Ok(addresses) => addresses,
            Err(error) => return Answer::no(error.to_string()),
        };
        let mut last = Answer::no("no address");
        for address in addresses.into_iter().take(4) {
            match TcpStream::connect_timeout(&SocketAddr::new(address, port), CONNECT) {
                Ok(_) => return Answer::yes("accepted"),
                Err(error) => last = Answer::no(io_words(&error)),
            }
        }
        last
    }

    fn listens(&mut self, port: u16, process: &ProcessMatch) -> Answer {
        let listening =
            match socket::sockets(|socket| socket.state == State::Listening && socket.local.port() == port) {
                Ok(listening) if listening.is_empty() => return Answer::no("not listening"),
                Ok(listening) => listening,
                Err(error) => return Answer::no(error.to_string()),
            };
        let own = self.own(process);
        match socket::is_owned_by(&listening, &own) {
            Ok(true) => Answer::yes("it listens"),
            Ok(false) => match self.holder(port) {
                Some(holder) => Answer::no(format!("port {port} is held by {holder}")),
                None => Answer::no("not listening"),
            },
            Err(error) => Answer::no(error.to_string()),
        }
    }

    fn holder(&mut self, port: u16) -> Option<String> {
        if let Some((when, holder)) = self.holders.get(&port)
            && when.elapsed() < HOLDER
        {
            return holder.clone();
        }
        let holder = socket::holder(port);
        self.holders.insert(port, (Instant::now(), holder.clone()));
        holder
    }

    fn connected(&mut self, host: &str, port: u16, process: &ProcessMatch) -> Answer {
        let addresses = match self.names.addresses(host) {
            Ok(addresses) => addresses,
            Err(error) => return Answer::no(error.to_string()),
        };
        let is_wanted = |socket: &Socket| {
            socket.state == State::Established
                && socket.remote.port() == port
                && addresses.iter().any(|address| address.to_canonical() == socket.remote.ip())
        };
        let connected = match socket::sockets(is_wanted) {
            Ok(connected) => connected,
            Err(error) => return Answer::no(error.to_string()),
        };
        let own = self.own(process);
        match socket::is_owned_by(&connected, &own) {
            Ok(true) => Answer::yes("connected"),
            Ok(false) if own.is_empty() => Answer::no("the process is not running"),
            Ok(false) => Answer::no("not connected"),
            Err(error) => Answer::no(error.to_string()),
        }
    }

    fn http(&mut self, url: &str, status: u16, body_holds: Option<&str>, verify: bool) -> Answer {
        let client = if verify { &mut self.verifying } else { &mut self.trusting };
        let answer = client.get_or_insert_with(|| Client::new(verify)).get(url);
        match answer {
            Err(error) => Answer::no(error.to_string()),
            Ok(answer) if answer.status != status => Answer::no(format!("HTTP {}", answer.status)),
            Ok(answer) => match body_holds {
                Some(text) if !answer.body.contains(text) => {
                    Answer::no(format!("HTTP {status}, but without `{text}`"))
                }
                _ => Answer::yes(format!("HTTP {status}")),
            },
        }
    }

    fn logged(&mut self, log: &AbsPath, pattern: &str, unit: &UnitName) -> Answer {
        let known = self.logs.iter().position(|watch| watch.is_for(log, pattern, unit));
        let at = match known {
            Some(at) => at,
            None => match Regex::new(pattern) {
                Ok(regex) => {
                    self.logs.push(LogWatch::new(self.system, log, regex, unit));
                    self.logs.len() - 1
                }
                Err(error) => return Answer::no(error.to_string()),
            },
        };
        match self.logs.get_mut(at) {
            Some(watch) => watch.look(),
            None => Answer::no("it was not looked for"),
        }
    }
}

fn quiet(ports: &[u16], from: &[IpAddr], except: &[IpAddr]) -> Answer {
    let counts = |socket: &Socket| {
        let peer = socket.remote.ip();
        let is_meant = if from.is_empty() { !peer.is_loopback() } else { from.contains(&peer) };
        socket.state == State::Established
            && ports.contains(&socket.local.port())
            && is_meant
            && !except.contains(&peer)
    };
    match socket::sockets(counts) {
        Ok(found) if found.is_empty() => Answer::yes("there is none"),
        Ok(found) if found.len() == 1 => Answer::no("1 connection"),
        Ok(found) => Answer::no(format!("{} connections", found.len())),
        Err(error) => Answer::no(error.to_string()),
    }
}

fn version(system: &System, of: &VersionOf, lowest: u32, highest: u32) -> Answer {
    match support::version::find(of, system) {
        Err(error) => Answer::no(error.to_string()),
        Ok(found) => {
            let text = format!("found {}, from {}", found.version, found.whence);
            let fits = main_number(&found.version).is_some_and(|number| (lowest..=highest).contains(&number));
            Answer { holds: fits, text }
        }
    }
}

impl LogWatch {
    /// Says whether a matching line was written since the start.
    ///
    /// A service that runs for long has its log rotated away under it, with the line in it; then it is taken as written.
    fn look(&mut self) -> Answer {
        match self.poll() {
            Err(error) => Answer::no(error.to_string()),
            Ok(Some(line)) => Answer::yes(format!("logged: {line}")),
            Ok(None) if self.is_settled() => Answer::yes("logged earlier"),
            Ok(None) => Answer::no("not logged yet"),
        }
    }
}
