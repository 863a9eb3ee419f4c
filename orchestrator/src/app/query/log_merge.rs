//! Merges the entries of many logs by time stamp. Buffers are bounded: a log that is ahead waits.

use std::collections::VecDeque;
use std::time::Duration;

use apim_protocol::observation::LogEntry;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

/// Delay of new entries, so that entries of other hosts that arrive later are still sorted in.
const HOLD: Duration = Duration::from_millis(400);
/// Maximum number of delayed entries.
const HELD: usize = 2000;

/// A message from a log.
#[derive(Debug)]
pub(crate) enum Said {
    /// Entries in order, and whether they are new rather than existing ones.
    Entries(Vec<LogEntry>, bool),
    /// A note about the log: unreadable, or reconnected.
    Note(String),
}

/// An item to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// An entry of the log with this number.
    Entry(usize, LogEntry),
    /// A note about the log with this number.
    Note(usize, String),
}

/// A log with existing entries to merge.
struct Source {
    receiver: Receiver<Said>,
    waiting: VecDeque<LogEntry>,
    is_over: bool,
    /// Time stamp of its last entry, used for entries without one.
    last: u64,
}

impl Source {
    /// Waits until its next entry is available, if there is one.
    async fn fill(&mut self, number: usize, show: &mut dyn FnMut(Shown)) {
        while self.waiting.is_empty() && !self.is_over {
            match self.receiver.recv().await {
                Some(Said::Entries(entries, is_live)) => {
                    self.waiting.extend(entries);
                    self.is_over = is_live;
                }
                Some(Said::Note(words)) => show(Shown::Note(number, words)),
                None => self.is_over = true,
            }
        }
    }

    fn next_at(&self) -> Option<u64> {
        self.waiting.front().map(|entry| entry.at.unwrap_or(self.last))
    }
}

/// Shows existing entries of all logs merged, then new entries as they arrive. Ends when all logs
/// have ended.
pub(crate) async fn merge(receivers: Vec<Receiver<Said>>, show: &mut dyn FnMut(Shown)) {
    let mut sources: Vec<Source> = receivers
        .into_iter()
        .map(|receiver| Source { receiver, waiting: VecDeque::new(), is_over: false, last: 0 })
        .collect();
    loop {
        for (number, source) in sources.iter_mut().enumerate() {
            source.fill(number, show).await;
        }
        let heads =
            sources.iter().enumerate().filter_map(|(number, source)| Some((source.next_at()?, number)));
        let Some((at, number)) = heads.min() else { break };
        let Some(source) = sources.get_mut(number) else { break };
        source.last = at;
        if let Some(entry) = source.waiting.pop_front() {
            show(Shown::Entry(number, entry));
        }
    }
    live(sources, show).await;
}

/// Entries with their effective time stamps, or a note.
enum Dated {
    Entries(Vec<(u64, LogEntry)>),
    Note(String),
}

/// An entry without a time stamp takes the one of the preceding entry.
fn dated(said: Said, mut last: u64) -> (Dated, u64) {
    let dated = match said {
        Said::Note(words) => Dated::Note(words),
        Said::Entries(entries, _) => {
            let dated = entries.into_iter().map(|entry| {
                last = entry.at.unwrap_or(last);
                (last, entry)
            });
            Dated::Entries(dated.collect())
        }
    };
    (dated, last)
}

async fn live(sources: Vec<Source>, show: &mut dyn FnMut(Shown)) {
    let streams = sources.into_iter().enumerate().map(|(number, source)| -> BoxStream<'static, _> {
        stream::unfold((source.receiver, source.last), move |(mut receiver, last)| async move {
            let (said, last) = dated(receiver.recv().await?, last);
            Some(((number, said), (receiver, last)))
        })
        .boxed()
    });
    let mut all = stream::select_all(streams);
    let mut held: Vec<(u64, usize, LogEntry)> = Vec::new();
    let mut until: Option<Instant> = None;
    loop {
        let next = match until {
            Some(until) if held.len() < HELD => timeout_at(until, all.next()).await.ok(),
            Some(_) => None,
            None => Some(all.next().await),
        };
        let is_over = matches!(next, Some(None));
        match next {
            Some(Some((number, Dated::Entries(entries)))) => {
                held.extend(entries.into_iter().map(|(at, entry)| (at, number, entry)));
                until = until.or_else(|| (!held.is_empty()).then(|| Instant::now() + HOLD));
            }
            Some(Some((number, Dated::Note(words)))) => show(Shown::Note(number, words)),
            Some(None) | None => {
                // The sort is stable: entries of one log with the same time stamp keep their order.
                held.sort_by_key(|(at, _, _)| *at);
                held.drain(..).for_each(|(_, number, entry)| show(Shown::Entry(number, entry)));
                until = None;
            }
        }
        if is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn entry(at: impl Into<Option<u64>>, text: &str) -> LogEntry {
        LogEntry { at: at.into(), text: text.into() }
    }

    fn texts(shown: &[Shown]) -> Vec<String> {
        shown
            .iter()
            .map(|shown| match shown {
                Shown::Entry(number, entry) => format!("{number} {}", entry.text),
                Shown::Note(number, words) => format!("{number} ({words})"),
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn existing_entries_are_sorted_across_logs() {
        let (one, first) = mpsc::channel(2);
        let (two, second) = mpsc::channel(2);
        let tell = async move {
            two.send(Said::Entries(vec![entry(2, "b"), entry(None, "b, more"), entry(5, "e")], false))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            one.send(Said::Entries(vec![entry(1, "a"), entry(4, "d")], false)).await.unwrap();
            one.send(Said::Entries(vec![entry(6, "f")], false)).await.unwrap();
        };
        let mut shown = Vec::new();
        let mut show = |one| shown.push(one);
        tokio::join!(tell, merge(vec![first, second], &mut show));
        assert_eq!(texts(&shown), ["0 a", "1 b", "1 b, more", "0 d", "1 e", "0 f"]);
    }

    #[tokio::test(start_paused = true)]
    async fn new_entries_are_sorted_within_the_delay() {
        let (one, first) = mpsc::channel(2);
        let (two, second) = mpsc::channel(2);
        let tell = async move {
            one.send(Said::Entries(vec![entry(1, "old")], true)).await.unwrap();
            two.send(Said::Note("away".into())).await.unwrap();
            two.send(Said::Entries(Vec::new(), true)).await.unwrap();
            one.send(Said::Entries(vec![entry(12, "later")], true)).await.unwrap();
            tokio::time::sleep(HOLD / 4).await;
            two.send(Said::Entries(vec![entry(11, "sooner")], true)).await.unwrap();
            tokio::time::sleep(HOLD * 4).await;
            one.send(Said::Entries(vec![entry(10, "too late")], true)).await.unwrap();
        };
        let mut shown = Vec::new();
        let mut show = |one| shown.push(one);
        tokio::join!(tell, merge(vec![first, second], &mut show));
        assert_eq!(texts(&shown), ["1 (away)", "0 old", "1 sooner", "0 later", "0 too late"]);
    }
}
