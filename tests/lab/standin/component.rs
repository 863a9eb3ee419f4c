//! The components and versions of the product, and the names of their distributions. `tree` has the files.
//!
//! Source: wso2/product-apim, `<component>/modules/distribution/product` (pom.xml, assembly/bin.xml, assembly/filter.properties).

use std::fmt;
use std::str::FromStr;

/// A component with a distribution of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// API Control Plane, also used as the key manager.
    ControlPlane,
    /// Universal Gateway.
    Gateway,
    /// Traffic Manager.
    TrafficManager,
    /// All components in one process.
    AllInOne,
}

/// A version of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 4.5.0. Its gateways lose their listeners until a restart if no control plane is running at their start.
    V4_5_0,
    /// 4.6.0.
    V4_6_0,
}

/// An unknown component or version.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not one of {1}")]
pub struct UnknownName(String, &'static str);

impl Component {
    /// All of them.
    pub const ALL: [Component; 4] =
        [Component::ControlPlane, Component::Gateway, Component::TrafficManager, Component::AllInOne];

    /// The top folder of the distribution.
    pub fn top_folder(self, version: Version) -> String {
        match self {
            Component::ControlPlane => format!("wso2am-acp-{version}"),
            Component::Gateway => format!("wso2am-universal-gw-{version}"),
            Component::TrafficManager => format!("wso2am-tm-{version}"),
            Component::AllInOne => format!("wso2am-{version}"),
        }
    }

    /// The file name of the distribution.
    pub fn zip_name(self, version: Version) -> String {
        format!("{}.zip", self.top_folder(version))
    }

    /// The product name, as in `bin/version.txt`, logs and `/services/Version`.
    pub fn product_name(self) -> &'static str {
        match self {
            Component::ControlPlane => "WSO2 API Control Plane",
            Component::Gateway => "WSO2 Universal Gateway",
            Component::TrafficManager => "WSO2 Traffic Manager",
            Component::AllInOne => "WSO2 API Manager",
        }
    }

    /// The start scripts in `bin/`.
    pub fn scripts(self) -> &'static [&'static str] {
        match self {
            Component::ControlPlane => &["api-cp.sh", "key-manager.sh"],
            Component::Gateway => &["gateway.sh"],
            Component::TrafficManager => &["traffic-manager.sh"],
            Component::AllInOne => &["api-manager.sh"],
        }
    }
}

impl FromStr for Component {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Component, UnknownName> {
        match text {
            "acp" => Ok(Component::ControlPlane),
            "gw" => Ok(Component::Gateway),
            "tm" => Ok(Component::TrafficManager),
            "aio" => Ok(Component::AllInOne),
            other => Err(UnknownName(other.to_owned(), "acp, gw, tm, aio")),
        }
    }
}

impl Version {
    /// All of them.
    pub const ALL: [Version; 2] = [Version::V4_5_0, Version::V4_6_0];

    /// The version of its Carbon kernel.
    pub fn kernel(self) -> &'static str {
        match self {
            Version::V4_5_0 => "4.9.28",
            Version::V4_6_0 => "4.9.33",
        }
    }

    /// `4.5` or `4.6`.
    pub(super) fn line(self) -> &'static str {
        match self {
            Version::V4_5_0 => "4.5",
            Version::V4_6_0 => "4.6",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.0", self.line())
    }
}

impl FromStr for Version {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Version, UnknownName> {
        match text {
            "4.5.0" => Ok(Version::V4_5_0),
            "4.6.0" => Ok(Version::V4_6_0),
            other => Err(UnknownName(other.to_owned(), "4.5.0, 4.6.0")),
        }
    }
}
