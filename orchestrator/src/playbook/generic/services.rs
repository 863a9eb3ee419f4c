//! `systemd_service` for units that somebody else installed.

use std::collections::BTreeMap;

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::{ProcessMatch, State, Unit};
use apim_protocol::value::UnitName;

use super::Site;
use super::options::Options;
use crate::apim::Draft;

/// systemd's own default.
const STOP_SECS: u64 = 90;

pub(super) fn service(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let span = options.span();
    let text = options.require(&["name"])?;
    let name = match UnitName::parse(text.strip_suffix(".service").unwrap_or(&text)) {
        Ok(name) => name,
        Err(error) => {
            options.wrong(&span, error.to_string(), "services only; other kinds of units are not supported");
            return None;
        }
    };
    let state = match options.text(&["state"]).as_deref() {
        None => State::Unchanged,
        Some("started") => State::Started,
        Some("stopped") => State::Stopped,
        Some(other) => {
            let hint = "started and stopped are; to restart now: `command: systemctl restart NAME`";
            options.wrong(&span, format!("`systemd_service.state: {other}` is not supported"), hint);
            return None;
        }
    };
    let enabled = options.has("enabled").then(|| options.flag("enabled", false));
    if state == State::Unchanged && enabled.is_none() {
        options.wrong(&span, "`systemd_service` is told to do nothing", "add `state` or `enabled`");
        return None;
    }
    let unit = Unit {
        name,
        file: None,
        enabled,
        state,
        inputs: BTreeMap::new(),
        watch: Vec::new(),
        log: None,
        process: ProcessMatch::default(),
        ready: None,
        stop_timeout_secs: STOP_SECS,
        ask: false,
        script: None,
        release: None,
    };
    Some(vec![Draft::new(site.title, Operation::Unit(Box::new(unit)))])
}
