//! The process lab against OpenSSH's own client.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{Fault, ProcessHost, ProcessLab};

fn ssh(lab: &ProcessLab, host: &ProcessHost, line: &str) -> Command {
    let mut command = Command::new("ssh");
    command
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "LogLevel=ERROR",
        ])
        .args(["-o", "IdentitiesOnly=yes", "-l", super::USER])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", lab.known_hosts().display()))
        .arg("-i")
        .arg(lab.key())
        .args(["-p", &host.address.port().to_string(), &host.address.ip().to_string(), line])
        .stdin(Stdio::null());
    command
}

fn output(lab: &ProcessLab, host: &ProcessHost, line: &str) -> Output {
    ssh(lab, host, line).output().expect("ssh starts")
}

#[test]
fn runs_commands_and_returns_what_they_say_and_how_they_end() {
    let lab = ProcessLab::up(&["a", "b"]).expect("the lab comes up");
    for host in lab.hosts() {
        let output = output(&lab, host, "echo out; echo err >&2; pwd >&2; exit 7");
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("err\n"), "{output:?}");
        assert_eq!(host.commands().len(), 1);
    }
}

#[test]
fn carries_a_large_input_unharmed_and_ends_it() {
    let lab = ProcessLab::up(&["a"]).expect("the lab comes up");
    let host = &lab.hosts()[0];
    let file = lab.folder().join("large");
    let bytes: Vec<u8> = (0..6_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&file, &bytes).expect("a file");
    let output = ssh(&lab, host, "cat > copy && wc -c < copy")
        .stdin(std::fs::File::open(&file).expect("the file"))
        .output()
        .expect("ssh starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "6000000");
    let copy = std::fs::read(lab.folder().join("a/home/copy")).expect("the copy");
    assert!(copy == bytes, "the copy differs");
    assert!(host.traffic().received > 6_000_000);
}

#[test]
fn breaks_as_told_and_recovers() {
    let lab = ProcessLab::up(&["a"]).expect("the lab comes up");
    let host = &lab.hosts()[0];
    host.fault(Fault::Refuse);
    assert_eq!(output(&lab, host, "true").status.code(), Some(255));
    host.fault(Fault::None);
    assert_eq!(output(&lab, host, "true").status.code(), Some(0));

    let mut client = ssh(&lab, host, "echo ready; cat; echo gone > ended")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh starts");
    let mut ready = [0; 6];
    let stdout = client.stdout.as_mut().expect("its output");
    std::io::Read::read_exact(stdout, &mut ready).expect("the command has begun");
    host.fault(Fault::Refuse);
    assert_eq!(client.wait().expect("ssh ends").code(), Some(255));
    // The command outlives the connection: it sees its input end, and goes on.
    let ended = lab.folder().join("a/home/ended");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ended.exists() {
        assert!(Instant::now() < deadline, "the command did not see its input end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
