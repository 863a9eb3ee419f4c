//! Answering questions about ports and connections.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use apim_protocol::observation::{Answer, Listener, Reached};
use apim_protocol::operation::unit::ProcessMatch;

use crate::operation::unit::supervisor;
use crate::probe::http::io_words;
use crate::probe::process::Process;
use crate::probe::socket;
use crate::probe::socket::{Socket, State};
use crate::query::examine::names;
use crate::query::examine::names::PARALLEL;
use crate::system::System;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// How often a connection is tried that found no way: a network that just came back answers the first try with what the
/// kernel still remembers of the time without it (a failed look-up of the neighbour).
const TRIES: usize = 3;

/// How long to wait before the next of them.
const PAUSE: Duration = Duration::from_millis(500);

/// Returns those of `ports` that a process listens on. All processes are read only for sockets that none of the expected ones owns.
pub(super) fn listeners(
    system: &System,
    ports: &[u16],
    own: &[ProcessMatch],
    processes: &[Process],
) -> Answer {
    let wanted = |socket: &Socket| socket.state == State::Listening && ports.contains(&socket.local.port());
    let sockets = match socket::sockets(wanted) {
        Ok(sockets) => sockets,
        Err(error) => return Answer::Unknown(error.to_string()),
    };
    let mut left: Vec<Socket> = sockets;
    let mut found = Vec::new();
    let mut claim = |left: &mut Vec<Socket>, process: &Process, own: Option<usize>| {
        let Ok(inodes) = socket::inodes_of(process.pid) else { return };
        let (its, rest) = left.iter().partition::<Vec<Socket>, _>(|socket| inodes.contains(&socket.inode));
        *left = rest;
        for socket in its {
            found.push(Listener {
                port: socket.local.port(),
                address: socket.local.ip().to_string(),
                pid: Some(process.pid),
                name: process.name.clone(),
                account: account_of(system, process.pid),
                own,
            });
        }
    };
    for (place, desired) in own.iter().enumerate() {
        let matcher = supervisor::matcher(system, desired);
        for process in processes.iter().filter(|process| matcher.matches(process)) {
            claim(&mut left, process, Some(place));
        }
    }
    for process in processes {
        if left.is_empty() {
            break;
        }
        claim(&mut left, process, None);
    }
    // Those of another account or container stay without a name.
    found.extend(left.iter().map(|socket| Listener {
        port: socket.local.port(),
        address: socket.local.ip().to_string(),
        pid: None,
        name: String::new(),
        account: String::new(),
        own: None,
    }));
    found.sort_by(|one, next| (one.port, &one.address).cmp(&(next.port, &next.address)));
    Answer::Listeners(found)
}

/// Tries a connection to each of `peers`, several at once.
pub(super) fn reach(peers: &[(String, u16)]) -> Answer {
    let ports: Vec<u16> = peers.iter().map(|(_, port)| *port).collect();
    let stands =
        |socket: &Socket| socket.state == State::Established && ports.contains(&socket.remote.port());
    // A connection that stands proves more than a try, and costs the other side nothing.
    let standing: Vec<SocketAddr> =
        socket::sockets(stands).unwrap_or_default().iter().map(|socket| socket.remote).collect();
    let mut reached = Vec::new();
    for part in peers.chunks(PARALLEL) {
        let found: Vec<Reached> = std::thread::scope(|scope| {
            let tries: Vec<_> =
                part.iter().map(|(host, port)| scope.spawn(|| problem(host, *port, &standing))).collect();
            let answers = tries.into_iter().map(|one| one.join().unwrap_or_else(|_| Some(LOST.to_owned())));
            let pairs = part.iter().zip(answers);
            pairs
                .map(|((host, port), problem)| Reached { host: host.clone(), port: *port, problem })
                .collect()
        });
        reached.extend(found);
    }
    Answer::Reach(reached)
}

const LOST: &str = "it was not tried to the end";

fn problem(host: &str, port: u16, standing: &[SocketAddr]) -> Option<String> {
    let addresses = match names::addresses(host) {
        Ok(addresses) => addresses,
        Err(error) => return Some(error.to_string()),
    };
    if addresses.iter().any(|address| standing.contains(&SocketAddr::new(*address, port))) {
        return None;
    }
    let mut last = "it has no IPv4 address".to_owned();
    for address in addresses.into_iter().filter(std::net::IpAddr::is_ipv4).take(4) {
        match connect(SocketAddr::new(address, port)) {
            Ok(()) => return None,
            Err(error) => last = io_words(&error),
        }
    }
    Some(last)
}

/// Connects; tries again when there was no way to the other side, never when it answered.
fn connect(to: SocketAddr) -> std::io::Result<()> {
    let mut left = TRIES;
    loop {
        left -= 1;
        match TcpStream::connect_timeout(&to, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) if left > 0 && is_without_way(&error) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

fn is_without_way(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
}

/// Returns the account that a process runs as.
fn account_of(system: &System, pid: u32) -> String {
    let folder = format!("/proc/{pid}");
    match rustix::fs::stat(Path::new(&folder)) {
        Ok(stat) => system.account_name(stat.st_uid),
        Err(_) => String::new(),
    }
}
