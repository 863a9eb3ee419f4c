//! `--tags` and `--skip-tags`, with the meaning of Ansible's `always`, `never`, `tagged`, `untagged` and `all`.

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--tags`; empty for all.
    pub only: Vec<String>,
    /// `--skip-tags`.
    pub skip: Vec<String>,
}

impl Wanted {
    /// Says whether a task with these tags is to be done.
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
