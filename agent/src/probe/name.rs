//! Names of hosts to addresses, as the host itself resolves them, without waiting long for a name server that is silent.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// How long one look-up may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer is believed: `/etc/hosts` may change while somebody waits.
const KEPT: Duration = Duration::from_secs(5);

/// Resolves names, and keeps the answers for a short while.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<String, (Instant, Result<Vec<IpAddr>, String>)>,
}

impl Names {
    /// Returns the addresses of `host`, which may be one.
    ///
    /// # Errors
    /// In words for people, when the name is not known or the answer does not come in time.
    pub fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if let Some((when, answer)) = self.known.get(host)
            && when.elapsed() < KEPT
        {
            return answer.clone();
        }
        let answer = resolve(host);
        self.known.insert(host.to_owned(), (Instant::now(), answer.clone()));
        answer
    }
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    let (tell, told) = channel();
    let name = host.to_owned();
    thread::spawn(move || {
        let found =
            (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect::<Vec<_>>());
        // nobody listens any more when it took too long
        tell.send(found).ok();
    });
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(format!("the name {host} is not known on this host")),
        Err(_) => Err(format!("no name server answered for {host} within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_for_themselves_and_names_are_looked_up() {
        let mut names = Names::default();
        assert_eq!(names.addresses("192.0.2.7"), Ok(vec!["192.0.2.7".parse().unwrap()]));
        assert!(names.addresses("localhost").unwrap().iter().all(IpAddr::is_loopback));
        assert!(names.addresses("no such name").unwrap_err().contains("no such name"));
    }
}
