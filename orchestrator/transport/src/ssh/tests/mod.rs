//! SSH against real servers: OpenSSH's sshd where it is installed, and faulty servers in process.

mod faulty;
mod host_keys;
mod login;
mod shells;
pub(super) mod sshd;
mod start;
