//! Reading what the host says of itself, once, for Hello. Every text is cut to a bound.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use apim_protocol::facts::Facts;
use apim_protocol::value::{AbsPath, Sha256};
use rustix::process::geteuid;
use rustix::system::uname;

use super::host::System;

impl System {
    /// Returns what the host says of itself; what cannot be read stays empty.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let name = uname();
        let release = self.release();
        let field = |key: &str| {
            let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            bounded(line.unwrap_or_default().trim().trim_matches(['"', '\'']))
        };
        Facts {
            hostname: bounded(&name.nodename().to_string_lossy()),
            machine: self.machine(),
            architecture: bounded(&name.machine().to_string_lossy()),
            kernel: bounded(&name.release().to_string_lossy()),
            os: field("ID"),
            os_version: field("VERSION_ID"),
            processors: std::thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
            memory_bytes: memory().unwrap_or(0),
            disk_free_bytes: self.disk_free(),
            systemd: self.has_systemd(),
            clock_secs: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            uid: geteuid().as_raw(),
        }
    }

    /// The machine-id itself must stay on the host: systemd's machine-id(5) requires a keyed digest instead.
    fn machine(&self) -> String {
        let read = |path| self.read(&AbsPath::parse(path).ok()?, 1024).ok()?;
        let id = read("/etc/machine-id").map(|id| id.trim_ascii().to_vec()).filter(|id| !id.is_empty());
        id.map(|id| Sha256::of(&[b"apim-deploy host ", id.as_slice()].concat()).short()).unwrap_or_default()
    }

    fn release(&self) -> String {
        let read = |path| {
            let bytes = self.read(&AbsPath::parse(path).ok()?, 64 * 1024).ok()??;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default()
    }

    /// Returns the free bytes where `/opt` lies (or would lie).
    fn disk_free(&self) -> u64 {
        let opt = self.root().join("opt");
        let folder: &Path = if opt.is_dir() { &opt } else { self.root() };
        rustix::fs::statvfs(folder).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_identify_the_host() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/os-release"), "NAME=X\nID=debian\nVERSION_ID=\"12\"\n").unwrap();
        let facts = System::new(Some(dir.path().to_path_buf()), None).unwrap().facts();
        assert_eq!((facts.os.as_str(), facts.os_version.as_str()), ("debian", "12"));
        assert!(facts.memory_bytes > 1 << 20 && facts.disk_free_bytes > 0 && facts.processors > 0);
        assert!(!facts.systemd && !facts.architecture.is_empty() && facts.clock_secs > 1_700_000_000);
    }
}
