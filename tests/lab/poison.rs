//! Recognizable secrets, and the search for them in texts, in files, and in the process list.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use regex::bytes::RegexSet;

/// The interval between two checks of the process list.
const INTERVAL: Duration = Duration::from_millis(10);

/// Named secrets that do not occur anywhere else.
#[derive(Debug, Clone, Default)]
pub struct Poison {
    secrets: Vec<(String, String)>,
}

impl Poison {
    /// Adds a random secret and returns its text.
    ///
    /// # Panics
    /// If the kernel has no random numbers.
    pub fn add_random(&mut self, name: &str) -> String {
        let random = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("random numbers");
        let text: String = format!("Poison{}", random.replace('-', "")).chars().take(24).collect();
        self.add(name, &text);
        text
    }

    /// Adds an existing secret.
    pub fn add(&mut self, name: &str, text: &str) {
        self.secrets.push((name.to_owned(), text.to_owned()));
    }

    /// Returns the names of the secrets in `bytes`, in plain text or base64.
    #[must_use]
    pub fn in_bytes(&self, bytes: &[u8]) -> Vec<String> {
        self.search().in_bytes(bytes)
    }

    fn search(&self) -> Search {
        let encoded = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.encode(text);
        let forms =
            self.secrets.iter().flat_map(|(_, text)| [regex::escape(text), regex::escape(&encoded(text))]);
        Search {
            forms: RegexSet::new(forms).expect("escaped texts are regular expressions"),
            names: self.secrets.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Returns the files below `root` that contain secrets, as `path: names`.
    ///
    /// # Panics
    /// If an existing file cannot be read.
    #[must_use]
    pub fn in_files(&self, root: &Path, which: Which) -> Vec<String> {
        let search = self.search();
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                let Ok(about) = fs::symlink_metadata(&path) else { continue };
                let mode = about.permissions().mode();
                if about.is_dir() {
                    // Files below a folder without access for others are not world-readable.
                    if which == Which::Everyone || mode & 0o001 != 0 {
                        folders.push(path);
                    }
                } else if about.is_file() && (which == Which::Everyone || mode & 0o004 != 0) {
                    found.extend(search.in_file(&path));
                }
            }
        }
        found.sort();
        found
    }

    /// Starts checking the arguments of every process of this machine, including lab hosts.
    #[must_use]
    pub fn watch_processes(&self) -> Watch {
        let (search, stop, checks) =
            (self.search(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&checks));
        let thread = std::thread::spawn(move || {
            let mut found = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                for arguments in arguments_of_all() {
                    for name in search.in_bytes(&arguments) {
                        let line = String::from_utf8_lossy(&arguments).replace('\0', " ");
                        found.insert(format!("{name} in `{}`", line.trim()));
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                // The polling interval; short-lived processes are missed in between.
                std::thread::sleep(INTERVAL);
            }
            found.into_iter().collect()
        });
        Watch { thread, stop, checks }
    }
}

/// The secrets in two forms each: plain text and base64.
struct Search {
    forms: RegexSet,
    names: Vec<String>,
}

impl Search {
    fn in_bytes(&self, bytes: &[u8]) -> Vec<String> {
        let found: BTreeSet<usize> = self.forms.matches(bytes).into_iter().map(|form| form / 2).collect();
        found.into_iter().filter_map(|at| self.names.get(at)).cloned().collect()
    }

    fn in_file(&self, path: &PathBuf) -> Option<String> {
        let names = self.in_bytes(&fs::read(path).ok()?);
        (!names.is_empty()).then(|| format!("{}: {}", path.display(), names.join(", ")))
    }
}

/// The files to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Every file.
    Everyone,
    /// Files that every account of the machine can read.
    World,
}

/// Watches the process list.
#[derive(Debug)]
pub struct Watch {
    thread: JoinHandle<Vec<String>>,
    stop: Arc<AtomicBool>,
    checks: Arc<AtomicU64>,
}

impl Watch {
    /// Ends the watch and returns the secrets found.
    ///
    /// # Panics
    /// If the process list was never checked.
    #[must_use]
    pub fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let found = self.thread.join().expect("the watch ends");
        assert!(self.checks.load(Ordering::Relaxed) > 0, "the process list was never checked");
        found
    }

    /// Returns how often the process list was checked so far.
    #[must_use]
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }
}

fn arguments_of_all() -> impl Iterator<Item = Vec<u8>> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()))
        .filter(move |pid| *pid != own)
        .filter_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::poll::until;

    #[test]
    fn finds_only_planted_secrets() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let mut poison = Poison::default();
        let text = poison.add_random("planted");
        let write = |name: &str, text: &str, mode| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        write("clean", "nothing", 0o644);
        write("private", &text, 0o600);
        assert_eq!(poison.in_files(folder.path(), Which::World), Vec::<String>::new());
        assert_eq!(poison.in_files(folder.path(), Which::Everyone).len(), 1);
        write("open", &format!("a = \"{text}\""), 0o644);
        write("encoded", &base64::engine::general_purpose::STANDARD.encode(&text), 0o644);
        assert_eq!(poison.in_files(folder.path(), Which::World).len(), 2);

        let watch = poison.watch_processes();
        let mut sleep = Command::new("sleep");
        let mut process =
            sleep.arg0(format!("sleep-{text}")).arg("60").stdin(Stdio::null()).spawn().expect("sleep starts");
        let checks = watch.checks();
        assert!(until(Duration::from_secs(20), || watch.checks() > checks + 2));
        process.kill().expect("sleep ends");
        process.wait().expect("sleep ended");
        let found = watch.end();
        assert!(found.iter().any(|line| line.starts_with("planted in")), "{found:?}");
    }
}
