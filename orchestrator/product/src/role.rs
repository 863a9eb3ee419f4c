//! Roles and start orders. No other module orders roles.

use std::fmt;

/// The role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// API Control Plane: portals, admin services, event hub.
    ControlPlane,
    /// A control plane distribution with the `key-manager` profile.
    KeyManager,
    /// Universal Gateway.
    Gateway,
    /// Traffic Manager.
    TrafficManager,
    /// All components in one process.
    AllInOne,
}

/// Inventory groups with a fixed meaning: one for each role, and two for hosts without a node. An
/// inventory may omit them.
pub const GROUPS: [&str; 7] = [
    Role::ControlPlane.group(),
    Role::Gateway.group(),
    Role::TrafficManager.group(),
    Role::KeyManager.group(),
    Role::AllInOne.group(),
    "load_balancer",
    "database",
];

/// An order in which roles are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartOrder {
    /// Key managers, gateways, control planes, traffic managers: step 7 of the documentation's
    /// "distributed deployment with a separated key manager".
    #[default]
    Documented,
    /// Control planes, traffic managers, key managers, gateways: producers start before their
    /// consumers.
    DependenciesFirst,
}

impl StartOrder {
    /// Every order.
    pub const ALL: [Self; 2] = [Self::Documented, Self::DependenciesFirst];

    /// Returns the roles in this order.
    ///
    /// Control planes before traffic managers in [`Self::DependenciesFirst`]: a traffic manager
    /// pulls its policies from the control plane's service URL at start and subscribes to its event
    /// hub, while a control plane needs no traffic manager to start (docs-apim, distributed
    /// deployment; helm-apim pattern 4 starts so too). Gateways come last because those of 4.5.0
    /// never reconnect to a broker that was down when they started (wso2/api-manager issue 4054).
    #[must_use]
    pub const fn roles(self) -> [Role; 5] {
        match self {
            Self::Documented => {
                [Role::AllInOne, Role::KeyManager, Role::Gateway, Role::ControlPlane, Role::TrafficManager]
            }
            Self::DependenciesFirst => {
                [Role::AllInOne, Role::ControlPlane, Role::TrafficManager, Role::KeyManager, Role::Gateway]
            }
        }
    }

    /// Returns the name of this order in the inventory.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::DependenciesFirst => "dependencies_first",
        }
    }

    /// Returns the built-in playbook with this order.
    #[must_use]
    pub const fn playbook(self) -> &'static str {
        match self {
            Self::Documented => "site.yaml",
            Self::DependenciesFirst => "site-dependencies-first.yaml",
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::ControlPlane, Self::KeyManager, Self::Gateway, Self::TrafficManager, Self::AllInOne];

    /// Returns the inventory group, settings block and budget pool of the role.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::ControlPlane => "control_plane",
            Self::KeyManager => "key_manager",
            Self::Gateway => "gateway",
            Self::TrafficManager => "traffic_manager",
            Self::AllInOne => "all_in_one",
        }
    }

    /// Returns the role whose group is `group`.
    #[must_use]
    pub fn of_group(group: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.group() == group)
    }

    /// Returns the folder of the component on a host, which is also the end of its unit's name.
    #[must_use]
    pub const fn component(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::KeyManager => "key-manager",
            Self::Gateway => "gateway",
            Self::TrafficManager => "traffic-manager",
            Self::AllInOne => "all-in-one",
        }
    }

    /// Returns the role whose distribution this one uses: a key manager uses the control plane's
    /// zip.
    #[must_use]
    pub const fn distribution(self) -> Self {
        match self {
            Self::KeyManager => Self::ControlPlane,
            Self::ControlPlane | Self::Gateway | Self::TrafficManager | Self::AllInOne => self,
        }
    }

    /// Returns the stem of the distribution's zip (wso2/product-apim,
    /// `modules/distribution/product/pom.xml` of each component).
    #[must_use]
    pub const fn zip_stem(self) -> &'static str {
        match self {
            Self::ControlPlane | Self::KeyManager => "wso2am-acp",
            Self::Gateway => "wso2am-universal-gw",
            Self::TrafficManager => "wso2am-tm",
            Self::AllInOne => "wso2am",
        }
    }

    /// Returns the start script in `bin/` (wso2/product-apim, `startup-scripts` of each component).
    #[must_use]
    pub const fn script(self) -> &'static str {
        match self {
            Self::ControlPlane => "api-cp.sh",
            Self::KeyManager => "key-manager.sh",
            Self::Gateway => "gateway.sh",
            Self::TrafficManager => "traffic-manager.sh",
            Self::AllInOne => "api-manager.sh",
        }
    }

    /// Returns the product name that the component reports in its log and at `/services/Version`
    /// (wso2/product-apim, `assembly/filter.properties`).
    #[must_use]
    pub const fn product(self) -> &'static str {
        match self {
            Self::ControlPlane | Self::KeyManager => "WSO2 API Control Plane",
            Self::Gateway => "WSO2 Universal Gateway",
            Self::TrafficManager => "WSO2 Traffic Manager",
            Self::AllInOne => "WSO2 API Manager",
        }
    }

    /// Returns the profile for `profileSetup.sh`, if any.
    #[must_use]
    pub const fn profile(self) -> Option<&'static str> {
        match self {
            Self::KeyManager => Some("key-manager"),
            Self::ControlPlane | Self::Gateway | Self::TrafficManager | Self::AllInOne => None,
        }
    }

    /// Returns the stop timeout in seconds. A gateway waits for active requests up to its socket
    /// timeout of 180 s, and its servlet container up to 60 s more; other roles have only the 60 s
    /// (wso2-synapse passthrough transport; carbon-kernel `ServerManagement`).
    #[must_use]
    pub const fn stop_timeout_secs(self) -> u64 {
        match self {
            Self::Gateway | Self::AllInOne => 300,
            Self::ControlPlane | Self::KeyManager | Self::TrafficManager => 120,
        }
    }

    /// Returns whether the role serves the event hub (portals, internal data service, broker).
    #[must_use]
    pub const fn is_hub(self) -> bool {
        matches!(self, Self::ControlPlane | Self::AllInOne)
    }

    /// Returns whether the role serves API calls.
    #[must_use]
    pub const fn is_gateway(self) -> bool {
        matches!(self, Self::Gateway | Self::AllInOne)
    }

    /// Returns the display name, such as `key manager`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ControlPlane => "control plane",
            Self::KeyManager => "key manager",
            Self::Gateway => "gateway",
            Self::TrafficManager => "traffic manager",
            Self::AllInOne => "all-in-one",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
