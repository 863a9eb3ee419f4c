//! `systemd_service`, for units that apim-deploy does not manage.

use std::collections::BTreeMap;

use apim_protocol::operation::Operation;
use apim_protocol::operation::unit::{ProcessMatch, State, Unit};
use apim_protocol::value::UnitName;

use super::options::Options;
use super::site::Site;
use apim_product::Draft;

/// systemd's default stop timeout in seconds.
const STOP_SECS: u64 = 90;

pub(super) fn service(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let span = options.span();
    let text = options.require(&["name"])?;
    let name = match UnitName::parse(text.strip_suffix(".service").unwrap_or(&text)) {
        Ok(name) => name,
        Err(error) => {
            options.wrong(&span, error.to_string(), "only service units are supported");
            return None;
        }
    };
    let state = match options.text(&["state"]).as_deref() {
        None => State::Unchanged,
        Some("started") => State::Started,
        Some("stopped") => State::Stopped,
        Some(other) => {
            let hint = "supported: started, stopped; to restart now, use `command: systemctl restart NAME`";
            options.wrong(&span, format!("`systemd_service.state: {other}` is not supported"), hint);
            return None;
        }
    };
    let enabled = options.has("enabled").then(|| options.flag("enabled", false));
    if state == State::Unchanged && enabled.is_none() {
        options.wrong(
            &span,
            "`systemd_service` needs `state` or `enabled`",
            "set `state: started`, `state: stopped` or `enabled`",
        );
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
