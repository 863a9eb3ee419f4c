//! Sessions with the real agent, in a thread, over a pair of pipes.

use apim_agent::serve::{Identity, serve};
use apim_agent::system::System;
use apim_protocol::message::Job;
use apim_protocol::operation::file::{File, Show};
use apim_protocol::value::{FileMode, Owner};
use tokio_util::io::SyncIoBridge;

use super::*;

/// Starts an agent with `root` as its root folder, and returns the link to it.
fn agent(root: &std::path::Path) -> Link {
    let (here, there) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(here);
    let (input, output) = tokio::io::split(there);
    let (input, output) = (SyncIoBridge::new(input), SyncIoBridge::new(output));
    let root = root.to_owned();
    std::thread::spawn(move || {
        let system = System::new(Some(root), None).unwrap();
        serve(input, output, &system, &Identity { build: "this".into(), signals: false }).unwrap();
    });
    let mut link = Link::over("gw1", reader, writer);
    link.builds = vec!["this".into()];
    link
}

fn file(mode: Mode, step: u32, content: Content) -> Run {
    Run {
        step: StepId(step),
        title: "place the file".into(),
        job: Job::Operation {
            operation: Operation::File(File {
                path: AbsPath::parse("/f").unwrap(),
                content,
                mode: Some(FileMode::new(0o600)),
                owner: Owner::default(),
                show: Show::Nothing,
            }),
            mode,
        },
        ignore_failure: false,
    }
}

async fn finished(receiver: &mut Receiver, sender: &Sender, source: &Source) -> Outcome {
    loop {
        match receiver.next().await.unwrap().unwrap() {
            Reply::Finished { outcome, .. } => return outcome,
            Reply::Need { sha256, size, offset, .. } => {
                sender.send_content(&Content { sha256, size }, source, offset, |_| {}).await.unwrap();
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_is_uploaded_once() {
    let root = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7) as u8).collect();
    let content = Content::of(&bytes);
    let source = Source::Bytes(bytes.clone().into());
    let (session, hello) = Session::open(agent(root.path()), open()).await.unwrap();
    assert_eq!(hello.build, "this");
    let (sender, mut receiver) = session.split();
    sender.run(file(Mode::Check, 1, content)).await.unwrap();
    sender.run(file(Mode::Apply, 2, content)).await.unwrap();
    sender.run(file(Mode::Apply, 3, content)).await.unwrap();
    let first = finished(&mut receiver, &sender, &source).await;
    assert!(matches!(first, Outcome::WouldChange(_)), "{first:?}");
    let second = finished(&mut receiver, &sender, &source).await;
    assert!(matches!(second, Outcome::Changed(_)), "{second:?}");
    assert_eq!(finished(&mut receiver, &sender, &source).await, Outcome::Ok);
    assert!(std::fs::read(root.path().join("f")).unwrap() == bytes);

    sender.goodbye().await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Reply::Bye));
    assert_eq!(receiver.next().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_run_is_refused_while_host_is_locked() {
    let root = tempfile::tempdir().unwrap();
    let first = Session::open(agent(root.path()), open()).await.unwrap();
    let error = Session::open(agent(root.path()), open()).await.err().unwrap();
    assert!(matches!(&error, SessionError::Refused { why, .. } if why.contains("me@here")), "{error}");
    drop(first);
}
