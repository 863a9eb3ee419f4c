//! Answering questions about the host itself. Names and connections have their own files.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use apim_protocol::observation::{Account, Answer, Entry};
use apim_protocol::query::examine::Question;
use apim_protocol::value::{AbsPath, UnitName};
use rustix::process::{Resource, geteuid, getrlimit};

use crate::operation::support::version;
use crate::probe::process;
use crate::probe::process::Process;
use crate::query::examine::{machine, names, network};
use crate::system::{Kind, Program, System, SystemError};

/// The longest text that is handed over.
const TEXT_LIMIT: u64 = 4 * 1024;
/// A file that is searched is read up to this size.
const SEARCH_LIMIT: u64 = 4 * 1024 * 1024;
/// The most names of a folder.
const MOST_NAMES: usize = 200;
/// Programs that keep a clock right, as the kernel cuts their names.
const KEEPERS: [&str; 6] = ["chronyd", "systemd-timesyn", "ntpd", "openntpd", "ntpsec", "ptp4l"];
/// Where systemd's own library lies, whose name holds the version.
const LIBRARIES: [&str; 5] = [
    "/usr/lib/systemd",
    "/lib/systemd",
    "/usr/lib/x86_64-linux-gnu/systemd",
    "/usr/lib/aarch64-linux-gnu/systemd",
    "/usr/lib64/systemd",
];

/// Answers questions; caches what several answers need.
pub(super) struct Asked<'a> {
    system: &'a System,
    processes: Option<Vec<Process>>,
}

impl<'a> Asked<'a> {
    pub(super) const fn new(system: &'a System) -> Self {
        Self { system, processes: None }
    }

    pub(super) fn answer(&mut self, question: &Question) -> Answer {
        let system = self.system;
        match question {
            Question::Agent => self.agent(),
            Question::Clock => self.clock(),
            Question::Space(folder) => self.space(folder),
            Question::Listeners { ports, own } => network::listeners(system, ports, own, self.processes()),
            Question::Names { names, marker } => names::names(system, names, marker.as_deref()),
            Question::Reach(peers) => network::reach(peers),
            Question::Text(path) => match system.read(path, TEXT_LIMIT) {
                Ok(text) => Answer::Text(text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
                Err(error) => unknown(&error),
            },
            Question::Version(of) => match version::find(of, system) {
                Ok(found) => Answer::Version { found: Some(found.version), whence: found.whence },
                Err(error) => Answer::Version { found: None, whence: error.to_string() },
            },
            Question::Entry { path, digest } => self.entry(path, *digest).unwrap_or_else(|e| unknown(&e)),
            Question::Account(name) => match system.account(name) {
                Ok(found) => Answer::Account(found.map(|it| Account { uid: it.uid, shell: it.shell })),
                Err(error) => unknown(&error),
            },
            Question::Machine => Answer::Machine(Box::new(machine::machine(system))),
            Question::Within(folder) => self.within(folder).unwrap_or_else(|e| unknown(&e)),
            Question::Link(path) => match system.link_target(path) {
                Ok(target) => Answer::Text(target.map(|target| target.display().to_string())),
                Err(error) => unknown(&error),
            },
            Question::Unit { unit, properties } => self.unit(unit, properties),
            Question::Holds { path, texts } => match system.read(path, SEARCH_LIMIT) {
                Ok(None) => Answer::Holds(Vec::new()),
                Ok(Some(bytes)) => {
                    let held = String::from_utf8_lossy(&bytes);
                    Answer::Holds(texts.iter().map(|text| held.contains(text.as_str())).collect())
                }
                Err(error) => unknown(&error),
            },
        }
    }

    fn processes(&mut self) -> &[Process] {
        self.processes.get_or_insert_with(process::all)
    }

    fn agent(&self) -> Answer {
        Answer::Agent {
            uid: geteuid().as_raw(),
            rooted: self.system.is_rooted(),
            open_files: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            systemd: if self.system.has_systemd() { self.systemd_version() } else { None },
        }
    }

    /// From the name of its library; the program runs only where that is elsewhere.
    fn systemd_version(&self) -> Option<u32> {
        let number = |name: &str| -> Option<u32> {
            let rest = name.strip_prefix("libsystemd-shared-")?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let named = LIBRARIES
            .iter()
            .filter_map(|folder| self.system.names(&AbsPath::parse(folder).ok()?).ok())
            .find_map(|names| names.iter().find_map(|name| number(name)));
        named.or_else(|| {
            let program = Program { timeout_secs: 5, ..Program::new(["systemctl", "--version"]) };
            let said = self.system.run(&program).ok()?.stdout;
            said.split_whitespace().nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        })
    }

    fn clock(&mut self) -> Answer {
        let keeper = self.processes().iter().find(|process| KEEPERS.contains(&process.name.as_str()));
        let keeper = keeper.map(|process| process.name.clone());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Answer::Clock { unix_millis: u64::try_from(now.as_millis()).unwrap_or(u64::MAX), keeper }
    }

    fn space(&self, folder: &AbsPath) -> Answer {
        let mut folder = folder.clone();
        loop {
            let real = self.system.resolve(&folder);
            if real.is_dir() || folder.as_str() == "/" {
                return match (rustix::fs::statvfs(&real), rustix::fs::stat(&real)) {
                    (Ok(room), Ok(stat)) => Answer::Space {
                        device: stat.st_dev,
                        folder: folder.to_string(),
                        free_bytes: room.f_bavail.saturating_mul(room.f_frsize),
                    },
                    (Err(error), _) | (_, Err(error)) => {
                        Answer::Unknown(format!("cannot look at the file system of {folder}: {error}"))
                    }
                };
            }
            folder = folder.parent();
        }
    }

    fn entry(&self, path: &AbsPath, digest: bool) -> Result<Answer, SystemError> {
        let Some(stat) = self.system.stat(path)? else { return Ok(Answer::Entry(None)) };
        let sha256 = match (digest, stat.kind) {
            (true, Kind::File) => self.system.digest(path)?.map(|digest| digest.to_string()),
            _ => None,
        };
        let kind = match stat.kind {
            Kind::File => "file",
            Kind::Directory => "folder",
            Kind::Link => "link",
            Kind::Other => "other",
        };
        Ok(Answer::Entry(Some(Entry {
            kind: kind.to_owned(),
            mode: stat.mode.bits(),
            owner: self.system.account_name(stat.uid),
            group: self.system.group_name(stat.gid),
            sha256,
        })))
    }

    fn within(&self, folder: &AbsPath) -> Result<Answer, SystemError> {
        if !self.system.stat_followed(folder)?.is_some_and(|stat| stat.kind == Kind::Directory) {
            return Ok(Answer::Within(Vec::new()));
        }
        let mut names = self.system.names(folder)?;
        names.sort_unstable();
        names.truncate(MOST_NAMES);
        Ok(Answer::Within(names))
    }

    fn unit(&self, unit: &UnitName, properties: &[String]) -> Answer {
        if !self.system.has_systemd() {
            return Answer::Unit(BTreeMap::new());
        }
        let wanted = format!("--property={}", properties.join(","));
        let argv = ["systemctl".to_owned(), "show".to_owned(), wanted, format!("{unit}.service")];
        let program = Program { timeout_secs: 10, ..Program::new(argv) };
        match self.system.run(&program) {
            Ok(output) if output.ended.is_success() => {
                let pairs = output.stdout.lines().filter_map(|line| line.split_once('='));
                Answer::Unit(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
            }
            Ok(output) => Answer::Unknown(format!("systemctl: {}", output.ended)),
            Err(error) => unknown(&error),
        }
    }
}

fn unknown(error: &SystemError) -> Answer {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Answer::Unknown(format!("{error}{cause}"))
}
