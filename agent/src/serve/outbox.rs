//! What goes to the orchestrator, written by a thread of its own: a slow or broken link never holds up a step.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use apim_protocol::frame::{FrameError, MAGIC, write_message};
use apim_protocol::message::Reply;
use apim_protocol::outcome::{Failure, Outcome};

/// Progress is left out when so many replies wait to be written.
const BACKLOG: usize = 64;
/// So many replies may wait when another large one is added.
const AHEAD: usize = 4;
/// How long the last replies may take to be written before the agent leaves anyway.
const FLUSH: Duration = Duration::from_secs(20);

/// The way to the orchestrator.
#[derive(Debug)]
pub(super) struct Outbox {
    replies: Mutex<Option<Sender<Reply>>>,
    done: Mutex<Receiver<()>>,
    waiting: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
}

impl Outbox {
    pub(super) fn start(output: impl Write + Send + 'static) -> Arc<Self> {
        let (replies, queue) = channel();
        let (finished, done) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let broken = Arc::new(AtomicBool::new(false));
        let (waiting_too, broken_too) = (Arc::clone(&waiting), Arc::clone(&broken));
        thread::spawn(move || {
            write_all(output, &queue, &waiting_too, &broken_too);
            // The other end may be gone.
            finished.send(()).ok();
        });
        Arc::new(Self { replies: Mutex::new(Some(replies)), done: Mutex::new(done), waiting, broken })
    }

    pub(super) fn send(&self, reply: &Reply) {
        if matches!(reply, Reply::Progress { .. }) && self.waiting.load(Ordering::Relaxed) > BACKLOG {
            return;
        }
        if let Some(replies) = &*self.replies.lock().unwrap_or_else(PoisonError::into_inner) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            // The writer leaves when the link is broken; the step goes on.
            replies.send(reply.clone()).ok();
        }
    }

    /// Says whether so much waits to be written that nothing large should be added.
    pub(super) fn is_full(&self) -> bool {
        !self.is_broken() && self.waiting.load(Ordering::Relaxed) > AHEAD
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Says that nothing more will be sent, and waits a while until all is written (when the orchestrator still listens).
    pub(super) fn close(&self, listened_to: bool) {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).take();
        let patience = if listened_to { FLUSH } else { Duration::from_secs(1) };
        self.done.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience).ok();
    }
}

fn write_all(mut output: impl Write, queue: &Receiver<Reply>, waiting: &AtomicUsize, broken: &AtomicBool) {
    let magic = output.write_all(&MAGIC).and_then(|()| output.flush());
    let mut written = magic.map_err(FrameError::from);
    while let (Ok(()), Ok(reply)) = (&written, queue.recv()) {
        waiting.fetch_sub(1, Ordering::Relaxed);
        written = match (write_message(&mut output, &reply), reply) {
            (Err(FrameError::TooLong { .. }), Reply::Finished { step, millis, .. }) => {
                let what = "the step ended, but its outcome is too long for a message";
                let outcome = Outcome::Failed(Failure::new(what));
                write_message(&mut output, &Reply::Finished { step, outcome, millis })
            }
            (written, _) => written,
        };
    }
    broken.store(written.is_err(), Ordering::Relaxed);
}
