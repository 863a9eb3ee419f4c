//! The answers of the HTTP ports, depending on the installed webapps.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::gate::Gate;
use crate::http::{Reply, Request};
use crate::node::Node;

/// The kinds of HTTP ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// 9443 and 9763.
    Servlets,
    /// 8243 and 8280.
    Traffic,
    /// 9099, 8099, 9021, 8021.
    Inbound,
}

impl Site {
    /// The gate of its connections.
    pub(crate) fn gate(self, node: &Node) -> &Gate {
        match self {
            Site::Servlets => &node.servlets,
            Site::Traffic | Site::Inbound => &node.traffic,
        }
    }
}

/// Answers a request.
pub(crate) async fn answer(node: &Node, site: Site, request: &Request) -> Reply {
    match site {
        Site::Servlets => servlet(node, request),
        Site::Inbound if request.path == "/health" => Reply::empty(200),
        Site::Inbound => Reply::empty(404),
        Site::Traffic => api(node, request).await,
    }
}

/// Every API answers with the name of the node, after `delay_ms` of the query.
async fn api(node: &Node, request: &Request) -> Reply {
    let delay = request.query.split('&').find_map(|pair| pair.strip_prefix("delay_ms=")?.parse().ok());
    if let Some(delay) = delay {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if !node.is_deployed() {
        return json(
            404,
            &serde_json::json!({"code": "404", "type": "Status report", "message": "Not Found"}),
        );
    }
    json(
        200,
        &serde_json::json!({
            "node": node.name(),
            "offset": node.offset(),
            "version": node.product.version,
            "pid": std::process::id(),
            "path": request.path,
        }),
    )
}

fn servlet(node: &Node, request: &Request) -> Reply {
    let healthy = !node.switches.refuse_health;
    match request.path.trim_end_matches('/') {
        "/services/Version" if healthy => version(node),
        "/services/Version" => Reply::empty(503),
        "/api/am/gateway/v2/server-startup-healthcheck" if node.has("api#am#gateway#v2.war") => {
            Reply::empty(if healthy && node.is_deployed() { 200 } else { 500 })
        }
        "/oauth2/jwks" if node.has("oauth2.war") => {
            json(200, &serde_json::json!({"keys": [{"kty": "RSA", "alg": "RS256"}]}))
        }
        "/oauth2/token/.well-known/openid-configuration" if node.has("oauth2.war") => {
            let host = node.config.text("server.hostname").unwrap_or_default();
            json(
                200,
                &serde_json::json!({"issuer": format!("https://{host}:{}/oauth2/token", node.https_port())}),
            )
        }
        "/carbon" | "/carbon/admin/login.jsp" => page("Sign in"),
        "/server-admin/restart" if node.config.flag("server.enable_restart_from_api", false) => {
            node.log.info("org.wso2.carbon.core.ServerManagement", "Restarting the server");
            crate::exit(121)
        }
        path if path.starts_with("/internal/data/v1") && node.has("internal#data#v1.war") => {
            internal_data(node, request)
        }
        path => {
            let app = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            if ["publisher", "devportal", "admin"].contains(&app) && node.has(app) {
                page(app)
            } else {
                Reply::empty(404)
            }
        }
    }
}

fn internal_data(node: &Node, request: &Request) -> Reply {
    let get = |key: &str| node.config.text(&format!("super_admin.{key}")).unwrap_or_default();
    let wanted = format!("Basic {}", STANDARD.encode(format!("{}:{}", get("username"), get("password"))));
    if request.authorization.as_deref() == Some(wanted.as_str()) {
        return json(
            200,
            &serde_json::json!({"apis": [], "subscriptions": [], "keyManagers": ["Resident Key Manager"]}),
        );
    }
    node.log.error(
        "org.wso2.carbon.apimgt.rest.api.util.authenticators.BasicAuthenticator",
        "Authenticator wrong userName or password",
    );
    Reply::empty(401)
}

fn version(node: &Node) -> Reply {
    let body = format!(
        "<ns:getVersionResponse xmlns:ns=\"http://version.services.core.carbon.wso2.org\"><return>{}-{}</return></ns:getVersionResponse>",
        node.product.name, node.product.version
    );
    Reply { status: 200, kind: "text/xml; charset=UTF-8", body }
}

fn page(title: &str) -> Reply {
    Reply {
        status: 200,
        kind: "text/html; charset=UTF-8",
        body: format!("<html><title>{title}</title></html>"),
    }
}

fn json(status: u16, value: &serde_json::Value) -> Reply {
    Reply { status, kind: "application/json", body: value.to_string() }
}
