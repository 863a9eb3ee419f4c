//! SSH against real servers: OpenSSH's sshd where it is installed, and faulty servers in process.

mod faulty;
mod host_keys;
mod login;
mod shells;
pub(super) mod sshd;
mod start;

/// Returns an error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
