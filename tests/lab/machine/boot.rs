//! Starts and kills hosts, and finds their processes. Every host has its own control groups, so that no
//! host can affect another.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::command::run;
use super::state::DIRECTORY;
use super::topology::Host;
use super::{LabError, network, root};

const GROUP: &str = "apim-lab";
/// The time limit until killed processes are gone.
const DEATH_DEADLINE: Duration = Duration::from_secs(15);
/// The polling interval.
const INTERVAL: Duration = Duration::from_millis(20);

/// Joins the control groups before `--`, then executes the command after it.
const JOIN: &str =
    r#"while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done; shift; exec setsid "$@""#;

/// Starts the host on its disk. Does not wait until it has booted.
pub(super) fn start(host: &Host) -> Result<(), LabError> {
    if leader(&host.name).is_some() {
        return Err(LabError::Host { host: host.name.clone(), what: "is already on".to_owned() });
    }
    let console = Path::new(DIRECTORY).join("hosts").join(&host.name).join("console");
    let out = fs::File::create(&console).map_err(LabError::file("create", &console))?;
    let err = out.try_clone().map_err(LabError::file("open", &console))?;
    let mut command = Command::new("sh");
    command.args(["-c", JOIN, "sh"]);
    for group in groups(&host.name) {
        fs::create_dir_all(&group).map_err(LabError::file("create", &group))?;
        command.arg(group);
    }
    command
        .args(["--", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot"])
        .args(["--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no"])
        .arg(format!("--machine={}", host.name))
        .arg(format!("--directory={}", root::mounted(&host.name).display()))
        .arg(format!("--network-namespace-path={}", network::namespace_path(&host.name)))
        .arg("systemd.log_target=journal")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .spawn()
        .map(drop)
        .map_err(|source| LabError::Start { program: "systemd-nspawn".to_owned(), source })
}

/// The control groups of the host, one per hierarchy that systemd uses.
fn groups(host: &str) -> Vec<PathBuf> {
    hierarchies().into_iter().map(|hierarchy| hierarchy.join(GROUP).join(host)).collect()
}

fn hierarchies() -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    if top.join("cgroup.controllers").exists() {
        return vec![top.to_owned()];
    }
    ["systemd", "unified"]
        .iter()
        .map(|name| top.join(name))
        .filter(|path| path.join("cgroup.procs").exists())
        .collect()
}

/// Returns the process id of the host's init process on this machine.
pub(super) fn leader(host: &str) -> Option<Pid> {
    processes(&groups(host))
        .into_iter()
        .find(|pid| namespace_ids(*pid).is_some_and(|ids| ids.len() > 1 && ids.last() == Some(&1)))
}

/// Returns the ids of a process, from the namespace of this machine to the innermost one.
fn namespace_ids(pid: Pid) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}

/// Returns all processes in `groups` and their subgroups.
fn processes(groups: &[PathBuf]) -> Vec<Pid> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = groups.to_vec();
    while let Some(folder) = folders.pop() {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw));
        if let Ok(entries) = fs::read_dir(&folder) {
            folders.extend(
                entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()),
            );
        }
    }
    found
}

/// Kills all processes of the host at once.
pub(super) fn kill(host: &str) -> Result<(), LabError> {
    end(&groups(host)).map_err(|left| LabError::Host {
        host: host.to_owned(),
        what: format!("could not be killed: processes {left:?} are still running"),
    })
}

fn end(groups: &[PathBuf]) -> Result<(), Vec<Pid>> {
    let deadline = Instant::now() + DEATH_DEADLINE;
    loop {
        let left = processes(groups);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(left);
        }
        for pid in left {
            // It may have ended already.
            rustix::process::kill_process(pid, Signal::KILL).unwrap_or_default();
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Kills all processes of all hosts, and removes their control groups.
pub(super) fn end_all() -> Result<(), LabError> {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(GROUP);
        if !group.exists() {
            continue;
        }
        end(std::slice::from_ref(&group)).map_err(|left| LabError::Host {
            host: "of a lab".to_owned(),
            what: format!("could not be killed: processes {left:?} are still running"),
        })?;
        remove_group(&group)?;
    }
    Ok(())
}

fn remove_group(group: &Path) -> Result<(), LabError> {
    let entries = fs::read_dir(group).map_err(LabError::file("list", group))?;
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_group(&entry.path())?;
    }
    fs::remove_dir(group).map_err(LabError::file("remove", group))
}

/// Returns a command that runs `argv` inside the host, without its network.
pub(super) fn enter(host: &Host, argv: &[&str]) -> Result<Command, LabError> {
    let leader = leader(&host.name)
        .ok_or_else(|| LabError::Host { host: host.name.clone(), what: "is off".to_owned() })?;
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &leader.as_raw_nonzero().to_string()])
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/", "--"])
        .args(argv)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/root");
    Ok(command)
}

/// Whether an SSH server sends its greeting at this address.
pub(super) fn ssh_answers(address: Ipv4Addr) -> bool {
    let place = SocketAddr::from((address, 22));
    let Ok(mut stream) = TcpStream::connect_timeout(&place, Duration::from_millis(500)) else { return false };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && greeting == *b"SSH-"
}

/// Waits until sshd of every host answers.
pub(super) fn await_ssh(hosts: &[&Host], limit: Duration) -> Result<(), LabError> {
    let deadline = Instant::now() + limit;
    for host in hosts {
        while !ssh_answers(host.address) {
            if Instant::now() > deadline {
                let what = format!(
                    "did not answer on port 22 within {limit:?}; last lines of its console: {}",
                    console(host)
                );
                return Err(LabError::Host { host: host.name.clone(), what });
            }
            std::thread::sleep(INTERVAL);
        }
    }
    Ok(())
}

fn console(host: &Host) -> String {
    let path = Path::new(DIRECTORY).join("hosts").join(&host.name).join("console");
    let text = run("tail", &["-n", "20", &path.to_string_lossy()]).unwrap_or_default();
    if text.trim().is_empty() { "nothing".to_owned() } else { text.trim().to_owned() }
}
