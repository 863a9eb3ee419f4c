//! Conversations with the agent over in-memory pipes.

use std::fs;
use std::io::{PipeReader, PipeWriter, pipe};
use std::os::unix::fs::MetadataExt;
use std::thread::JoinHandle;

use apim_protocol::frame::{Frame, MAGIC, read_frame, write_chunk, write_message};
use apim_protocol::message::StepId;
use apim_protocol::operation::Operation;
use apim_protocol::operation::command::{Command, Invocation};
use apim_protocol::operation::directory::Directory;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::value::{AbsPath, Content, FileMode, Owner, Sha256};

use super::*;

mod archives;
mod journal;
mod parts;

/// An agent on a host below a temporary root, and our end of the conversation.
struct Talk {
    to: Option<PipeWriter>,
    from: PipeReader,
    agent: Option<JoinHandle<Result<(), ServeError>>>,
    root: std::path::PathBuf,
}

impl Talk {
    fn start(dir: &tempfile::TempDir) -> Self {
        let (agent_in, to) = pipe().unwrap();
        let (mut from, agent_out) = pipe().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(&root).unwrap();
        let system = System::new(Some(root.clone()), Some(dir.path().join("state"))).unwrap();
        let identity = Identity { build: "build".into(), signals: false };
        let agent = std::thread::spawn(move || serve(agent_in, agent_out, &system, &identity));
        let mut magic = [0; 8];
        from.read_exact(&mut magic).unwrap();
        assert_eq!(magic, MAGIC);
        Self { to: Some(to), from, agent: Some(agent), root }
    }

    fn open(dir: &tempfile::TempDir, lock: bool) -> Self {
        let mut talk = Self::start(dir);
        talk.say(&open("r1", lock));
        assert!(matches!(talk.hear(), Reply::Hello(hello) if hello.build == "build"));
        talk
    }

    fn say(&mut self, request: &Request) {
        write_message(self.to.as_mut().unwrap(), request).unwrap();
    }

    fn send(&mut self, sha256: &Sha256, offset: u64, bytes: &[u8]) {
        write_chunk(self.to.as_mut().unwrap(), sha256, offset, bytes).unwrap();
    }

    fn hear(&mut self) -> Reply {
        match read_frame(&mut self.from).unwrap().unwrap() {
            Frame::Message(text) => serde_json::from_slice(&text).unwrap(),
            Frame::Chunk(_) => panic!("an agent sends no chunks"),
        }
    }

    /// Reads on to the end of a step.
    fn outcome(&mut self, id: u32) -> Outcome {
        loop {
            match self.hear() {
                Reply::Finished { step, outcome, .. } => {
                    assert_eq!(step, StepId(id));
                    return outcome;
                }
                Reply::Started { .. } | Reply::Progress { .. } | Reply::Entries { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn need(&mut self) -> (u64, u64) {
        loop {
            match self.hear() {
                Reply::Need { offset, size, .. } => return (offset, size),
                Reply::Started { .. } | Reply::Progress { .. } | Reply::Entries { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn hang_up(&mut self) -> Result<(), ServeError> {
        self.to.take();
        self.agent.take().unwrap().join().unwrap()
    }
}

fn open(run: &str, lock: bool) -> Request {
    let (operator, purpose) = ("ann@desk".to_owned(), "apply site.yaml".to_owned());
    Request::Open(Open { run: run.into(), operator, purpose, lock, again: false, shares_lock: false })
}

fn run(id: u32, mode: Mode, operation: Operation) -> Request {
    Request::Run(Box::new(Run {
        step: StepId(id),
        title: format!("step {id}"),
        job: Job::Operation { operation, mode },
        ignore_failure: false,
    }))
}

fn folder(path: &str) -> Operation {
    let path = AbsPath::parse(path).unwrap();
    Operation::Directory(Directory { path, mode: Some(FileMode::new(0o755)), owner: Owner::default() })
}

fn shell(script: &str) -> Operation {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let directory = Some(AbsPath::parse("/").unwrap());
    let run = Invocation { argv, directory, ..Invocation::default() };
    Operation::Command(Command {
        run,
        creates: None,
        removes: None,
        unless: None,
        success: vec![],
        changes: true,
    })
}

fn file(bytes: &[u8]) -> Operation {
    let (path, content) = (AbsPath::parse("/file").unwrap(), Content::of(bytes));
    Operation::File(File { path, content, mode: None, owner: Owner::default(), show: Show::Nothing })
}

#[test]
fn steps_run_in_order_and_stop_at_the_first_failure_until_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    for request in [
        run(1, Mode::Apply, folder("/a")),
        run(2, Mode::Apply, shell("exit 1")),
        run(3, Mode::Apply, folder("/b")),
        Request::Resume,
        run(4, Mode::Apply, folder("/c")),
        run(5, Mode::Check, folder("/d")),
        run(6, Mode::Apply, folder("/a")),
        Request::Goodbye,
    ] {
        talk.say(&request);
    }
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    assert!(talk.outcome(2).is_failure());
    assert_eq!(talk.outcome(3), Outcome::Skipped("an earlier step failed".into()));
    assert!(matches!(talk.outcome(4), Outcome::Changed(_)));
    assert!(matches!(talk.outcome(5), Outcome::WouldChange(_)));
    assert_eq!(talk.outcome(6), Outcome::Ok);
    assert_eq!(talk.hear(), Reply::Bye);
    assert!(talk.agent.take().unwrap().join().unwrap().is_ok());
    assert!(!talk.root.join("b").exists() && talk.root.join("c").exists());
    let journal = dir.path().join("state/journal.jsonl");
    assert_eq!(fs::metadata(&journal).unwrap().mode() & 0o7777, 0o600);
    let lines = fs::read_to_string(&journal).unwrap();
    let words: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&str> = words.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(told, ["changed", "failed", "skipped", "changed", "ok"]);
    assert_eq!(words[0]["operator"], "ann@desk");
    // Another session goes on with the chain, behind a line that was torn as well.
    fs::write(&journal, format!("{lines}{{\"time\":1,\"ru")).unwrap();
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, folder("/e")));
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    drop(talk);
    let lines = fs::read(&journal).unwrap();
    let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 7);
    let linked = lines.iter().filter(|line| line.starts_with(b"{\"before\"")).count();
    assert_eq!(linked, 5, "all but the first and the torn one");
    assert_eq!(apim_protocol::chain::verify(lines.iter().copied()), Ok(()));
    let edited = lines.iter().map(|line| if *line == lines[1] { &b"{}"[..] } else { line });
    assert!(apim_protocol::chain::verify(edited).is_err());
}

#[test]
fn content_is_asked_for_once_and_thrown_away_after_use() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    let bytes = vec![7; 100_000];
    talk.say(&run(1, Mode::Apply, file(&bytes)));
    assert_eq!(talk.need(), (0, 100_000));
    let sha256 = Sha256::of(&bytes);
    talk.send(&sha256, 0, &bytes[..60_000]);
    talk.send(&sha256, 60_000, &bytes[60_000..]);
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    talk.say(&run(2, Mode::Apply, file(&bytes)));
    assert_eq!(talk.outcome(2), Outcome::Ok);
    assert_eq!(fs::read(talk.root.join("file")).unwrap(), bytes);
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
}

#[test]
fn an_interrupted_upload_goes_on_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sha256 = Sha256::of(&bytes);
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, file(&bytes)));
    assert_eq!(talk.need(), (0, 200_000));
    talk.send(&sha256, 0, &bytes[..70_000]);
    // The link breaks within a chunk: what came of it does not count.
    let mut torn = Vec::new();
    write_chunk(&mut torn, &sha256, 70_000, &bytes[70_000..80_000]).unwrap();
    talk.to.as_mut().unwrap().write_all(&torn[..5_000]).unwrap();
    assert!(talk.hang_up().is_ok());
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, file(&bytes)));
    assert_eq!(talk.need(), (70_000, 200_000));
    talk.send(&sha256, 70_000, &bytes[70_000..]);
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    assert_eq!(fs::read(talk.root.join("file")).unwrap(), bytes);
}

#[test]
fn wrong_bytes_are_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, file(b"right")));
    talk.need();
    talk.send(&Sha256::of(b"right"), 0, b"wrong");
    assert!(talk.outcome(1).is_failure());
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
    talk.say(&Request::Resume);
    talk.say(&run(2, Mode::Apply, file(b"right")));
    assert_eq!(talk.need(), (0, 5));
    let why = "the file is gone".to_owned();
    talk.say(&Request::NoContent { sha256: Sha256::of(b"right"), why });
    let Outcome::Failed(failure) = talk.outcome(2) else { panic!() };
    assert_eq!(failure.causes, ["the file is gone"]);
}

#[test]
fn the_step_in_hand_is_finished_when_the_link_dies_and_no_other_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    let (begun, finish) = (talk.root.join("begun"), talk.root.join("finish"));
    talk.say(&run(
        1,
        Mode::Apply,
        shell("touch begun; until [ -e finish ]; do sleep 0.01; done; touch done"),
    ));
    talk.say(&run(2, Mode::Apply, folder("/never")));
    while !begun.exists() {
        std::thread::yield_now();
    }
    talk.to.take();
    let (_, broken) = pipe().unwrap();
    drop(broken);
    fs::write(finish, "").unwrap();
    assert!(talk.hang_up().is_ok());
    assert!(talk.root.join("done").exists() && !talk.root.join("never").exists());
    let journal = fs::read_to_string(dir.path().join("state/journal.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 1);
    assert!(journal.contains("\"changed\""), "{journal}");
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    let (unused, _) = pipe().unwrap();
    talk.from = unused;
    talk.say(&run(1, Mode::Apply, folder("/a")));
    talk.say(&run(2, Mode::Apply, folder("/b")));
    let root = talk.root.clone();
    while !root.join("a").exists() {
        std::thread::yield_now();
    }
    assert!(talk.hang_up().is_ok());
    assert!(fs::read_to_string(dir.path().join("state/journal.jsonl")).unwrap().contains("step 1"));
}

#[test]
fn cancel_skips_what_has_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    talk.say(&run(1, Mode::Apply, file(b"never sent")));
    talk.need();
    talk.say(&Request::Cancel);
    talk.say(&run(2, Mode::Apply, folder("/b")));
    let Outcome::Failed(failure) = talk.outcome(1) else { panic!() };
    assert!(failure.causes[0].contains("cancelled"), "{failure:?}");
    assert!(matches!(talk.outcome(2), Outcome::Skipped(_)));
}

#[test]
fn second_run_is_refused_with_the_holder_until_it_exits() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Talk::open(&dir, true);
    let mut looking = Talk::open(&dir, false);
    looking.say(&run(1, Mode::Check, folder("/a")));
    assert!(matches!(looking.outcome(1), Outcome::WouldChange(_)));
    looking.say(&run(2, Mode::Apply, folder("/a")));
    assert!(looking.outcome(2).is_failure(), "no change without the lock");
    let mut second = Talk::start(&dir);
    second.say(&open("r2", true));
    let Reply::Refused(refused) = second.hear() else { panic!() };
    for part in ["ann@desk", "apply site.yaml", "r1"] {
        assert!(refused.why.contains(part), "{}", refused.why);
    }
    assert!(first.hang_up().is_ok());
    let mut third = Talk::open(&dir, true);
    assert!(third.hang_up().is_ok());
}

#[test]
fn side_session_of_the_same_run_shares_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Talk::open(&dir, true);
    let beside = |run: &str| {
        let Request::Open(open) = open(run, true) else { panic!() };
        let mut talk = Talk::start(&dir);
        talk.say(&Request::Open(Open { shares_lock: true, ..open }));
        talk
    };
    let mut other = beside("r2");
    assert!(matches!(other.hear(), Reply::Refused(_)), "not under another run's lock");
    let mut own = beside("r1");
    assert!(matches!(own.hear(), Reply::Hello(_)));
    own.say(&run(7, Mode::Apply, folder("/beside")));
    assert!(matches!(own.outcome(7), Outcome::Changed(_)));
    assert!(own.hang_up().is_ok());
    let mut second = Talk::start(&dir);
    second.say(&open("r3", true));
    assert!(matches!(second.hear(), Reply::Refused(_)), "the first one holds it still");
    assert!(first.hang_up().is_ok());
    assert!(matches!(beside("r1").hear(), Reply::Hello(_)), "alone it takes the lock itself");
}

#[test]
fn a_look_shows_a_diff_and_leaves_nothing_in_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, false);
    fs::write(talk.root.join("file"), "old\n").unwrap();
    let Operation::File(desired) = file(b"new\n") else { panic!() };
    talk.say(&run(1, Mode::Check, Operation::File(File { show: Show::Text, ..desired })));
    talk.need();
    talk.send(&Sha256::of(b"new\n"), 0, b"new\n");
    let Outcome::WouldChange(difference) = talk.outcome(1) else { panic!() };
    assert!(difference.diff.unwrap().ends_with("-old\n+new"));
    assert!(talk.hang_up().is_ok());
    assert_eq!(fs::read_dir(dir.path().join("state/spool")).unwrap().count(), 0);
}

#[test]
fn nonsense_ends_the_conversation_without_a_panic() {
    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\0\x02{}", b"\0\xff\xff\xff\xff", b"\x01\0\0\0\x01x"]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut talk = Talk::start(&dir);
        talk.to.as_mut().unwrap().write_all(nonsense).unwrap();
        assert!(talk.hang_up().is_err(), "{nonsense:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut early = Talk::start(&dir);
    early.say(&Request::Goodbye);
    assert!(matches!(early.hang_up(), Err(ServeError::NotOpened)));
}

#[test]
fn unrequested_chunks_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    for n in 0..20 {
        talk.send(&Sha256::of(b"x"), n * 1000, &[0; 1000]);
    }
    talk.say(&run(1, Mode::Apply, folder("/a")));
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
}

#[test]
fn an_orchestrator_that_falls_silent_after_a_sign_of_life_is_taken_for_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut talk = Talk::open(&dir, true);
    talk.say(&Request::Alive { within_secs: 1 });
    talk.say(&run(1, Mode::Apply, folder("/a")));
    assert!(matches!(talk.outcome(1), Outcome::Changed(_)));
    // Our end stays open: only the silence can end it.
    assert!(talk.agent.take().unwrap().join().unwrap().is_ok());
    let mut next = Talk::open(&dir, true);
    assert!(next.hang_up().is_ok());
}
