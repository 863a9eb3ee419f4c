//! Sessions with scripted peers.

use apim_protocol::message::Job;
use std::time::Duration;

use apim_protocol::facts::Facts;
use apim_protocol::frame::MAGIC;
use apim_protocol::message::{Hello, Open, Refused, Reply, Request, Run, StepId};
use apim_protocol::operation::absent::Absent;
use apim_protocol::operation::{Mode, Operation};
use apim_protocol::outcome::{Failure, Outcome};
use apim_protocol::value::{AbsPath, Content, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::bytes::Bytes;

use super::*;

mod real_agent;

fn open() -> Open {
    Open {
        run: "r1".into(),
        operator: "me@here".into(),
        purpose: "test".into(),
        lock: true,
        again: false,
        shares_lock: false,
    }
}

fn pair() -> (Link, DuplexStream) {
    let (here, there) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(here);
    (Link::over("gw1 (10.0.0.5:22)", reader, writer), there)
}

async fn send(peer: &mut DuplexStream, reply: &Reply) {
    peer.write_all(&frame::message(reply).unwrap()).await.unwrap();
}

/// Receives the next frame that is not a keepalive.
async fn receive(peer: &mut DuplexStream) -> (u8, Vec<u8>) {
    loop {
        let kind = peer.read_u8().await.unwrap();
        let length = peer.read_u32().await.unwrap() as usize;
        let mut payload = vec![0; length];
        peer.read_exact(&mut payload).await.unwrap();
        let alive = kind == 0 && matches!(serde_json::from_slice(&payload), Ok(Request::Alive { .. }));
        if !alive {
            return (kind, payload);
        }
    }
}

async fn receive_request(peer: &mut DuplexStream) -> Request {
    let (kind, payload) = receive(peer).await;
    assert_eq!(kind, 0);
    serde_json::from_slice(&payload).unwrap()
}

fn hello(build: &str) -> Reply {
    Reply::Hello(Box::new(Hello { build: build.into(), facts: Facts::default(), done: Vec::new() }))
}

async fn opened() -> (Session, DuplexStream) {
    let (link, mut peer) = pair();
    let opening = tokio::spawn(Session::open(link, open()));
    peer.write_all(&MAGIC).await.unwrap();
    assert_eq!(receive_request(&mut peer).await, Request::Open(open()));
    send(&mut peer, &hello("b")).await;
    let (session, _) = opening.await.unwrap().unwrap();
    (session, peer)
}

#[tokio::test]
async fn noise_before_the_magic_is_skipped() {
    let (mut link, mut peer) = pair();
    link.builds = vec!["abc".into()];
    let opening = tokio::spawn(Session::open(link, open()));
    peer.write_all(b"Welcome to gw1!\nLast login: never\n").await.unwrap();
    peer.write_all(&MAGIC).await.unwrap();
    assert_eq!(receive_request(&mut peer).await, Request::Open(open()));
    send(&mut peer, &hello("abc")).await;
    let (_, hello) = opening.await.unwrap().unwrap();
    assert_eq!(hello.build, "abc");
}

#[tokio::test]
async fn missing_magic_error_shows_the_output() {
    let (mut link, mut peer) = pair();
    link.ended = Box::pin(async { "exit status 127; standard error: sh: not found".to_owned() });
    peer.write_all(b"\x1b[31mThis account\x07 is locked.\n").await.unwrap();
    drop(peer);
    let error = Session::open(link, open()).await.err().unwrap().to_string();
    assert_eq!(
        error,
        "no agent answered on gw1 (10.0.0.5:22): exit status 127; standard error: sh: not found; output:\n    \
         This account\u{fffd} is locked."
    );
}

#[tokio::test(start_paused = true)]
async fn silent_host_times_out() {
    let (link, _peer) = pair();
    let error = Session::open(link, open()).await.err().unwrap().to_string();
    assert!(error.contains("within 30 s"), "{error}");
}

#[tokio::test]
async fn endless_noise_is_bounded() {
    let (link, mut peer) = pair();
    let flood = tokio::spawn(async move { while peer.write_all(&[b'x'; 8192]).await.is_ok() {} });
    let error = Session::open(link, open()).await.err().unwrap().to_string();
    assert!(error.contains("65536 bytes of unexpected output"), "{error}");
    assert!(error.len() < 3000, "{}", error.len());
    flood.await.unwrap();
}

#[tokio::test]
async fn other_build_and_refusal_are_errors() {
    let (mut link, mut peer) = pair();
    link.builds = vec!["right".into()];
    peer.write_all(&MAGIC).await.unwrap();
    send(&mut peer, &hello("wrong")).await;
    let error = Session::open(link, open()).await.err().unwrap();
    assert!(matches!(&error, SessionError::OtherBuild { found, .. } if found == "wrong"), "{error}");

    let (link, mut peer) = pair();
    peer.write_all(&MAGIC).await.unwrap();
    send(&mut peer, &Reply::Refused(Refused { why: "held by bob@\x1b[1mlaptop".into() })).await;
    let error = Session::open(link, open()).await.err().unwrap().to_string();
    assert_eq!(error, "gw1 (10.0.0.5:22) refused the run: held by bob@laptop");
}

#[tokio::test]
async fn requests_arrive_in_order_and_input_closes_with_last_sender() {
    let (session, mut peer) = opened().await;
    let (sender, _receiver) = session.split();
    let run = Run {
        step: StepId(7),
        title: "t".into(),
        job: Job::check(Operation::Absent(Absent { path: AbsPath::parse("/x").unwrap(), recursive: false })),
        ignore_failure: false,
    };
    sender.run(run.clone()).await.unwrap();
    sender.clone().permit_decision(StepId(7), Some("no".into())).await.unwrap();
    sender.goodbye().await.unwrap();
    drop(sender);
    assert_eq!(receive_request(&mut peer).await, Request::Run(Box::new(run)));
    assert_eq!(
        receive_request(&mut peer).await,
        Request::PermitDecision { step: StepId(7), refused: Some("no".into()) }
    );
    assert_eq!(receive_request(&mut peer).await, Request::Goodbye);
    assert_eq!(peer.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn content_is_sent_from_offset_in_chunks() {
    let bytes: Vec<u8> = (0..700_001_u32).map(|n| n as u8).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let content = Content::of(&bytes);
    for source in [Source::Bytes(bytes.clone().into()), Source::File(file.path().to_owned())] {
        let (session, mut peer) = opened().await;
        let (sender, _receiver) = session.split();
        let sending = tokio::spawn(async move {
            let mut last = 0;
            sender.send_content(&content, &source, 100_000, |done| last = done).await.unwrap();
            last
        });
        let mut got = bytes[..100_000].to_vec();
        while got.len() < bytes.len() {
            let (kind, payload) = receive(&mut peer).await;
            assert_eq!(kind, 1);
            assert_eq!(&payload[..32], content.sha256.as_bytes());
            assert_eq!(payload[32..40], (got.len() as u64).to_be_bytes());
            got.extend_from_slice(&payload[40..]);
        }
        assert!(got == bytes);
        assert_eq!(sending.await.unwrap(), 700_001);
    }
}

#[tokio::test]
async fn empty_content_is_one_empty_chunk() {
    let (session, mut peer) = opened().await;
    let (sender, _receiver) = session.split();
    sender.send_content(&Content::of(b""), &Source::Bytes(Bytes::new()), 0, |_| {}).await.unwrap();
    assert_eq!(receive(&mut peer).await.1.len(), 40);
}

#[tokio::test]
async fn unreadable_file_is_reported_to_agent_and_caller() {
    let (session, mut peer) = opened().await;
    let (sender, _receiver) = session.split();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"short").unwrap();
    let content = Content { sha256: Sha256::of(b"x"), size: 1000 };
    let error =
        sender.send_content(&content, &Source::File(file.path().to_owned()), 0, |_| {}).await.unwrap_err();
    assert!(matches!(error, SessionError::Content { .. }), "{error}");
    let request = receive_request(&mut peer).await;
    assert!(
        matches!(&request, Request::NoContent { why, .. } if why.contains("became shorter")),
        "{request:?}"
    );
}

#[tokio::test]
async fn receiving_is_cancel_safe() {
    let (session, mut peer) = opened().await;
    let (_sender, mut receiver) = session.split();
    let reply = Reply::Finished { step: StepId(1), outcome: Outcome::Skipped("because".into()), millis: 3 };
    let frame = frame::message(&reply).unwrap();
    for byte in frame.iter() {
        peer.write_all(&[*byte]).await.unwrap();
        peer.flush().await.unwrap();
        // Cancels the receive right after its first poll.
        tokio::select! {
            biased;
            got = receiver.next() => assert_eq!(got.unwrap().unwrap(), reply),
            () = tokio::task::yield_now() => {}
        }
    }
    send(&mut peer, &Reply::Bye).await;
    drop(peer);
    assert_eq!(receiver.next().await.unwrap(), Some(Reply::Bye));
    assert_eq!(receiver.next().await.unwrap(), None);
}

#[tokio::test]
async fn end_without_bye_is_an_error_with_last_message() {
    let (session, mut peer) = opened().await;
    let (_sender, mut receiver) = session.split();
    send(&mut peer, &Reply::Started { step: StepId(4) }).await;
    drop(peer);
    receiver.next().await.unwrap();
    let error = receiver.next().await.unwrap_err().to_string();
    assert!(error.contains("gw1 (10.0.0.5:22)") && error.contains("step 4 started"), "{error}");
}

#[tokio::test]
async fn hostile_replies_are_bounded() {
    // A length over the limit is rejected from the frame's head.
    let (session, mut peer) = opened().await;
    let (_sender, mut receiver) = session.split();
    peer.write_all(&[0, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
    assert!(matches!(receiver.next().await, Err(SessionError::Garbled { .. })));

    // Unexpected frame kinds and invalid replies are rejected.
    let (session, mut peer) = opened().await;
    let (_sender, mut receiver) = session.split();
    peer.write_all(&[1, 0, 0, 0, 1, 0]).await.unwrap();
    assert!(matches!(receiver.next().await, Err(SessionError::Garbled { .. })));
    let (session, mut peer) = opened().await;
    let (_sender, mut receiver) = session.split();
    peer.write_all(&[0, 0, 0, 0, 3, b'"', 0x1b, b'"']).await.unwrap();
    let error = receiver.next().await.unwrap_err().to_string();
    assert!(error.contains("protocol error") && !error.contains('\x1b'), "{error}");

    // Texts and lists are truncated, control characters are replaced.
    let (session, mut peer) = opened().await;
    let (_sender, mut receiver) = session.split();
    let mut failure = Failure::new("\x1b]0;owned\x07".repeat(10_000));
    failure.log = vec!["{{ x }}".to_owned(); 5000];
    let reply = Reply::Finished { step: StepId(1), outcome: Outcome::Failed(failure), millis: 0 };
    let sending = tokio::spawn(async move { send(&mut peer, &reply).await });
    let Some(Reply::Finished { outcome: Outcome::Failed(failure), .. }) = receiver.next().await.unwrap()
    else {
        panic!("unexpected reply")
    };
    assert!(failure.what.len() < 9000 && !failure.what.contains(['\x1b', '\x07']));
    assert_eq!(failure.log.len(), 1000);
    assert_eq!(failure.log[0], "{{ x }}");
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn missing_hello_times_out() {
    let (link, mut peer) = pair();
    peer.write_all(&MAGIC).await.unwrap();
    let error = Session::open(link, open()).await.err().unwrap();
    assert!(
        matches!(&error, SessionError::TimedOut { after, .. } if *after == Duration::from_secs(30)),
        "{error}"
    );
    assert!(error.to_string().contains("the agent's Hello"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn idle_session_sends_keepalives() {
    let (_session, mut peer) = opened().await;
    for _ in 0..3 {
        assert_eq!(peer.read_u8().await.unwrap(), 0);
        let mut payload = vec![0; peer.read_u32().await.unwrap() as usize];
        peer.read_exact(&mut payload).await.unwrap();
        assert!(matches!(serde_json::from_slice(&payload), Ok(Request::Alive { .. })));
    }
}
