//! Checks of hooks without calling them: whether the program exists and the host name resolves.

use std::net::ToSocketAddrs as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use apim_product::hook::{Call, Hook};

/// Returns why a hook cannot work from this machine, as far as this can be checked without calling
/// it. May query DNS.
#[must_use]
pub fn check(hook: &Hook) -> Option<String> {
    match &hook.call {
        Call::Command(program) if program.on.is_some() => None,
        Call::Command(program) => {
            let name = program.argv.first()?;
            (!is_program(name)).then(|| format!("`{name}` is not an executable program on this machine"))
        }
        Call::Http(call) => {
            let url = url::Url::parse(&call.url).ok()?;
            let (host, port) = (url.host_str()?, url.port_or_known_default()?);
            let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
            found.err().map(|error| format!("cannot resolve `{host}`: {error}"))
        }
    }
}

fn is_program(name: &str) -> bool {
    let is_executable = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return is_executable(Path::new(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_executable(&folder.join(name)))
}
