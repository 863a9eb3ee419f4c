//! The real binary on real pipes: its first bytes, its command line, its death at any moment.
#![expect(clippy::unwrap_used, reason = "a test binary")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use apim_protocol::frame::{Frame, MAGIC, read_frame, write_chunk, write_message};
use apim_protocol::message::{Job, Open, Reply, Request, Run, StepId};
use apim_protocol::operation::file::{File, Show};
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::Outcome;
use apim_protocol::value::{AbsPath, Content, FileMode, Owner, Sha256};

fn agent(dir: &Path) -> Child {
    fs::create_dir_all(dir.join("root")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_apim-agent"))
        .arg("serve")
        .args([Path::new("--root"), &dir.join("root"), Path::new("--state"), &dir.join("state")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn open(agent: &mut Child) {
    let mut magic = [0; 8];
    agent.stdout.as_mut().unwrap().read_exact(&mut magic).unwrap();
    assert_eq!(magic, MAGIC);
    let (run, operator, purpose) = ("r".to_owned(), "ann@desk".to_owned(), "apply".to_owned());
    say(agent, &Request::Open(Open { run, operator, purpose, lock: true, again: false, shares_lock: false }));
    assert!(matches!(hear(agent), Some(Reply::Hello(hello)) if hello.build.len() == 64));
}

fn say(agent: &mut Child, request: &Request) {
    write_message(agent.stdin.as_mut().unwrap(), request).unwrap();
}

fn hear(agent: &mut Child) -> Option<Reply> {
    match read_frame(agent.stdout.as_mut().unwrap()) {
        Ok(Some(Frame::Message(text))) => Some(serde_json::from_slice(&text).unwrap()),
        _ => None,
    }
}

fn bytes(n: u8) -> Vec<u8> {
    vec![n; 64 * 1024]
}

fn file(n: u8) -> Request {
    let path = AbsPath::parse(&format!("/file-{n}")).unwrap();
    let (content, mode) = (Content::of(&bytes(n)), Some(FileMode::new(0o600)));
    let operation =
        Operation::File(File { path, content, mode, owner: Owner::default(), show: Show::Nothing });
    let (step, title) = (StepId(n.into()), format!("file {n}"));
    Request::Run(Box::new(Run {
        step,
        title,
        job: Job::Operation { operation, mode: Mode::Apply },
        ignore_failure: false,
    }))
}

/// Runs the same eight steps; the agent is killed once `dies` of time has passed.
fn play(dir: &Path, dies: Option<Duration>) -> Vec<Outcome> {
    let mut agent = agent(dir);
    let begun = Instant::now();
    let killer = dies.map(|dies| {
        let pid = agent.id();
        std::thread::spawn(move || {
            std::thread::sleep(dies.saturating_sub(begun.elapsed()));
            Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        })
    });
    let outcomes = converse(&mut agent);
    if let Some(killer) = killer {
        killer.join().unwrap();
    }
    agent.kill().ok();
    agent.wait().unwrap();
    outcomes.unwrap_or_default()
}

fn converse(agent: &mut Child) -> Option<Vec<Outcome>> {
    let mut magic = [0; 8];
    agent.stdout.as_mut()?.read_exact(&mut magic).ok()?;
    let (run, operator, purpose) = ("r".to_owned(), "ann@desk".to_owned(), "apply".to_owned());
    write_message(
        agent.stdin.as_mut()?,
        &Request::Open(Open { run, operator, purpose, lock: true, again: false, shares_lock: false }),
    )
    .ok()?;
    hear(agent)?;
    for n in 1..=8 {
        write_message(agent.stdin.as_mut()?, &file(n)).ok()?;
    }
    let mut outcomes = Vec::new();
    while outcomes.len() < 8 {
        match hear(agent)? {
            Reply::Need { step, sha256, offset, .. } => {
                let bytes = bytes(u8::try_from(step.0).unwrap());
                let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap();
                for (n, part) in rest.chunks(16 * 1024).enumerate() {
                    write_chunk(agent.stdin.as_mut()?, &sha256, offset + n as u64 * 16 * 1024, part).ok()?;
                }
            }
            Reply::Finished { outcome, .. } => outcomes.push(outcome),
            _ => {}
        }
    }
    Some(outcomes)
}

fn tree(dir: &Path) -> BTreeMap<PathBuf, Sha256> {
    let entries = fs::read_dir(dir.join("root")).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (PathBuf::from(path.file_name().unwrap()), Sha256::of(&fs::read(&path).unwrap())))
        .collect()
}

#[test]
fn killed_at_any_moment_and_run_again_it_ends_in_the_same_state() {
    let calm = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert_eq!(play(calm.path(), None).len(), 8);
    let whole = begun.elapsed();
    let expected = tree(calm.path());
    assert_eq!(expected.len(), 8);
    for moment in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        play(dir.path(), Some(whole * moment / 20));
        let outcomes = play(dir.path(), None);
        assert!(
            outcomes.iter().all(|o| matches!(o, Outcome::Ok | Outcome::Changed(_))),
            "{moment}: {outcomes:?}"
        );
        assert_eq!(tree(dir.path()), expected, "killed at moment {moment}");
        assert!(play(dir.path(), None).iter().all(|outcome| *outcome == Outcome::Ok));
    }
}

#[test]
fn it_says_goodbye_and_exits_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path());
    open(&mut agent);
    say(&mut agent, &Request::Goodbye);
    assert_eq!(hear(&mut agent), Some(Reply::Bye));
    assert!(agent.wait().unwrap().success());
}

#[test]
fn it_leaves_on_term_and_stays_on_hup() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path());
    open(&mut agent);
    let signal = |name: &str| {
        assert!(
            Command::new("kill").args([name, agent.id().to_string().as_str()]).status().unwrap().success()
        )
    };
    signal("-HUP");
    signal("-TERM");
    assert!(agent.wait().unwrap().success(), "an orderly end, not a death by signal");
}

#[test]
fn the_command_line_is_checked() {
    let run =
        |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_apim-agent")).args(arguments).output().unwrap();
    let version = run(&["--version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"apim-agent "));
    for wrong in [&["listen"][..], &["serve", "--port", "1"], &["serve", "--root"], &[]] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"apim-agent: usage"));
    }
}

#[test]
fn noise_instead_of_frames_ends_it_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = agent(dir.path());
    agent.stdin.as_mut().unwrap().write_all(b"hello there").unwrap();
    drop(agent.stdin.take());
    assert_eq!(agent.wait().unwrap().code(), Some(1));
}
