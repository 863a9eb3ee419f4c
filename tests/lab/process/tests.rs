//! The process lab with the client of OpenSSH.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::poll::until;

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
fn commands_return_output_and_exit_code() {
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
fn large_input_arrives_complete() {
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
fn refused_connections_fail_and_recover() {
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
    std::io::Read::read_exact(stdout, &mut ready).expect("the command has started");
    host.fault(Fault::Refuse);
    assert_eq!(client.wait().expect("ssh ends").code(), Some(255));
    // The command continues after the connection was lost: its input ends.
    let ended = lab.folder().join("a/home/ended");
    assert!(until(Duration::from_secs(10), || ended.exists()), "the input of the command did not end");
}
