//! A file that is still on its way: it is read from its beginning while it grows, and reading waits for what has not come.
//!
//! The receiver records how far it is; the reader runs on another thread. Its digest is verified only at the end,
//! so nothing that was made from it may be put into place before.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far a file is that is being received.
#[derive(Debug, Default)]
pub struct Arrival {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Until it is read.
    file: Option<File>,
    begun: bool,
    here: u64,
    /// Whether the reader has read all that has arrived.
    idle: bool,
    /// Whether the reader has stopped.
    gone: bool,
    /// Whether all of it is here and is what it should be; `None` while it is on its way.
    over: Option<bool>,
}

impl Arrival {
    /// The first `here` bytes of `file` have arrived, and more will come. When called again with less, it starts over, and
    /// what was read so far is void.
    pub fn begin(&self, file: File, here: u64) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.begun, true) {
            state.file = Some(file);
            state.here = here;
        } else if here < state.here {
            state.over.get_or_insert(false);
        }
        self.changed.notify_all();
    }

    /// The first `here` bytes are here.
    pub fn grown(&self, here: u64) {
        let mut state = self.lock();
        state.here = here;
        state.idle = false;
        self.changed.notify_all();
    }

    /// Nothing more comes; `whole` says whether all of it is here, and is what it should be.
    pub fn end(&self, whole: bool) {
        self.lock().over.get_or_insert(whole);
        self.changed.notify_all();
    }

    /// Says whether all of it is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lock().over == Some(true)
    }

    /// Waits until the first bytes are on their way and returns what reads them; `None` when the file did not have to come.
    #[must_use]
    pub fn follow(&self) -> Option<Arriving<'_>> {
        let mut state = self.lock();
        while state.file.is_none() && state.over.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let file = state.file.take().filter(|_| state.over.is_none())?;
        Some(Arriving { arrival: self, file, at: 0 })
    }

    /// Waits until the reader has read all that has arrived, or has stopped.
    #[cfg(test)]
    pub(crate) fn await_reader(&self) {
        let mut state = self.lock();
        while !state.idle && !state.gone {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something at `at`; returns how much, 0 at the end.
    fn available(&self, at: u64) -> io::Result<u64> {
        let mut state = self.lock();
        loop {
            match (state.over, state.here.saturating_sub(at)) {
                (Some(false), _) => return Err(io::Error::other("the file did not arrive whole")),
                (Some(true), left) => return Ok(left),
                (None, 0) => {
                    state.idle = true;
                    self.changed.notify_all();
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                (None, left) => return Ok(left),
            }
        }
    }
}

/// Reads a file from its beginning while it arrives.
#[derive(Debug)]
pub struct Arriving<'a> {
    arrival: &'a Arrival,
    file: File,
    at: u64,
}

impl Arriving<'_> {
    /// Says whether all of it is here: then it can be read in better ways than from its beginning.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.arrival.is_whole()
    }
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.arrival.available(self.at)?).unwrap_or(usize::MAX).min(buffer.len());
        let got = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.arrival.lock().gone = true;
        self.arrival.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;

    fn arrived(parts: &[&[u8]], whole: bool) -> io::Result<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        let arrival = Arrival::default();
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut all = Vec::new();
                arrival.follow().unwrap().read_to_end(&mut all).map(|_| all)
            });
            arrival.begin(file.try_clone().unwrap(), 0);
            arrival.await_reader();
            let mut here = 0;
            for part in parts {
                file.write_all(part).unwrap();
                here += part.len() as u64;
                arrival.grown(here);
            }
            arrival.end(whole);
            reader.join().unwrap()
        })
    }

    #[test]
    fn what_arrives_is_read_to_its_end_and_no_further() {
        assert_eq!(arrived(&[b"one ", b"two ", b"three"], true).unwrap(), b"one two three");
        assert_eq!(arrived(&[], true).unwrap(), b"");
    }

    #[test]
    fn what_does_not_arrive_whole_ends_in_an_error() {
        assert!(arrived(&[b"one "], false).is_err());
    }

    #[test]
    fn restarted_file_is_no_longer_read() {
        let arrival = Arrival::default();
        arrival.begin(tempfile::tempfile().unwrap(), 10);
        let mut reader = arrival.follow().unwrap();
        arrival.begin(tempfile::tempfile().unwrap(), 0);
        arrival.end(true);
        assert!(reader.read(&mut [0]).is_err() && !reader.is_whole());
    }

    #[test]
    fn nothing_is_read_of_what_need_not_come() {
        let arrival = Arrival::default();
        arrival.end(true);
        assert!(arrival.follow().is_none());
    }
}
