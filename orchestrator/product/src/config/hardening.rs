//! `[monitoring.jmx]`: the management port, if the inventory restricts it.

use super::context::RenderContext;
use super::tree::Table;
use crate::settings::hardening::Jmx;

pub(super) fn section(context: &RenderContext<'_>, root: &mut Table) {
    let from = "from the inventory: apim.hardening.jmx";
    match context.node.settings.hardening.jmx {
        Jmx::On => {}
        Jmx::Off => root.put("monitoring.jmx", Table::about(from).set("rmi_server_start", false)),
        Jmx::Local => root.put("monitoring.jmx", Table::about(from).set("rmi_hostname", "localhost")),
    }
}
