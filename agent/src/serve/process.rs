//! What the agent's own process is like: its build, its mask, its limits.

use std::fs::File;
use std::io;

use apim_protocol::value::Sha256;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Returns the digest of the agent's own executable.
///
/// # Errors
/// When it cannot be read.
pub fn own_build() -> io::Result<String> {
    Sha256::of_reader(&mut File::open("/proc/self/exe")?).map(|digest| digest.to_string())
}

/// Makes the process fit for its work: a known mask, no core dumps (they would hold secrets), no folder held busy.
pub fn prepare_process() {
    umask(Mode::from_raw_mode(0o022));
    let core = getrlimit(Resource::Core);
    // Each of these can fail only where it does no harm.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: core.maximum }).ok();
    std::env::set_current_dir("/").ok();
}
