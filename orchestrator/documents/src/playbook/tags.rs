//! `--tags` and `--skip-tags`, with the meaning of Ansible's `always`, `never`, `tagged`,
//! `untagged` and `all`.

use std::collections::BTreeSet;

use super::model::Playbook;
use apim_product::yaml::{Mistakes, Span, nearest};

/// Tags with a special meaning, which no task needs to have.
const SPECIAL: [&str; 5] = ["all", "always", "never", "tagged", "untagged"];

/// The selected tags.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--tags`; empty selects all tasks.
    pub only: Vec<String>,
    /// `--skip-tags`.
    pub skip: Vec<String>,
}

impl Wanted {
    /// Reports every tag that no task of `playbook` has. Otherwise a typo would select nothing and
    /// look like success.
    pub fn check(&self, playbook: &Playbook, mistakes: &mut Mistakes) {
        let tasks = playbook.plays.iter().flat_map(|play| &play.tasks);
        let known: BTreeSet<&str> = tasks.flat_map(|task| &task.options.tags).map(String::as_str).collect();
        for (flag, tags) in [("--tags", &self.only), ("--skip-tags", &self.skip)] {
            for tag in tags.iter().filter(|tag| !known.contains(tag.as_str())) {
                if SPECIAL.contains(&tag.as_str()) {
                    continue;
                }
                let hint = match nearest(tag, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "no task of this playbook has a tag".to_owned(),
                    None => format!("known tags: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
                };
                mistakes.add_hint(&Span::flag(flag), format!("unknown tag `{tag}`"), hint);
            }
        }
    }

    /// Returns whether a task with these tags is selected.
    #[must_use]
    pub fn wants(&self, tags: &[String]) -> bool {
        let has = |tag: &str| tags.iter().any(|own| own == tag);
        let asks = |list: &[String], tag: &str| list.iter().any(|wanted| wanted == tag);
        let meets = |list: &[String]| list.iter().any(|wanted| has(wanted));
        let tagged = !tags.is_empty();
        let wanted = if self.only.is_empty() || asks(&self.only, "all") {
            !has("never") || meets(&self.only)
        } else {
            has("always")
                || meets(&self.only)
                || tagged && asks(&self.only, "tagged") && !has("never")
                || !tagged && asks(&self.only, "untagged")
        };
        let skips_always = asks(&self.skip, "always");
        let skipped = meets(&self.skip)
            || asks(&self.skip, "all") && (!has("always") || skips_always)
            || tagged && asks(&self.skip, "tagged") && !has("always")
            || !tagged && asks(&self.skip, "untagged");
        wanted && !skipped
    }
}
