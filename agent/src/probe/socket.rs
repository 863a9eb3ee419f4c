//! TCP sockets of the agent's own network namespace, and which process owns them.
//!
//! `/proc/net/tcp` and `tcp6` name a socket's inode, `/proc/PID/fd` names the inodes a process has open; the two are joined here.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::{fs, io};

use crate::probe::process::Process;
use crate::probe::{ProbeError, process};

/// What a TCP socket is doing, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for connections.
    Listening,
    /// It is connected.
    Established,
    /// Anything else: being opened, being closed.
    Other,
}

/// A TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Its own end; an IPv4 address in IPv6 clothes is shown as what it is.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// What it is doing.
    pub state: State,
    /// The number that ties it to a process.
    pub inode: u64,
}

/// Returns the sockets that `wanted` holds for.
///
/// # Errors
/// When the host's table cannot be read.
pub fn sockets(wanted: impl Fn(&Socket) -> bool) -> Result<Vec<Socket>, ProbeError> {
    let mut found = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            // a host without IPv6 has no such table
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.ends_with('6') => continue,
            Err(error) => return Err(ProbeError::read(path, error)),
        };
        for line in BufReader::with_capacity(64 * 1024, file).lines().skip(1) {
            let line = line.map_err(|error| ProbeError::read(path, error))?;
            found.extend(parse(&line).filter(|socket| wanted(socket)));
        }
    }
    Ok(found)
}

/// Returns the inodes of all sockets that the process has open; empty when it is gone.
///
/// # Errors
/// When it belongs to another account and the agent is not root.
pub fn inodes_of(pid: u32) -> Result<HashSet<u64>, ProbeError> {
    let folder = format!("/proc/{pid}/fd");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(ProbeError::Forbidden { pid });
        }
        Err(error) => return Err(ProbeError::read(folder, error)),
    };
    let targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Ok(targets
        .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect())
}

/// Says whether any of `processes` owns any of `sockets`.
///
/// # Errors
/// When none is found to, and the open files of at least one could not be read.
pub fn is_owned_by(sockets: &[Socket], processes: &[Process]) -> Result<bool, ProbeError> {
    let mut unread = None;
    for process in processes {
        match inodes_of(process.pid) {
            Ok(inodes) if sockets.iter().any(|socket| inodes.contains(&socket.inode)) => return Ok(true),
            Ok(_) => {}
            Err(error) => unread = Some(error),
        }
    }
    unread.map_or(Ok(false), Err)
}

/// Returns the processes that own any of `sockets`, as far as they may be seen; looks at every process of the host.
#[must_use]
pub fn owners(sockets: &[Socket]) -> Vec<Process> {
    if sockets.is_empty() {
        return Vec::new();
    }
    let owns = |process: &Process| {
        inodes_of(process.pid).is_ok_and(|inodes| sockets.iter().any(|socket| inodes.contains(&socket.inode)))
    };
    process::all().into_iter().filter(owns).collect()
}

/// Returns the process that listens on `port`, such as `pid 7 (nginx)`; `None` without one.
#[must_use]
pub fn holder(port: u16) -> Option<String> {
    let listening = sockets(|socket| socket.state == State::Listening && socket.local.port() == port).ok()?;
    if listening.is_empty() {
        return None;
    }
    let labels: Vec<String> = owners(&listening).iter().map(Process::label).collect();
    Some(if labels.is_empty() {
        "a process that cannot be seen from here (another account's, or another container's)".to_owned()
    } else {
        labels.join(", ")
    })
}

/// Parses a line of the table: number, local and remote address, state, …, the inode as the tenth field.
fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace();
    let local = address(fields.nth(1)?)?;
    let remote = address(fields.next()?)?;
    let state = match fields.next()? {
        "01" => State::Established,
        "0A" => State::Listening,
        _ => State::Other,
    };
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket { local, remote, state, inode })
}

/// Parses `0100007F:1F90`: words of 32 bits in the machine's own byte order, then the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word =
        |at: usize| Some(u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (at, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(octets).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_both_tables_are_parsed() {
        let v4 = parse("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0").unwrap();
        assert_eq!(v4.local, "127.0.0.1:8080".parse().unwrap());
        assert_eq!((v4.state, v4.inode), (State::Listening, 4242));
        let v6 = parse("  12: 0000000000000000FFFF00000100007F:2537 0000000000000000FFFF00000200000A:D431 01 00000000:00000000 02:000004D2 00000000   802        0 99 2 0 20 4 0 10 -1").unwrap();
        assert_eq!(v6.local, "127.0.0.1:9527".parse().unwrap());
        assert_eq!(v6.remote, "10.0.0.2:54321".parse().unwrap());
        assert_eq!(v6.state, State::Established);
        assert!(parse("  sl  local_address rem_address").is_none());
    }

    #[test]
    fn a_listening_and_a_connected_socket_are_found_with_their_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let stream = TcpStream::connect(at).unwrap();
        let listening = sockets(|s| s.state == State::Listening && s.local == at).unwrap();
        assert_eq!(listening.len(), 1);
        let connected = sockets(|s| s.state == State::Established && s.remote == at).unwrap();
        assert_eq!(connected.first().map(|s| s.local), Some(stream.local_addr().unwrap()));
        let own = inodes_of(std::process::id()).unwrap();
        assert!(listening.iter().chain(&connected).all(|socket| own.contains(&socket.inode)));
    }

    #[test]
    fn unused_port_has_no_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(holder(port).is_some());
        drop(listener);
        assert_eq!(holder(port), None);
    }

    #[test]
    fn a_process_that_is_gone_has_no_sockets() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(inodes_of(pid).unwrap().is_empty());
    }
}
