//! Differences of files as a unified diff. Identical differences are grouped. Returns text, prints
//! nothing.

use apim_protocol::outcome::Change;

use super::fold::folded;
use super::style::{Style, count, harmless};

/// A file on a host that differs from the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// Inventory name of the host.
    pub host: String,
    /// Path on the host.
    pub path: String,
    /// Short statements, such as `mode 0644 -> 0600`.
    pub changes: Vec<Change>,
    /// Unified diff from actual to desired content; `None` if it must not be shown.
    pub diff: Option<String>,
}

/// Direction of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From actual to desired: `+` is what apply would add.
    FromHost,
    /// From desired to actual: `+` is what was added on the host.
    ToHost,
}

/// Renders every distinct difference once, with its hosts.
#[must_use]
pub fn text(all: &[Differing], direction: Direction, style: Style) -> String {
    if all.is_empty() {
        return format!("{}\n", style.good("every file is up to date"));
    }
    let mut once: Vec<(&Differing, Vec<&str>)> = Vec::new();
    for one in all {
        let same = |(known, _): &&mut (&Differing, Vec<&str>)| {
            (&known.path, &known.changes, &known.diff) == (&one.path, &one.changes, &one.diff)
        };
        match once.iter_mut().find(same) {
            Some((_, hosts)) => hosts.push(&one.host),
            None => once.push((one, vec![&one.host])),
        }
    }
    let mut text = String::new();
    for (Differing { path, changes, diff, .. }, hosts) in once {
        let names = harmless(&folded(hosts.iter().copied())).into_owned();
        let (host, ours) = (format!("{names}:{}", harmless(path)), format!("apim-deploy:{}", harmless(path)));
        let (from, to) = match direction {
            Direction::FromHost => (host, ours),
            Direction::ToHost => (ours, host),
        };
        text.push_str(&format!(
            "{}\n{}\n",
            style.strong(format!("--- {from}")),
            style.strong(format!("+++ {to}"))
        ));
        let hunks = diff.as_ref().map(|diff| turned(diff, direction)).unwrap_or_default();
        for line in harmless(&hunks).lines().filter(|line| !is_head(line)) {
            text.push_str(&painted(line, style));
            text.push('\n');
        }
        // The diff already shows that the content differs.
        let shown =
            changes.iter().filter(|change| diff.is_none() || !matches!(change, Change::Content { .. }));
        for item in shown.flat_map(Change::statements) {
            text.push_str(&format!(
                "{}\n",
                style.change(format!("# {}", harmless(&item).replace('\n', " ")))
            ));
        }
        text.push('\n');
    }
    let mut hosts: Vec<&str> = all.iter().map(|one| one.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let words = format!(
        "{} differ{}, on {}",
        count(all.len(), "file"),
        if all.len() == 1 { "s" } else { "" },
        count(hosts.len(), "host")
    );
    text.push_str(&format!("{}\n", style.change(words)));
    text
}

fn is_head(line: &str) -> bool {
    line.starts_with("--- ") || line.starts_with("+++ ")
}

fn painted(line: &str, style: Style) -> String {
    match line.chars().next() {
        Some('+') => style.good(line),
        Some('-') => style.bad(line),
        Some('@') => style.faint(line),
        _ => line.to_owned(),
    }
}

/// Returns a unified diff (actual to desired) in `direction`.
#[must_use]
pub fn turned(diff: &str, direction: Direction) -> String {
    if direction == Direction::FromHost {
        return diff.to_owned();
    }
    let mut text = String::new();
    // In a unified diff, removed lines come before added lines.
    let (mut away, mut there) = (String::new(), String::new());
    let flush = |text: &mut String, away: &mut String, there: &mut String| {
        text.push_str(&std::mem::take(away));
        text.push_str(&std::mem::take(there));
    };
    for line in diff.lines() {
        let rest = line.get(1..).unwrap_or_default();
        match line.chars().next() {
            Some('+') if !line.starts_with("+++ ") => away.push_str(&format!("-{rest}\n")),
            Some('-') if !line.starts_with("--- ") => there.push_str(&format!("+{rest}\n")),
            _ => {
                flush(&mut text, &mut away, &mut there);
                text.push_str(&hunk_turned(line));
                text.push('\n');
            }
        }
    }
    flush(&mut text, &mut away, &mut there);
    text
}

/// `@@ -1,2 +3,4 @@` becomes `@@ -3,4 +1,2 @@`.
fn hunk_turned(line: &str) -> String {
    let parts: Vec<&str> = line.splitn(4, ' ').collect();
    match parts.as_slice() {
        ["@@", from, to, rest] if from.starts_with('-') && to.starts_with('+') => {
            format!("@@ -{} +{} {rest}", to.trim_start_matches('+'), from.trim_start_matches('-'))
        }
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differing(host: &str) -> Differing {
        Differing {
            host: host.into(),
            path: "/opt/x.toml".into(),
            changes: vec![Change::Content { from: 12, to: 8 }, "mode 0644 -> 0600".into()],
            diff: Some("--- before\n+++ after\n@@ -1,3 +1,2 @@\n a\n-by hand\n-b\n+c\n".into()),
        }
    }

    fn all() -> Vec<Differing> {
        let store = Differing {
            host: "gw2".into(),
            path: "/opt/x.jks".into(),
            changes: vec!["content differs".into()],
            diff: None,
        };
        vec![differing("gw1"), store, differing("gw2")]
    }

    #[test]
    fn identical_differences_are_grouped() {
        insta::assert_snapshot!(text(&all(), Direction::FromHost, Style::plain()));
    }

    #[test]
    fn reversed_diff_swaps_added_and_removed() {
        insta::assert_snapshot!(text(&all(), Direction::ToHost, Style::plain()));
    }

    #[test]
    fn no_difference_is_reported() {
        assert_eq!(text(&[], Direction::FromHost, Style::plain()), "every file is up to date\n");
    }
}
