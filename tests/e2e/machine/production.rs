//! A cluster fit for production, from bare machines at the first try: issued certificates, databases that are made, hardened hosts, nginx in
//! front; asked the way clients ask, believing the cluster's own authority and nobody else.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use apim_tests::machine::{DATABASE_ADMIN, DATABASE_ADMIN_PASSWORD, Kind, Topology};
use apim_tests::poll::until;
use serde_json::json;

use super::{SOON, Site};
use crate::changed;

/// The line about the first gateway's HTTPS port.
const SERVER: &str = "/etc/nginx/apim-deploy/servers/gateway-Default.https/gw1-gateway.conf";

fn site() -> Option<Site> {
    let topology = Topology::ha().expect("a topology").on(Kind::EmptyDatabase).behind_balancer();
    let mut site = Site::up(&topology)?;
    site.inventory
        .set("hardening", json!("production"))
        .set("load_balancer", json!({"kind": "nginx"}))
        .set(
            "keystores",
            json!({"mode": "issued", "passphrase": "Pass-of-the-pki", "password": "Pass-of-the-stores"}),
        )
        .set("admin", json!({"username": "operator", "password": "Pass-of-the-operator"}))
        .set("databases.create", json!(true))
        .set("databases.admin", json!({"username": DATABASE_ADMIN, "password": DATABASE_ADMIN_PASSWORD}))
        .set("databases.apim_db.password", json!("Pass-of-apim-db"))
        .set("databases.shared_db.password", json!("Pass-of-shared-db"))
        .set(
            "endpoints",
            json!({
                "control_plane": "api.am.wso2.com",
                "key_manager": "km.wso2.com",
                "traffic_manager": "tm.wso2.com",
                "gateway": "gw.wso2.com",
            }),
        );
    // Passwords stand in it in the open, so nobody else may read it; what is written later keeps the mode.
    let inventory = site.operator.file("inventory.yaml", "");
    std::fs::set_permissions(inventory, std::fs::Permissions::from_mode(0o600)).expect("a private file");
    Some(site)
}

/// Somebody outside who asks the load balancer.
struct Client {
    authority: PathBuf,
    balancer: Ipv4Addr,
}

impl Client {
    fn of(site: &Site) -> Self {
        let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
        let balancer = site.lab.host("lb").expect("a host").address;
        Self { authority: inventory.with_extension("pki").join("ca.crt"), balancer }
    }

    /// Returns curl's exit status and what it printed: the body, and behind it the status and where a redirect leads.
    fn ask(&self, url: &str, trusts: bool) -> (i32, String) {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let host = rest.split('/').next().unwrap_or_default();
        let (name, port) =
            host.split_once(':').unwrap_or((host, if scheme == "https" { "443" } else { "80" }));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "20", "--write-out", " %{http_code} %{redirect_url}"]);
        curl.arg("--resolve").arg(format!("{name}:{port}:{}", self.balancer));
        if trusts {
            curl.arg("--cacert").arg(&self.authority).args(["--capath", "/nowhere"]);
        }
        let output = curl.arg(url).output().expect("curl runs");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn answers(&self, url: &str, expected: &str) {
        let (status, said) = self.ask(url, true);
        assert!(status == 0 && said.contains(expected), "{url}: {status}, `{said}`, not `{expected}`");
    }

    /// Returns which nodes answered so many calls of an API; each must be answered.
    fn nodes(&self, calls: usize) -> BTreeSet<String> {
        let call = |_| {
            let (status, said) = self.ask("https://gw.wso2.com/pizza/1.0/menu", true);
            assert!(status == 0 && said.ends_with(" 200"), "an API call: {status}, `{said}`");
            said.split('"').skip_while(|part| *part != "node").nth(2).unwrap_or_default().to_owned()
        };
        (0..calls).map(call).collect()
    }
}

#[test]
fn a_hardened_cluster_with_its_own_certificates_answers_at_its_load_balancer() {
    let Some(mut site) = site() else { return };
    let first = site.run("apply", &[]).ended_with(0);
    assert!(!first.text().contains("Pass-of-"), "a secret was printed");
    let second = site.run("apply", &[]).ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());

    let client = Client::of(&site);
    for name in ["api.am.wso2.com", "km.wso2.com", "tm.wso2.com"] {
        client.answers(&format!("https://{name}/services/Version"), " 200");
        client.answers(
            &format!("http://{name}/services/Version"),
            &format!(" 301 https://{name}/services/Version"),
        );
    }
    assert_eq!(
        client.ask("https://api.am.wso2.com/services/Version", false).0,
        60,
        "believed without the authority"
    );
    assert_eq!(client.nodes(8).len(), 2, "both gateways answer");
    client.answers("http://gw.wso2.com/pizza/1.0/menu", " 200");
    client.answers("http://gw.wso2.com:9099/health", " 200");
    client.answers("https://gw.wso2.com:8099/health", " 200");
    client.answers("https://gw.wso2.com/api/am/gateway/v2/server-startup-healthcheck", " 200");
    // Gateways are managed by control planes, through the name that everybody calls.
    client.answers("https://gw.wso2.com/services/Version", " 403");
    let managed = "curl --silent --insecure --output /dev/null --write-out '%{http_code}' https://gw.wso2.com/services/Version";
    assert_eq!(site.sh("cp1", managed), "200");

    a_node_that_was_left_out_is_taken_in_again(&site, &client);
    what_nginx_refuses_never_goes_live(&mut site, &client);

    site.lab.kill("gw1").expect("gw1 dies");
    assert_eq!(client.nodes(6).len(), 1, "the other gateway answers every call");
}

/// As a run leaves it that died over a drain.
fn a_node_that_was_left_out_is_taken_in_again(site: &Site, client: &Client) {
    site.sh("lb", &format!("sed -i 's/;$/ down;/' {SERVER} && nginx -t -q && systemctl reload nginx"));
    assert!(until(SOON, || client.nodes(4).len() == 1), "both still answer");
    let workers = "systemctl show -P MainPID nginx";
    let before = site.sh("lb", workers);
    assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 1);
    assert!(until(SOON, || client.nodes(4).len() == 2), "one is still left out");
    assert_eq!(site.sh("lb", workers), before, "read, not restarted");
}

fn what_nginx_refuses_never_goes_live(site: &mut Site, client: &Client) {
    site.sh("lb", "echo 'no_such_word on;' > /etc/nginx/broken.conf");
    let before = site.sh("lb", "cat /etc/nginx/apim-deploy/*.conf");
    site.inventory.set("load_balancer.include", json!("/etc/nginx/broken.conf"));
    let refused = site.run("apply", &[]).ended_with(1).text();
    assert!(refused.contains("no_such_word") && refused.contains("put back"), "{refused}");
    assert_eq!(site.sh("lb", "cat /etc/nginx/apim-deploy/*.conf"), before);
    client.answers("https://api.am.wso2.com/services/Version", " 200");
    site.inventory.set("load_balancer", json!({"kind": "nginx"}));
}
