//! `[monitoring.jmx]`: the management port, if the inventory restricts it.

use super::Scene;
use super::tree::Table;
use crate::settings::hardening::Jmx;

pub(super) fn section(scene: &Scene<'_>, root: &mut Table) {
    let from = "from the inventory: apim.hardening.jmx";
    match scene.node.settings.hardening.jmx {
        Jmx::On => {}
        Jmx::Off => root.put("monitoring.jmx", Table::about(from).set("rmi_server_start", false)),
        Jmx::Local => root.put("monitoring.jmx", Table::about(from).set("rmi_hostname", "localhost")),
    }
}
