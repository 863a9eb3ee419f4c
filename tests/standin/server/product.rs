//! Detects the product from its files: `bin/version.txt` and the installed webapps.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The component in a home folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ControlPlane,
    /// A control plane after `profileSetup.sh`.
    KeyManager,
    Gateway,
    TrafficManager,
    AllInOne,
}

/// The product in a home folder.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) kind: Kind,
    /// Such as `WSO2 Universal Gateway`.
    pub(crate) name: String,
    /// Such as `4.6.0`.
    pub(crate) version: String,
    /// The names in the webapps folder.
    pub(crate) webapps: BTreeSet<String>,
}

impl Product {
    /// Detects the product in a home folder.
    pub(crate) fn find(home: &Path) -> Result<Product, String> {
        let path = home.join("bin/version.txt");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (name, version) =
            text.trim().rsplit_once(" v").ok_or_else(|| format!("{}: no version", path.display()))?;
        let webapps: BTreeSet<String> = fs::read_dir(home.join("repository/deployment/server/webapps"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        let kind = match name {
            "WSO2 API Control Plane" if webapps.contains("publisher") => Kind::ControlPlane,
            "WSO2 API Control Plane" => Kind::KeyManager,
            "WSO2 Universal Gateway" => Kind::Gateway,
            "WSO2 Traffic Manager" => Kind::TrafficManager,
            _ => Kind::AllInOne,
        };
        Ok(Product { kind, name: name.to_owned(), version: version.to_owned(), webapps })
    }
}

impl Kind {
    /// Whether API traffic is served.
    pub(crate) fn is_gateway(self) -> bool {
        matches!(self, Kind::Gateway | Kind::AllInOne)
    }

    /// Whether it has a broker and event receivers.
    pub(crate) fn has_broker(self) -> bool {
        self != Kind::Gateway
    }
}
