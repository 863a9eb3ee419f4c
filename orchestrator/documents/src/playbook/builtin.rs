//! The built-in playbooks.

use apim_product::StartOrder;

use super::order::RoleOrder;

/// A built-in playbook.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its file name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The order in which it handles roles, checked when it is loaded; `None` if the order of roles
    /// has no meaning.
    pub order: Option<RoleOrder>,
}

/// The built-in playbooks.
pub const BUILT_IN: [BuiltIn; 13] = [
    BuiltIn {
        name: "site.yaml",
        text: include_str!("../../../../playbooks/site.yaml"),
        order: Some(RoleOrder::Start(StartOrder::Documented)),
    },
    BuiltIn {
        name: "site-dependencies-first.yaml",
        text: include_str!("../../../../playbooks/site-dependencies-first.yaml"),
        order: Some(RoleOrder::Start(StartOrder::DependenciesFirst)),
    },
    BuiltIn { name: "audit.yaml", text: include_str!("../../../../playbooks/audit.yaml"), order: None },
    BuiltIn {
        name: "preflight.yaml",
        text: include_str!("../../../../playbooks/preflight.yaml"),
        order: None,
    },
    BuiltIn { name: "prepare.yaml", text: include_str!("../../../../playbooks/prepare.yaml"), order: None },
    BuiltIn {
        name: "configure.yaml",
        text: include_str!("../../../../playbooks/configure.yaml"),
        order: None,
    },
    BuiltIn {
        name: "databases.yaml",
        text: include_str!("../../../../playbooks/databases.yaml"),
        order: None,
    },
    BuiltIn {
        name: "load-balancer.yaml",
        text: include_str!("../../../../playbooks/load-balancer.yaml"),
        order: None,
    },
    BuiltIn {
        name: "start.yaml",
        text: include_str!("../../../../playbooks/start.yaml"),
        order: Some(RoleOrder::Start(StartOrder::Documented)),
    },
    BuiltIn {
        name: "stop.yaml",
        text: include_str!("../../../../playbooks/stop.yaml"),
        order: Some(RoleOrder::Stop(StartOrder::DependenciesFirst)),
    },
    BuiltIn {
        name: "rolling-restart.yaml",
        text: include_str!("../../../../playbooks/rolling-restart.yaml"),
        order: Some(RoleOrder::Start(StartOrder::Documented)),
    },
    BuiltIn {
        name: "rollback.yaml",
        text: include_str!("../../../../playbooks/rollback.yaml"),
        order: Some(RoleOrder::Start(StartOrder::DependenciesFirst)),
    },
    BuiltIn { name: "health.yaml", text: include_str!("../../../../playbooks/health.yaml"), order: None },
];

impl BuiltIn {
    /// Returns the built-in playbook `name`, with or without extension.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        const ALL: &[BuiltIn] = &BUILT_IN;
        let bare = |name: &str| name.trim_end_matches(".yaml").trim_end_matches(".yml").to_owned();
        ALL.iter().find(|known| bare(known.name) == bare(name))
    }
}

/// Returns the text of the built-in playbook `name`, with or without extension.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static str> {
    BuiltIn::find(name).map(|known| known.text)
}
