//! Names of hosts to addresses, as the host itself resolves them, without waiting long for a name server that is silent.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// How long one look-up may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer is cached: `/etc/hosts` may change during a wait.
const KEPT: Duration = Duration::from_secs(5);

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The host does not know it.
    #[error("the name {0} is not known on this host")]
    Unknown(String),
    /// The answer did not come in time.
    #[error("no name server answered for {0} within {secs} s", secs = PATIENCE.as_secs())]
    Silent(String),
}

/// Resolves names, and keeps the answers for a short while.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<String, (Instant, Result<Vec<IpAddr>, NameError>)>,
}

impl Names {
    /// Returns the addresses of `host`, which may be one.
    ///
    /// # Errors
    /// When the name is unknown or the answer does not come in time.
    pub fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, NameError> {
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

fn resolve(host: &str) -> Result<Vec<IpAddr>, NameError> {
    let (tell, told) = channel();
    let name = host.to_owned();
    thread::spawn(move || {
        let found =
            (name.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect::<Vec<_>>());
        // the receiver is gone when it took too long
        tell.send(found).ok();
    });
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(NameError::Unknown(host.to_owned())),
        Err(_) => Err(NameError::Silent(host.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_returned_and_names_resolved() {
        let mut names = Names::default();
        assert_eq!(names.addresses("192.0.2.7"), Ok(vec!["192.0.2.7".parse().unwrap()]));
        assert!(names.addresses("localhost").unwrap().iter().all(IpAddr::is_loopback));
        assert!(names.addresses("no such name").unwrap_err().to_string().contains("no such name"));
    }
}
