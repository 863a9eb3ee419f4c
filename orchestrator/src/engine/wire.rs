//! A link in use: requests are queued and never wait for content; content is sent beside them; replies are heard one by one.

use std::sync::Arc;

use apim_protocol::facts::Facts;
use apim_protocol::message::{Done, Hello, Open, Reply, Request, StepId};
use apim_protocol::operation::archive::part::{self, Part};
use apim_protocol::value::Content;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::bytes::Bytes;

use super::event::Event;
use crate::inventory::host::HostName;
use crate::plan::model::ContentSource;
use crate::session::{Link, Receiver, Sender, Session, SessionError, Source};

/// A link in use.
pub(super) struct Wire {
    pub(super) facts: Facts,
    /// What ended on the host while there was no link.
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

/// What is to be sent.
pub(super) struct Upload {
    pub(super) content: Content,
    pub(super) source: ContentSource,
    /// Only these; none means all.
    pub(super) parts: Vec<Part>,
    /// From which byte on.
    pub(super) offset: u64,
}

/// What a link needs to know of the run around it.
pub(super) struct Surroundings {
    pub(super) host: HostName,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) uploads_at_once: Arc<Semaphore>,
}

impl Wire {
    /// Opens the conversation over `link`.
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

    /// Queues a request; that a link is gone is noticed when listening.
    pub(super) fn send(&self, request: Request) {
        drop(self.requests.send(request));
    }

    /// Sends the request that `answer` comes to, beside everything else.
    pub(super) fn send_later(&self, answer: impl Future<Output = Request> + Send + 'static) {
        let requests = self.requests.clone();
        tokio::spawn(async move { drop(requests.send(answer.await)) });
    }

    /// Sends content, beside everything else.
    pub(super) fn give(&mut self, step: StepId, wanted: Upload) {
        let Surroundings { host, events, uploads_at_once } = &self.surroundings;
        let (host, events, turns) = (host.clone(), events.clone(), Arc::clone(uploads_at_once));
        let sender = self.sender.clone();
        let content = wanted.content;
        let upload = tokio::spawn(async move {
            // The semaphore is never closed; without a turn the content goes out all the same.
            let _turn = turns.acquire().await;
            let Upload { content, source, parts, offset } = wanted;
            let total = part::total(&parts, content.size).unwrap_or(content.size);
            let progress = |done| drop(events.send(Event::Sending(host.clone(), step, done, total)));
            let source = match source {
                ContentSource::Bytes(bytes) => Source::Bytes(Bytes::from_owner(bytes)),
                ContentSource::File(path) => Source::File(path),
            };
            // A file that cannot be read was told to the agent, whose step fails; a link that is gone is noticed when listening.
            drop(match (source, parts.is_empty()) {
                (Source::File(path), false) => {
                    sender.send_parts(&content, &path, (&parts, offset), progress).await
                }
                (source, _) => sender.send_content(&content, &source, offset, progress).await,
            });
        });
        if let Some((_, before)) = self.upload.replace((content, upload)) {
            before.abort();
        }
    }

    /// Stops what is being sent; the host keeps what it has, and goes on from there another time.
    pub(super) fn stop_upload(&mut self, why: &str) {
        if let Some((content, upload)) = self.upload.take()
            && !upload.is_finished()
        {
            upload.abort();
            self.send(Request::NoContent { sha256: content.sha256, why: why.to_owned() });
        }
    }

    /// Returns the next reply; `None` after the last. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Option<Reply>, SessionError> {
        self.receiver.next().await
    }
}

/// Sends what is queued until the link is gone or nobody queues any more.
async fn send_requests(sender: Sender, mut queued: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = queued.recv().await {
        // A step that is too long for a frame is a bug of the plan; the agent never answers it, and the lane's watchdog names it.
        if sender.send(&request).await.is_err() {
            return;
        }
    }
}
