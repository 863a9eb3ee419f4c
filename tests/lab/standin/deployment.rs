//! The `deployment.toml` of each distribution. The texts are in `standin/files/deployment`; a line with the
//! prefix `%4.5 ` or `%4.6 ` belongs only to that version.

use super::component::{Component, Version};

/// The shipped configuration of a component.
pub(super) fn shipped(component: Component, version: Version) -> String {
    let text = match component {
        Component::ControlPlane => include_str!("../../standin/files/deployment/acp.toml"),
        Component::Gateway => include_str!("../../standin/files/deployment/gw.toml"),
        Component::TrafficManager => include_str!("../../standin/files/deployment/tm.toml"),
        Component::AllInOne => include_str!("../../standin/files/deployment/aio.toml"),
    };
    of_version(text, version)
}

/// The configuration that `profileSetup.sh` uses for a key manager.
pub(super) fn key_manager(version: Version) -> String {
    of_version(include_str!("../../standin/files/deployment/km.toml"), version)
}

fn of_version(text: &str, version: Version) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let kept = match line.strip_prefix('%').and_then(|rest| rest.split_once(' ')) {
            Some((wanted, rest)) if wanted == version.line() => rest,
            Some(_) => continue,
            None => line,
        };
        out.push_str(kept);
        out.push('\n');
    }
    out
}
