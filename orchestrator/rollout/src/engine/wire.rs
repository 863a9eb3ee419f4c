//! An open link. Requests are queued and never wait for content, content is sent in parallel, and
//! replies are read one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apim_protocol::facts::Facts;
use apim_protocol::message::{Done, Hello, Open, Reply, Request, StepId};
use apim_protocol::operation::archive::part::{self, Part};
use apim_protocol::value::Content;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::bytes::Bytes;

use super::event::Event;
use crate::plan::model::ContentSource;
use apim_transport::host::HostName;
use apim_transport::session::{Link, Parts, Receiver, Sender, Session, SessionError, Source};

/// An open link.
pub(super) struct Wire {
    pub(super) facts: Facts,
    /// Steps that ended on the host while the link was down.
    pub(super) done: Vec<Done>,
    receiver: Receiver,
    sender: Sender,
    requests: mpsc::UnboundedSender<Request>,
    pump: JoinHandle<()>,
    upload: Option<(Content, JoinHandle<()>)>,
    surroundings: Surroundings,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.pump.abort();
        if let Some((_, upload)) = &self.upload {
            upload.abort();
        }
    }
}

/// Content to send.
pub(super) struct Upload {
    pub(super) content: Content,
    pub(super) source: ContentSource,
    /// Only these parts; empty means all.
    pub(super) parts: Vec<Part>,
    /// Offset of the first byte to send.
    pub(super) offset: u64,
}

/// The parts of the run that a link needs.
pub(super) struct Surroundings {
    pub(super) host: HostName,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) uploads_at_once: Arc<Semaphore>,
}

impl Wire {
    /// Opens the session over `link`.
    pub(super) async fn open(
        link: Link,
        open: Open,
        surroundings: Surroundings,
    ) -> Result<Self, SessionError> {
        let (session, Hello { facts, done, build: _ }) = Session::open(link, open).await?;
        let (sender, receiver) = session.split();
        let (requests, queued) = mpsc::unbounded_channel();
        let pump = tokio::spawn(send_requests(sender.clone(), queued));
        Ok(Self { facts, done, receiver, sender, requests, pump, upload: None, surroundings })
    }

    /// Queues a request. A lost link shows up in `next`.
    pub(super) fn send(&self, request: Request) {
        drop(self.requests.send(request));
    }

    /// Sends the request that `answer` resolves to, in the background.
    pub(super) fn send_later(&self, answer: impl Future<Output = Request> + Send + 'static) {
        let requests = self.requests.clone();
        tokio::spawn(async move { drop(requests.send(answer.await)) });
    }

    /// Sends content in the background.
    pub(super) fn give(&mut self, step: StepId, wanted: Upload) {
        let Surroundings { host, events, uploads_at_once } = &self.surroundings;
        let (host, events, turns) = (host.clone(), events.clone(), Arc::clone(uploads_at_once));
        let sender = self.sender.clone();
        let content = wanted.content;
        let upload = tokio::spawn(async move {
            // The semaphore is never closed. Without a slot the content is sent anyway.
            let _turn = turns.acquire().await;
            let Upload { content, source, parts, offset } = wanted;
            let total = part::total(&parts, content.size).unwrap_or(content.size);
            let progress = |done| drop(events.send(Event::Sending(host.clone(), step, done, total)));
            let source = match source {
                ContentSource::Bytes(bytes) => Source::Bytes(Bytes::from_owner(bytes)),
                ContentSource::File(path) => Source::File(path),
            };
            // If the file cannot be read, the agent is notified and its step fails. A lost link
            // shows up in `next`.
            drop(match (source, parts.is_empty()) {
                (Source::File(path), false) => {
                    sender.send_parts(&content, &path, Parts { parts: &parts, offset }, progress).await
                }
                (source, _) => sender.send_content(&content, &source, offset, progress).await,
            });
        });
        if let Some((_, before)) = self.upload.replace((content, upload)) {
            before.abort();
        }
    }

    /// Stops the current upload. The host keeps the received part and resumes from there next time.
    pub(super) fn stop_upload(&mut self, why: &str) {
        if let Some((content, upload)) = self.upload.take()
            && !upload.is_finished()
        {
            upload.abort();
            self.send(Request::NoContent { sha256: content.sha256, why: why.to_owned() });
        }
    }

    /// Returns the next reply, or `None` after the last one. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Reply>, SessionError> {
        self.receiver.next().await
    }
}

/// Sends queued requests until the link is lost or the queue is closed.
async fn send_requests(sender: Sender, mut queued: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = queued.recv().await {
        // A step that exceeds the frame size is a bug in the plan. The agent never answers it, and
        // the lane's watchdog reports it.
        if sender.send(&request).await.is_err() {
            return;
        }
    }
}

/// Sessions with the hosts of peers, kept between checks: one login per host and run.
#[derive(Default)]
pub(super) struct KeptSessions(Mutex<HashMap<HostName, Vec<Wire>>>);

impl KeptSessions {
    pub(super) fn take(&self, host: &HostName) -> Option<Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(host)?.pop()
    }

    pub(super) fn keep(&self, host: &HostName, wire: Wire) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(host.clone()).or_default().push(wire);
    }

    pub(super) fn take_all(&self) -> HashMap<HostName, Vec<Wire>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
