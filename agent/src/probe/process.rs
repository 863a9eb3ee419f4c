//! Processes as `/proc` shows them: recognized by their command line, identified by pid and start time together.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use crate::probe::clock::since_boot;
use crate::probe::text::{harmless, shortened};

/// How much of a command line is read, in bytes.
const COMMAND_LINE_LIMIT: u64 = 1024 * 1024;

/// A process that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub parent: u32,
    /// The session that it belongs to.
    pub session: u32,
    /// How long after boot it began; with the number this is one process and no other.
    pub started: Duration,
    /// Its resident memory in bytes.
    pub memory_bytes: u64,
    /// The kernel's short name of it.
    pub name: String,
    /// Its command line.
    pub arguments: Vec<String>,
}

impl Process {
    /// Returns the process with this number, unless there is none, it is a zombie or belongs to the kernel.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        Self::read_below(Path::new("/proc"), pid)
    }

    fn read_below(proc: &Path, pid: u32) -> Option<Self> {
        let folder = proc.join(pid.to_string());
        let stat = Stat::parse(&fs::read(folder.join("stat")).ok()?)?;
        let arguments = command_line(&folder.join("cmdline"))?;
        if stat.is_zombie || arguments.is_empty() {
            return None;
        }
        Some(Self {
            pid,
            parent: stat.parent,
            session: stat.session,
            started: stat.started,
            memory_bytes: stat.memory_bytes,
            name: stat.name,
            arguments,
        })
    }

    /// Says whether this very process still lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = fs::read(format!("/proc/{}/stat", self.pid)).ok().and_then(|stat| Stat::parse(&stat));
        stat.is_some_and(|stat| stat.started == self.started && !stat.is_zombie)
    }

    /// Returns how long it has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        since_boot().saturating_sub(self.started)
    }

    /// Says whether an argument of the command line holds `text`; a text with a path in it must stand between the
    /// borders of path parts, so that `/srv/node` is not found in `/srv/node-2`.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        self.arguments.iter().any(|argument| argument_holds(argument, text))
    }

    /// Says whether it runs in the agent's own process namespace, and not in a container on the same host.
    fn is_of_this_host(&self) -> bool {
        match (fs::read_link(format!("/proc/{}/ns/pid", self.pid)), fs::read_link("/proc/self/ns/pid")) {
            (Ok(its), Ok(own)) => its == own,
            _ => true,
        }
    }

    /// Says whether systemd counts it to the service `unit` (without `.service`).
    #[must_use]
    pub fn is_in_unit(&self, unit: &str) -> bool {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        let folder = format!("{unit}.service");
        groups.lines().any(|line| line.split('/').any(|part| part == folder))
    }

    /// Returns `pid 42 (java)`, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        format!("pid {} ({})", self.pid, self.name)
    }
}

/// Returns all processes but the agent's own and the kernel's.
#[must_use]
pub fn all() -> Vec<Process> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid != own).filter_map(Process::read).collect()
}

/// How a service's own process is recognized: one text of each group must be in its command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    groups: Vec<Vec<String>>,
}

impl Matcher {
    /// Returns the matcher for these groups; without a group nothing is matched.
    #[must_use]
    pub const fn new(groups: Vec<Vec<String>>) -> Self {
        Self { groups }
    }

    /// Says whether it matches nothing at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Says whether `process` is meant.
    #[must_use]
    pub fn matches(&self, process: &Process) -> bool {
        let holds = |group: &Vec<String>| group.iter().any(|text| process.holds(text));
        !self.groups.is_empty() && self.groups.iter().all(holds) && process.is_of_this_host()
    }

    /// Returns the processes that are meant, oldest first.
    #[must_use]
    pub fn find(&self) -> Vec<Process> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut found = all();
        found.retain(|process| self.matches(process));
        found.sort_by_key(|process| (process.started, process.pid));
        found
    }
}

fn argument_holds(argument: &str, text: &str) -> bool {
    if !text.contains('/') {
        return argument.contains(text);
    }
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    argument.match_indices(text).any(|(at, _)| {
        let before = argument.get(..at).and_then(|part| part.chars().next_back());
        let after = argument.get(at + text.len()..).and_then(|part| part.chars().next());
        let begins = !text.starts_with('/') || !before.is_some_and(continues);
        let ends = text.ends_with('/') || !after.is_some_and(continues);
        begins && ends
    })
}

fn command_line(path: &Path) -> Option<Vec<String>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(COMMAND_LINE_LIMIT).read_to_end(&mut bytes).ok()?;
    let line = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if line.is_empty() {
        return Some(Vec::new());
    }
    Some(line.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect())
}

struct Stat {
    name: String,
    is_zombie: bool,
    parent: u32,
    session: u32,
    started: Duration,
    memory_bytes: u64,
}

impl Stat {
    /// Parses `/proc/PID/stat`; the name is in parentheses and may contain anything, parentheses too.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, tail) = text.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        // fields counted from the state, which is field 3 of proc(5)
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let started = number(22)?;
        let millis = started.saturating_mul(1000) / ticks;
        Some(Self {
            name: shortened(&harmless(name.as_bytes()), 32),
            is_zombie: matches!(fields.first(), Some(&"Z" | &"X" | &"x")),
            parent: u32::try_from(number(4)?).ok()?,
            session: u32::try_from(number(6)?).ok()?,
            started: Duration::from_millis(millis),
            memory_bytes: number(24)?.saturating_mul(rustix::param::page_size() as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn matching(texts: &[&str]) -> Vec<Process> {
        Matcher::new(texts.iter().map(|text| vec!["no such text".to_owned(), (*text).to_owned()]).collect())
            .find()
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_parsed() {
        let line = b"77 (a) b (c) S 5 77 76 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 30 0 1234 99999 250 18446744073709551615";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.name, "a) b (c");
        assert_eq!((stat.parent, stat.session, stat.is_zombie), (5, 76, false));
        assert_eq!(stat.started.as_millis() as u64, 1_234_000 / rustix::param::clock_ticks_per_second());
    }

    #[test]
    fn paths_are_matched_at_the_borders_of_their_parts() {
        assert!(argument_holds("-Dhome=/srv/node", "/srv/node"));
        assert!(argument_holds("-Dhome=/srv/node/releases/1", "/srv/node"));
        assert!(argument_holds("-Dhome=/srv/node:/x", "-Dhome=/srv/node"));
        assert!(!argument_holds("-Dhome=/srv/node-2", "/srv/node"));
        assert!(!argument_holds("-Dhome=/mnt/srv/node", "/nt/srv/node"));
        assert!(!argument_holds("/mnt/srv/node", "/srv/node"));
        assert!(argument_holds("com.example.Server", "example"));
    }

    #[test]
    fn a_child_is_found_by_all_its_texts_and_gone_after_its_end() {
        let mark = format!("marker-{}-{:?}", std::process::id(), std::thread::current().id());
        let mut child =
            Command::new("sh").args(["-c", "read x", &mark]).stdin(Stdio::piped()).spawn().unwrap();
        let found = matching(&["read x", &mark]);
        assert_eq!(found.iter().map(|p| p.pid).collect::<Vec<_>>(), [child.id()]);
        let process = found.first().unwrap();
        assert_eq!(process.parent, std::process::id());
        assert!(process.is_alive() && process.memory_bytes > 0 && process.uptime() < Duration::from_secs(60));
        assert!(matching(&[&mark, "another text"]).is_empty());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(matching(&[&mark]).is_empty());
    }

    #[test]
    fn nothing_is_matched_by_no_text_and_the_agent_never_matches_itself() {
        assert!(matching(&[]).is_empty());
        assert!(all().iter().all(|process| process.pid != std::process::id()));
    }
}
