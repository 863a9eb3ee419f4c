//! The layout in nginx syntax (1.18 and later). All inputs are validated: names, addresses,
//! numbers.

use super::layout::{Answer, Layout, Path, Route, Server, Site, Upstream};
use crate::settings::load_balancer::LoadBalancer;

/// The managed folder on the host.
pub(super) const FOLDER: &str = "/etc/nginx/apim-deploy";
/// The one file outside of it: every distribution's `nginx.conf` includes this folder.
pub(super) const ENTRY: &str = "/etc/nginx/conf.d/apim-deploy.conf";
/// The first line of each file.
const HEAD: &str = "# Written by apim-deploy from its inventory: manual changes are overwritten.\n";
/// nginx counts failed requests; after this many failures it skips a node for this time.
const FAILURES: &str = "max_fails=2 fail_timeout=10s";
/// A longer name does not fit into nginx's default hash bucket for server names (64 bytes,
/// including overhead).
const USUAL_NAME: usize = 40;

/// Certificate settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tls {
    /// Whether the nodes' certificates are verified.
    pub(super) verify: bool,
}

/// Returns the entry file, which nginx includes by default.
pub(super) fn entry(layout: &Layout) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(
        "# Protocol upgrades (WebSocket) are forwarded; other requests use keep-alive connections.\n",
    );
    text.push_str("map $http_upgrade $apim_deploy_connection {\n    default upgrade;\n    ''      '';\n}\n");
    let longest = layout.sites.iter().map(|site| site.name.len()).max().unwrap_or(0);
    if longest > USUAL_NAME {
        text.push_str("server_names_hash_bucket_size 512;\n");
    }
    text.push_str(&format!("include {FOLDER}/upstreams.conf;\ninclude {FOLDER}/sites.conf;\n"));
    text
}

/// Returns the upstreams. Each server has its own file, so that draining it changes one line.
pub(super) fn upstreams(layout: &Layout) -> String {
    let mut text = HEAD.to_owned();
    for upstream in &layout.upstreams {
        text.push_str(&format!("\nupstream {} {{\n    zone {0} 64k;\n", name_of(&upstream.key)));
        if upstream.sticky {
            text.push_str("    hash $binary_remote_addr consistent;\n");
        }
        for server in &upstream.servers {
            text.push_str(&format!("    include {};\n", server_file(upstream, server)));
        }
        text.push_str("    keepalive 32;\n    keepalive_timeout 15s;\n}\n");
    }
    text
}

/// Returns the path of a server's file.
pub(super) fn server_file(upstream: &Upstream, server: &Server) -> String {
    format!("{FOLDER}/servers/{}/{}.conf", upstream.key, server.file)
}

/// Returns the file's content for a server in rotation, and for a drained one.
pub(super) fn server(server: &Server) -> (String, String) {
    let backup = if server.backup { " backup" } else { "" };
    let line = |end: &str| format!("{HEAD}server {} {FAILURES}{backup}{end};\n", server.reach);
    (line(""), line(" down"))
}

/// Returns what all `server` blocks have in common.
pub(super) fn common(settings: &LoadBalancer, tls: Tls) -> String {
    let mut text = HEAD.to_owned();
    let LoadBalancer { connect_secs, request_secs, idle_secs, max_body_mb, .. } = settings;
    text.push_str(&format!(
        "client_max_body_size {max_body_mb}m;
keepalive_timeout {idle_secs}s;
# The product takes headers of 32 KiB.
client_header_buffer_size 32k;
large_client_header_buffers 8 64k;
proxy_buffer_size 64k;
proxy_buffers 8 64k;
proxy_busy_buffers_size 128k;
proxy_connect_timeout {connect_secs}s;
proxy_read_timeout {request_secs}s;
proxy_send_timeout {request_secs}s;
# Unanswered requests are retried on another node: before sending always, after sending only if idempotent.
proxy_next_upstream error timeout;
proxy_next_upstream_timeout 30s;
proxy_redirect off;
proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $apim_deploy_connection;
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-Host $host;
proxy_set_header X-Forwarded-Server $host;
proxy_set_header X-Forwarded-Port $server_port;
proxy_set_header X-Forwarded-Proto $scheme;
"
    ));
    if settings.trusted_proxies.is_empty() {
        text.push_str("# X-Forwarded-For from clients is not trusted.\n");
        text.push_str("proxy_set_header X-Forwarded-For $remote_addr;\n");
    } else {
        for network in &settings.trusted_proxies {
            text.push_str(&format!("set_real_ip_from {network};\n"));
        }
        text.push_str("real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n");
        text.push_str("proxy_set_header X-Forwarded-For $remote_addr;\n");
    }
    text.push_str("proxy_ssl_protocols TLSv1.2 TLSv1.3;\nproxy_ssl_server_name on;\n");
    if tls.verify {
        text.push_str(&format!("proxy_ssl_verify on;\nproxy_ssl_verify_depth 3;\nproxy_ssl_trusted_certificate {FOLDER}/authority.pem;\n"));
    } else {
        text.push_str("# The nodes' certificates are not verified: this needs issued certificates (`keystores: {mode: issued}`).\n");
        text.push_str("proxy_ssl_verify off;\n");
    }
    for file in &settings.include {
        text.push_str(&format!("include {file};\n"));
    }
    text
}

/// Returns what `server` blocks with TLS have in common.
pub(super) fn tls() -> String {
    format!(
        "{HEAD}ssl_certificate {FOLDER}/identity.pem;
ssl_certificate_key {FOLDER}/identity.pem;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_prefer_server_ciphers off;
ssl_session_cache shared:apim-deploy:10m;
ssl_session_timeout 1h;
ssl_session_tickets off;
"
    )
}

/// Returns the `server` blocks. `management_from` are the networks with access to gateway
/// management; empty means no restriction.
pub(super) fn sites(layout: &Layout, settings: &LoadBalancer, management_from: &[String]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n# Requests for unknown names: the first block of a port is the default server.\n");
    for (port, tls) in layout.ports() {
        text.push_str(&format!("server {{\n{}    server_name _;\n", listen(port, tls, settings)));
        if tls {
            text.push_str(&format!("    include {FOLDER}/tls.conf;\n"));
        }
        text.push_str(&format!("    include {FOLDER}/server.conf;\n    return 421;\n}}\n"));
    }
    for site in &layout.sites {
        text.push_str(&block(site, settings, management_from));
    }
    text
}

fn block(site: &Site, settings: &LoadBalancer, management_from: &[String]) -> String {
    let Site { name, port, tls, what, .. } = site;
    let mut text =
        format!("\n# {what}\nserver {{\n{}    server_name {name};\n", listen(*port, *tls, settings));
    if *tls {
        text.push_str(&format!("    include {FOLDER}/tls.conf;\n"));
    }
    match &site.answer {
        Answer::Redirect(url) => {
            text.push_str(&format!("    return 301 {url}$request_uri;\n"));
        }
        Answer::Routes(routes) => {
            text.push_str(&format!("    include {FOLDER}/server.conf;\n"));
            for route in routes {
                let silence = site.is_websocket.then_some(settings.websocket_secs);
                text.push_str(&location(route, management_from, silence));
            }
        }
    }
    text.push_str("}\n");
    text
}

fn listen(port: u16, tls: bool, settings: &LoadBalancer) -> String {
    let tls = if tls { " ssl" } else { "" };
    let mut text = format!("    listen {port}{tls};\n");
    if settings.ipv6 {
        text.push_str(&format!("    listen [::]:{port}{tls};\n"));
    }
    text
}

fn location(route: &Route, management_from: &[String], silence: Option<u32>) -> String {
    let path = match route.path {
        Path::Below(path) => path.to_owned(),
        Path::Is(path) => format!("= {path}"),
    };
    let scheme = if route.tls.is_some() { "https" } else { "http" };
    let mut text = format!("    location {path} {{\n        proxy_pass {scheme}://{};\n", name_of(&route.to));
    if let Some(name) = &route.tls {
        text.push_str(&format!("        proxy_ssl_name {name};\n"));
    }
    if let Some(secs) = silence {
        text.push_str(&format!("        proxy_read_timeout {secs}s;\n        proxy_send_timeout {secs}s;\n"));
    }
    if route.management && !management_from.is_empty() {
        for network in management_from {
            text.push_str(&format!("        allow {network};\n"));
        }
        text.push_str("        deny all;\n");
    }
    text.push_str("    }\n");
    text
}

fn name_of(key: &str) -> String {
    format!("apim-deploy.{key}")
}
