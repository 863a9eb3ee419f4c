//! Entries of many logs in one order, by their time stamps. What is held back is bounded: a log whose entries are not wanted yet waits.

use std::collections::VecDeque;
use std::time::Duration;

use apim_protocol::observation::LogEntry;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

/// What was just written is held back for so long, so that it stands in order with what other hosts say a little later.
const HOLD: Duration = Duration::from_millis(400);
/// No more than so many entries are held back.
const HELD: usize = 2000;

/// What a log says.
#[derive(Debug)]
pub(super) enum Said {
    /// Entries, in order; whether they were written just now.
    Entries(Vec<LogEntry>, bool),
    /// Words about it that are no entry: it cannot be read, or can be read again.
    Note(String),
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// An entry of the log with this number.
    Entry(usize, LogEntry),
    /// Words about that log.
    Note(usize, String),
}

/// A log that has not yet told all that was there.
struct Source {
    receiver: Receiver<Said>,
    waiting: VecDeque<LogEntry>,
    is_over: bool,
    /// The stamp of its last entry, which one without a stamp takes over.
    last: u64,
}

impl Source {
    /// Makes sure that its next entry is at hand, if there is one.
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

/// Shows what all logs say: first what was there, in one order, then what is written, as it comes. Ends when all have ended.
pub(super) async fn merge(receivers: Vec<Receiver<Said>>, show: &mut dyn FnMut(Shown)) {
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

/// Entries with the moment that each counts as written at, or words.
enum Dated {
    Entries(Vec<(u64, LogEntry)>),
    Note(String),
}

/// An entry without a stamp counts as written with the one before it.
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
                // Of one log, and of one moment, the order stays.
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
    async fn what_was_there_is_in_one_order_whoever_answers_first() {
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
    async fn what_is_written_now_is_in_order_too_if_it_comes_soon() {
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
