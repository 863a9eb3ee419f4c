//! The lab itself, which all other tests rely on.

use std::path::Path;
use std::time::Duration;

use apim_tests::machine::{LabError, Machines, Owner, SUBNET, Topology, sweep};
use apim_tests::poll::until;

use super::lab;

fn topology() -> Topology {
    Topology::bare(2).expect("two hosts")
}

fn route() -> String {
    let output = std::process::Command::new("ip").args(["route", "show", SUBNET]).output().expect("ip runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn hosts_are_isolated_and_can_be_cut_killed_booted_and_reset() {
    let Some(lab) = lab(&topology()) else { return };

    let ids: Vec<_> =
        lab.hosts().iter().map(|host| lab.sh(&host.name, "cat /etc/machine-id; hostname")).collect();
    assert!(ids.iter().all(Result::is_ok), "{ids:?}");
    assert_ne!(ids[0].as_ref().ok(), ids[1].as_ref().ok());
    let processes = lab.sh("h1", "ps -eo args").expect("ps runs");
    assert!(processes.contains("sshd") && !processes.contains("systemd-nspawn"), "{processes}");
    assert_eq!(
        lab.sh("h1", "ls -A /opt /home/deploy/.ssh").expect("ls runs").trim(),
        "/home/deploy/.ssh:\nauthorized_keys\n\n/opt:"
    );

    // Stopping a service and its control group must not affect the other host.
    lab.sh("h1", "systemctl stop ssh").expect("ssh stops");
    assert!(!lab.answers("h1"));
    assert!(lab.answers("h2"));
    lab.sh("h1", "systemctl start ssh").expect("ssh starts");

    assert!(route().contains("blackhole"), "{}", route());
    lab.cut("h1").expect("h1 is cut");
    assert!(!lab.answers("h1"));
    assert!(lab.sh("h1", "true").is_ok(), "a cut host must keep running");
    lab.heal("h1").expect("h1 is healed");
    assert!(until(Duration::from_secs(10), || lab.answers("h1")));

    lab.sh("h1", "echo kept > /opt/mark; sync").expect("a mark is written");
    lab.kill("h1").expect("h1 is killed");
    assert!(!lab.is_on("h1") && lab.is_on("h2"));
    assert!(matches!(lab.sh("h1", "true"), Err(LabError::Host { .. })));
    lab.boot("h1").expect("h1 boots");
    assert_eq!(lab.sh("h1", "cat /opt/mark").expect("the mark exists"), "kept\n");
    lab.reset(&["h1"]).expect("h1 is reset");
    assert!(lab.sh("h1", "cat /opt/mark").is_err(), "a reset host has a new disk");

    let second = Machines::up(&topology(), Owner::Person);
    assert!(matches!(second, Err(LabError::Busy(_))), "a running lab was removed: {second:?}");

    lab.down().expect("the lab goes down");
    assert!(!Path::new("/run/apim-lab").exists());
    assert_eq!(route(), "");
}

#[test]
fn remains_of_a_dead_lab_are_removed() {
    let Some(lab) = lab(&topology()) else { return };
    // A killed process drops nothing: the lab stays, and its lock is released.
    std::mem::forget(lab);
    // This process still holds the lock, so only another process can be refused.
    let next = std::process::Command::new(apim_tests::cli::program("lab"))
        .args(["up", "1"])
        .output()
        .expect("lab runs");
    assert!(!next.status.success(), "the lab of a running process was removed");
    sweep().expect("everything is removed");
    assert!(!Path::new("/run/apim-lab").exists());
    assert_eq!(route(), "");
}
