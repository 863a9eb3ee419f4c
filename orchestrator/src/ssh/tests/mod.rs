//! SSH against real servers: OpenSSH's sshd where it is installed, and faulty servers in process.

mod faulty;
mod host_keys;
mod login;
mod shells;
mod sshd;
mod start;
