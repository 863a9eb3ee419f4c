//! `wait_for`, `uri`.

use apim_protocol::operation::Operation;
use apim_protocol::operation::wait::{Condition, Scope, Wait};

use super::options::Options;
use super::site::Site;
use apim_product::Draft;

pub(super) fn wait_for(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let span = options.span();
    let state = options.choice("state", &["started", "present"]);
    let port = options.number("port", 1..=65_535).and_then(|port| u16::try_from(port).ok());
    let path = options.optional_path("path");
    let host = options.text(&["host"]).unwrap_or_else(|| "127.0.0.1".to_owned());
    let (awaited, condition) = match (port, path) {
        (Some(port), None) => (format!("{host} port {port}"), Condition::Tcp { host, port }),
        (None, Some(path)) => (format!("{path} {state}"), Condition::Exists(path)),
        _ if options.has("port") != options.has("path") => return None,
        _ => {
            options.wrong(&span, "`wait_for` needs either `port` or `path`", "set exactly one of them");
            return None;
        }
    };
    let deadline_secs = options.number("timeout", 1..=86_400).unwrap_or(300);
    Some(vec![wait(site, awaited, condition, deadline_secs)])
}

pub(super) fn uri(options: &mut Options<'_>, site: &Site<'_>) -> Option<Vec<Draft>> {
    let span = options.span();
    options.choice("method", &["GET"]);
    let url = options.require(&["url"])?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        options.wrong(&span, format!("invalid URL `{url}`"), "supported protocols: http://, https://");
    }
    let verify = options.flag("validate_certs", true);
    if !verify && !is_loopback(&url) {
        options.wrong(
            &span,
            "`validate_certs: false` is only allowed for loopback addresses",
            "add the certificate to the host's truststore",
        );
    }
    let status =
        options.number("status_code", 100..=599).and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let deadline_secs = options.number("timeout", 1..=86_400).unwrap_or(30);
    let scope = if is_loopback(&url) { Scope::Local } else { Scope::Peer };
    let condition = Condition::Http { url: url.clone(), status, body_holds: None, verify, scope };
    Some(vec![wait(site, format!("{url} answers {status}"), condition, deadline_secs)])
}

fn is_loopback(url: &str) -> bool {
    url::Url::parse(url).ok().is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

fn wait(site: &Site<'_>, awaited: String, condition: Condition, deadline_secs: u64) -> Draft {
    let wait = Wait {
        awaited,
        conditions: vec![condition],
        deadline_secs,
        service: None,
        settle_secs: 0,
        remedy: None,
    };
    Draft::new(site.title, Operation::Wait(Box::new(wait)))
}
