//! The built-in playbooks.

/// Name and text of each built-in playbook.
pub const BUILT_IN: [(&str, &str); 13] = [
    ("site.yaml", include_str!("../../../../playbooks/site.yaml")),
    ("site-dependencies-first.yaml", include_str!("../../../../playbooks/site-dependencies-first.yaml")),
    ("audit.yaml", include_str!("../../../../playbooks/audit.yaml")),
    ("preflight.yaml", include_str!("../../../../playbooks/preflight.yaml")),
    ("prepare.yaml", include_str!("../../../../playbooks/prepare.yaml")),
    ("configure.yaml", include_str!("../../../../playbooks/configure.yaml")),
    ("databases.yaml", include_str!("../../../../playbooks/databases.yaml")),
    ("load-balancer.yaml", include_str!("../../../../playbooks/load-balancer.yaml")),
    ("start.yaml", include_str!("../../../../playbooks/start.yaml")),
    ("stop.yaml", include_str!("../../../../playbooks/stop.yaml")),
    ("rolling-restart.yaml", include_str!("../../../../playbooks/rolling-restart.yaml")),
    ("rollback.yaml", include_str!("../../../../playbooks/rollback.yaml")),
    ("health.yaml", include_str!("../../../../playbooks/health.yaml")),
];

/// Returns the text of the built-in playbook `name`, with or without extension.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    let bare = |name: &str| name.trim_end_matches(".yaml").trim_end_matches(".yml").to_owned();
    BUILT_IN.iter().find(|(known, _)| bare(known) == bare(name)).map(|(_, text)| *text)
}
