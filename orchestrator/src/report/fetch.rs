//! Progress of downloads before the run: bars on a terminal, occasional lines without one, nothing
//! with JSON output.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use super::look::Look;
use super::output::remark;
use super::style::harmless;

/// Without a terminal, the minimum time between two lines about the same file.
const QUIET: Duration = Duration::from_secs(5);

/// Progress callback: file name, bytes done, bytes total (0 if unknown). Both are `u64::MAX` when
/// the file is complete.
pub type Fetching = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Returns the progress callback for `look`.
#[must_use]
pub fn fetching(look: &Look) -> Fetching {
    match (look.json, look.live) {
        (true, _) => Arc::new(|_, _, _| {}),
        (false, true) => bars(),
        (false, false) => lines(),
    }
}

fn bars() -> Fetching {
    let all = MultiProgress::new();
    let known: Mutex<HashMap<String, ProgressBar>> = Mutex::default();
    let style =
        ProgressStyle::with_template("  {msg}  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    Arc::new(move |name, done, total| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if done == u64::MAX {
            if let Some(bar) = known.remove(name) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = known.entry(name.to_owned()).or_insert_with(|| {
            let bar = ProgressBar::new(total).with_style(style.clone());
            all.add(bar.with_message(format!("fetching {}", harmless(name))))
        });
        bar.set_length(total.max(done));
        bar.set_position(done);
    })
}

fn lines() -> Fetching {
    let known: Mutex<HashMap<String, Instant>> = Mutex::default();
    Arc::new(move |name, done, total| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if done == u64::MAX {
            if known.remove(name).is_some() {
                remark(&format!("fetched {}", harmless(name)));
            }
            return;
        }
        let last = known.get(name).copied();
        if last.is_none_or(|last| last.elapsed() >= QUIET) {
            known.insert(name.to_owned(), Instant::now());
            let total = if total > 0 { format!(" of {}", HumanBytes(total)) } else { String::new() };
            remark(&format!("fetching {}: {}{total}", harmless(name), HumanBytes(done)));
        }
    })
}
