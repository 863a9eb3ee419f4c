//! The door to the host: confinement, atomic writes, programs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use apim_protocol::value::{AbsPath, FileMode, Sha256};

use super::*;

fn rooted() -> (tempfile::TempDir, System) {
    let dir = tempfile::tempdir().unwrap();
    let system = System::new(Some(dir.path().to_path_buf()), None).unwrap();
    (dir, system)
}

fn path(text: &str) -> AbsPath {
    AbsPath::parse(text).unwrap()
}

#[test]
fn absolute_links_below_the_root_stay_below_it() {
    let (dir, system) = rooted();
    fs::create_dir_all(dir.path().join("opt/a/releases/1")).unwrap();
    symlink("/opt/a/releases/1", dir.path().join("opt/a/current")).unwrap();
    symlink("../../../../../../etc", dir.path().join("opt/a/escape")).unwrap();
    system.write(&path("/opt/a/current/x"), &Bytes::Memory(b"hi"), Attributes::default()).unwrap();
    assert_eq!(fs::read(dir.path().join("opt/a/releases/1/x")).unwrap(), b"hi");
    assert_eq!(system.resolve(&path("/opt/a/current/x")), system.root().join("opt/a/releases/1/x"));
    assert_eq!(system.resolve(&path("/opt/a/escape/passwd")), system.root().join("etc/passwd"));
    assert!(system.read(&path("/opt/a/escape/passwd"), 100).unwrap().is_none());
}

#[test]
fn a_link_at_the_destination_is_never_written_through() {
    let (dir, system) = rooted();
    fs::write(dir.path().join("victim"), "safe").unwrap();
    symlink("victim", dir.path().join("x")).unwrap();
    let error = system.write(&path("/x"), &Bytes::Memory(b"hi"), Attributes::default()).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read(dir.path().join("victim")).unwrap(), b"safe");
}

#[test]
fn a_link_planted_at_the_temporary_name_is_replaced_not_followed() {
    let (dir, system) = rooted();
    fs::write(dir.path().join("victim"), "safe").unwrap();
    symlink("victim", dir.path().join(".x.apim-deploy")).unwrap();
    system.write(&path("/x"), &Bytes::Memory(b"hi"), Attributes::default()).unwrap();
    assert_eq!(fs::read(dir.path().join("victim")).unwrap(), b"safe");
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), b"hi");
    assert!(fs::symlink_metadata(dir.path().join(".x.apim-deploy")).is_err());
}

#[test]
fn writing_keeps_the_mode_by_default() {
    let (dir, system) = rooted();
    let real = dir.path().join("x");
    fs::write(&real, "old").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    system.write(&path("/x"), &Bytes::Memory(b"new"), Attributes::default()).unwrap();
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
    let desired = Attributes { mode: Some(FileMode::new(0o600)), ..Attributes::default() };
    system.write(&path("/x"), &Bytes::Memory(b"new"), desired).unwrap();
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_pipe_is_refused_at_once() {
    let (dir, system) = rooted();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
    assert!(made.success());
    assert!(system.read(&path("/pipe"), 10).is_err());
}

#[test]
fn a_program_past_its_deadline_is_ended_with_its_children() {
    let (_dir, system) = rooted();
    let script = "sleep 600 & echo $!; wait";
    let program = Program { timeout_secs: 1, ..Program::new(["sh", "-c", script]) };
    let output = system.run(&program).unwrap();
    assert_eq!(output.ended, Ended::TimedOut(1));
    let child = output.stdout.trim();
    let gone =
        || fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z "));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !gone() && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(gone());
}

#[test]
fn output_and_environment_are_bounded() {
    let (_dir, system) = rooted();
    let program = Program::new(["sh", "-c", "seq 1 100000; env >&2; exit 3"]);
    let output = system.run(&program).unwrap();
    assert_eq!(output.ended, Ended::Exited(3));
    assert!(output.stdout.len() <= 64 * 1024 && output.stdout.ends_with("100000\n"));
    let mut names: Vec<&str> = output.stderr.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PATH"]);
}

#[test]
fn foreign_edits_differ_from_own_writes() {
    let (_dir, system) = rooted();
    let (x, ours, next, theirs) = (path("/x"), Sha256::of(b"1"), Sha256::of(b"2"), Sha256::of(b"3"));
    let state = system.state();
    assert!(!state.is_foreign_edit(&x, theirs).unwrap(), "never written by us");
    state.note_written(&x, ours).unwrap();
    assert!(state.is_foreign_edit(&x, theirs).unwrap());
    state.note_writing(&x, next).unwrap();
    assert!(!state.is_foreign_edit(&x, ours).unwrap(), "killed before the rename");
    assert!(!state.is_foreign_edit(&x, next).unwrap(), "killed after the rename");
    assert!(state.is_ours(&x, next).unwrap() && !state.is_ours(&x, theirs).unwrap());
    assert!(!state.is_ours(&path("/y"), ours).unwrap());
}

#[test]
fn state_files_are_readable_by_their_owner_only() {
    let (_dir, system) = rooted();
    system.state().write("units/x.json", &vec![1, 2]).unwrap();
    assert_eq!(system.state().read::<Vec<u32>>("units/x.json").unwrap(), Some(vec![1, 2]));
    let mode = fs::metadata(system.state().folder().join("units/x.json")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn owners_are_looked_up_below_the_root() {
    let (dir, system) = rooted();
    fs::create_dir_all(dir.path().join("etc")).unwrap();
    fs::write(dir.path().join("etc/passwd"), "app:x:4711:4712::/home/app:/bin/false\n").unwrap();
    fs::write(dir.path().join("etc/group"), "staff:x:815:\n").unwrap();
    assert_eq!(system.account("app").unwrap().unwrap().uid, 4711);
    assert_eq!(system.account_name(4711), "app");
    assert_eq!(system.group("staff").unwrap().unwrap().gid, 815);
    assert!(system.account("root").unwrap().is_none());
}
