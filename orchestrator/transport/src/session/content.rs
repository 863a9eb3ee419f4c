//! Sends content (bytes identified by their digest) in chunks, from memory or from a file, with
//! constant memory.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::operation::archive::part::Part;
use apim_protocol::value::Content;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::bytes::Bytes;

use super::error::SessionError;
use super::frame::{CHUNK_CONTENT, CHUNK_FRAME_HEAD, finish_chunk};
use super::sender::Sender;

/// Source of content on the control machine.
#[derive(Debug, Clone)]
pub enum Source {
    /// From memory.
    Bytes(Bytes),
    /// From a file, read as it is sent.
    File(PathBuf),
}

/// Parts of a file to send.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The parts, in order.
    pub parts: &'a [Part],
    /// Number of bytes of all parts together that the host has already.
    pub offset: u64,
}

impl Sender {
    /// Sends `content` from `offset` on; `progress` is called with the number of bytes sent so far,
    /// including `offset`.
    ///
    /// When the file cannot be read or is too short, the error is sent to the agent and returned.
    /// Dropping the future stops between two chunks: the agent keeps the received bytes and
    /// requests the rest the next time.
    ///
    /// # Errors
    /// When the link has ended or the source cannot be read.
    pub async fn send_content(
        &self,
        content: &Content,
        source: &Source,
        offset: u64,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<(), SessionError> {
        match source {
            Source::Bytes(bytes) => self.send_bytes(content, bytes, offset, &mut progress).await,
            Source::File(path) => {
                let sent = self.send_file(content, path, offset, &mut progress).await;
                if let Err(SessionError::Content { source, .. }) = &sent {
                    self.no_content(
                        content.sha256,
                        format!("cannot read it on the control machine: {source}"),
                    )
                    .await?;
                }
                sent
            }
        }
    }

    /// Sends the concatenated `parts` of the file `path` from `offset` on; otherwise like
    /// [`Sender::send_content`].
    ///
    /// # Errors
    /// When the link has ended or the file cannot be read.
    pub async fn send_parts(
        &self,
        content: &Content,
        path: &Path,
        parts: Parts<'_>,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<(), SessionError> {
        let sent = self.send_each(content, path, parts, &mut progress).await;
        if let Err(SessionError::Content { source, .. }) = &sent {
            self.no_content(content.sha256, format!("cannot read it on the control machine: {source}"))
                .await?;
        }
        sent
    }

    async fn send_each(
        &self,
        content: &Content,
        path: &Path,
        Parts { parts, offset }: Parts<'_>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), SessionError> {
        let fault = |source: std::io::Error| self.fault(path, source);
        let mut file = tokio::fs::File::open(path).await.map_err(fault)?;
        file.set_max_buf_size(CHUNK_CONTENT);
        // Small parts share a frame.
        let (mut frame, mut skip, mut at) = (vec![0; CHUNK_FRAME_HEAD], offset, offset);
        for part in parts {
            let here = skip.min(part.length);
            skip -= here;
            let (mut from, end) = (part.from + here, part.from + part.length);
            if from < end {
                file.seek(SeekFrom::Start(from)).await.map_err(fault)?;
            }
            while from < end {
                let begun = frame.len();
                let room = CHUNK_FRAME_HEAD + CHUNK_CONTENT - begun;
                let wanted = usize::try_from(end - from).unwrap_or(room).min(room);
                frame.resize(begun + wanted, 0);
                file.read_exact(frame.get_mut(begun..).unwrap_or_default()).await.map_err(fault)?;
                from += wanted as u64;
                if wanted == room {
                    let full = std::mem::replace(&mut frame, vec![0; CHUNK_FRAME_HEAD]);
                    self.push(finish_chunk(full, &content.sha256, at)).await?;
                    at += CHUNK_CONTENT as u64;
                    progress(at);
                }
            }
        }
        let rest = (frame.len() - CHUNK_FRAME_HEAD) as u64;
        if rest > 0 {
            self.push(finish_chunk(frame, &content.sha256, at)).await?;
            progress(at + rest);
        }
        Ok(())
    }

    /// Returns the error for a file that cannot be read or was changed.
    fn fault(&self, path: &Path, source: std::io::Error) -> SessionError {
        let source = match source.kind() {
            std::io::ErrorKind::UnexpectedEof => std::io::Error::other("the file became shorter"),
            _ => source,
        };
        SessionError::Content {
            peer: self.peer().to_owned(),
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    async fn send_bytes(
        &self,
        content: &Content,
        bytes: &Bytes,
        offset: u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), SessionError> {
        let mut rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let mut at = offset;
        loop {
            let (piece, left) = rest.split_at(rest.len().min(CHUNK_CONTENT));
            let mut frame = vec![0; CHUNK_FRAME_HEAD];
            frame.extend_from_slice(piece);
            self.push(finish_chunk(frame, &content.sha256, at)).await?;
            at += piece.len() as u64;
            rest = left;
            progress(at);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    async fn send_file(
        &self,
        content: &Content,
        path: &Path,
        offset: u64,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), SessionError> {
        let fault = |source: std::io::Error| self.fault(path, source);
        let mut file = tokio::fs::File::open(path).await.map_err(fault)?;
        file.set_max_buf_size(CHUNK_CONTENT);
        file.seek(SeekFrom::Start(offset)).await.map_err(fault)?;
        let mut at = offset;
        loop {
            let wanted = content.size.saturating_sub(at).min(CHUNK_CONTENT as u64) as usize;
            let mut frame = vec![0; CHUNK_FRAME_HEAD + wanted];
            if let Some(room) = frame.get_mut(CHUNK_FRAME_HEAD..) {
                file.read_exact(room).await.map_err(fault)?;
            }
            self.push(finish_chunk(frame, &content.sha256, at)).await?;
            at += wanted as u64;
            progress(at);
            if at >= content.size {
                return Ok(());
            }
        }
    }
}
