//! The JDK of a node: who tells its version, and which versions a release accepts.

use apim_protocol::operation::version::{VersionOf, main_number};
use apim_protocol::value::AbsPath;

use super::settings::source::Java;
use super::topology::Node;

/// Returns who tells the version of the JDK at `home`: the file that every JDK since 7 has at its top, else the JDK itself.
#[must_use]
pub fn version_of(home: &AbsPath) -> Option<VersionOf> {
    Some(VersionOf {
        file: home.join("release").ok()?,
        key: "JAVA_VERSION".to_owned(),
        program: home.join("bin/java").ok()?,
        arguments: vec!["-version".to_owned()],
    })
}

/// Returns the setting that the JDK of `node` comes from.
#[must_use]
pub fn setting(node: &Node) -> &'static str {
    match &node.settings.java {
        Some(Java::Archive(_)) => "apim.java.archive",
        Some(Java::Home(_)) | None => "apim.java.home",
    }
}

/// Says whether the release of `node` is started by a JDK of this version.
///
/// The script compares `%02d%02d` of the first two numbers, so every 21.x is within "up to 21" as long as x is 0, as it has been for every JDK
/// since 11 (wso2/product-apim, `startup-scripts`).
#[must_use]
pub fn fits(node: &Node, version: &str) -> bool {
    let (lowest, highest) = node.version.series().java();
    main_number(version).is_some_and(|number| (lowest..=highest).contains(&number))
}
