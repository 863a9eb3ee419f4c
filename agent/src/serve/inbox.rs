//! What comes from the orchestrator, read by a thread of its own: requests are queued, chunks go to the step that asked for them,
//! Cancel and the end of the input are seen at once.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use apim_protocol::frame::{Chunk, Frame, FrameError, read_frame};
use apim_protocol::message::{Request, StepId};
use apim_protocol::value::{Content, Sha256};
use signal_hook::consts::{SIGHUP, SIGTERM};

/// How many bytes of requests may wait; no orchestrator sends more.
const QUEUE_LIMIT: usize = 256 * 1024 * 1024;
/// How many chunks may wait for the disk.
const CHUNKS_AHEAD: usize = 4;

/// What the worker hears.
#[derive(Debug)]
pub(super) enum Event {
    Request(Request),
    Broken(FrameError),
    HungUp,
}

/// What a waiting step hears.
#[derive(Debug)]
pub(super) enum Answer {
    Chunk(Chunk),
    NoContent(String),
    Outline(Option<Content>),
    Leave(Option<String>),
    Gone,
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Content(Sha256),
    Outline(Sha256),
    Leave(StepId),
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: AtomicBool,
    hung_up: AtomicBool,
    leaving: AtomicBool,
    queued: AtomicUsize,
    heard_millis: AtomicU64,
    waiting: Mutex<Option<(Awaited, SyncSender<Answer>)>>,
}

/// The way from the orchestrator.
#[derive(Debug)]
pub(super) struct Inbox {
    shared: Arc<Shared>,
    events: Mutex<Receiver<(usize, Event)>>,
}

impl Inbox {
    pub(super) fn start(mut input: impl Read + Send + 'static, signals: bool) -> Self {
        let (sender, events) = channel();
        let shared = Arc::new(Shared::default());
        if signals {
            shared.heed_signals(&sender);
        }
        let reader = Arc::clone(&shared);
        thread::spawn(move || reader.read(&mut input, &sender));
        Self { shared, events: Mutex::new(events) }
    }

    /// Waits for the next thing to do.
    pub(super) fn next(&self) -> Event {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.recv() {
            Ok((size, event)) => {
                self.shared.queued.fetch_sub(size, Ordering::Relaxed);
                event
            }
            Err(_) => Event::HungUp,
        }
    }

    /// Says whether the steps that have not begun shall not begin.
    pub(super) fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Relaxed)
    }

    /// Says whether the orchestrator is gone.
    pub(super) fn is_hung_up(&self) -> bool {
        self.shared.hung_up.load(Ordering::Relaxed)
    }

    /// Says whether the orchestrator said goodbye: the queue is finished all the same.
    pub(super) fn is_leaving(&self) -> bool {
        self.shared.leaving.load(Ordering::Relaxed)
    }

    /// Returns where the answers to a question come in, from now until it is dropped.
    pub(super) fn await_answer(&self, awaited: Awaited) -> Waiting<'_> {
        let (sender, answers) = sync_channel(CHUNKS_AHEAD);
        *self.shared.waiting() = Some((awaited, sender));
        if self.is_hung_up() {
            self.shared.waiting().take();
        }
        Waiting { inbox: self, answers }
    }
}

/// A question that stands.
pub(super) struct Waiting<'a> {
    inbox: &'a Inbox,
    answers: Receiver<Answer>,
}

impl Waiting<'_> {
    /// Waits for the next answer; `None` when the run was called off.
    pub(super) fn next(&self) -> Option<Answer> {
        loop {
            match self.answers.recv_timeout(Duration::from_millis(100)) {
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Disconnected) => return Some(Answer::Gone),
                Err(RecvTimeoutError::Timeout) if self.inbox.is_cancelled() => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.inbox.shared.waiting().take();
    }
}

impl Shared {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<(Awaited, SyncSender<Answer>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hang_up(&self, events: &Sender<(usize, Event)>) {
        self.hung_up.store(true, Ordering::Relaxed);
        self.waiting().take();
        // The worker may have left.
        events.send((0, Event::HungUp)).ok();
    }

    fn read(self: &Arc<Self>, input: &mut impl Read, events: &Sender<(usize, Event)>) {
        let begun = Instant::now();
        let mut watched = false;
        loop {
            let frame = read_frame(input);
            let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.heard_millis.store(millis, Ordering::Relaxed);
            match frame {
                Ok(Some(Frame::Chunk(chunk))) => {
                    let awaited = Awaited::Content(chunk.sha256);
                    self.answer(awaited, Answer::Chunk(chunk));
                }
                Ok(Some(Frame::Message(text))) => match serde_json::from_slice::<Request>(&text) {
                    Ok(Request::Alive { within_secs }) => {
                        if !watched {
                            self.watch(begun, within_secs, events.clone());
                        }
                        watched = true;
                    }
                    Ok(request) => {
                        if !self.take(request, text.len(), events) {
                            return self.hang_up(events);
                        }
                    }
                    Err(error) => return self.broken(error.into(), events),
                },
                Ok(None) if self.leaving.load(Ordering::Relaxed) => return,
                // An end within a frame is what a killed link looks like, not a mistake of the peer.
                Ok(None) | Err(FrameError::Io(_)) => return self.hang_up(events),
                Err(error) => return self.broken(error, events),
            }
        }
    }

    fn broken(&self, error: FrameError, events: &Sender<(usize, Event)>) {
        events.send((0, Event::Broken(error))).ok();
        self.hang_up(events);
    }

    /// Takes one request in; `false` when too much waits.
    fn take(&self, request: Request, size: usize, events: &Sender<(usize, Event)>) -> bool {
        match request {
            Request::Cancel => self.cancelled.store(true, Ordering::Relaxed),
            Request::NoContent { sha256, why } => {
                self.answer(Awaited::Content(sha256), Answer::NoContent(why))
            }
            Request::Outline { sha256, outline } => {
                self.answer(Awaited::Outline(sha256), Answer::Outline(outline));
            }
            Request::PermitDecision { step, refused } => {
                self.answer(Awaited::Leave(step), Answer::Leave(refused))
            }
            request => {
                if request == Request::Goodbye {
                    self.leaving.store(true, Ordering::Relaxed);
                }
                let queued = self.queued.fetch_add(size, Ordering::Relaxed).saturating_add(size);
                return queued <= QUEUE_LIMIT && events.send((size, Event::Request(request))).is_ok();
            }
        }
        true
    }

    /// Hands an answer to the step that waits for it; drops it when none does.
    fn answer(&self, to: Awaited, answer: Answer) {
        let sender = match &*self.waiting() {
            Some((awaited, sender)) if *awaited == to => sender.clone(),
            _ => return,
        };
        // The step may have given up meanwhile.
        sender.send(answer).ok();
    }

    /// Takes the orchestrator for gone when nothing is heard for `within_secs`.
    fn watch(self: &Arc<Self>, begun: Instant, within_secs: u32, events: Sender<(usize, Event)>) {
        let shared = Arc::clone(self);
        let patience = Duration::from_secs(u64::from(within_secs.max(1)));
        thread::spawn(move || {
            while !shared.leaving.load(Ordering::Relaxed) && !shared.hung_up.load(Ordering::Relaxed) {
                let heard = begun + Duration::from_millis(shared.heard_millis.load(Ordering::Relaxed));
                let left = (heard + patience).saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return shared.hang_up(&events);
                }
                thread::sleep(left);
            }
        });
    }

    /// SIGTERM calls the run off and lets the agent leave; SIGHUP, which comes when a terminal or sudo goes, is ignored.
    fn heed_signals(self: &Arc<Self>, events: &Sender<(usize, Event)>) {
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP]) else { return };
        let (shared, events) = (Arc::clone(self), events.clone());
        thread::spawn(move || {
            for signal in signals.forever() {
                if signal == SIGTERM {
                    shared.cancelled.store(true, Ordering::Relaxed);
                    shared.hang_up(&events);
                }
            }
        });
    }
}
