//! A production cluster from bare machines with one apply: issued certificates, created databases,
//! hardened hosts, nginx as load balancer. Clients trust only the authority of the cluster.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use apim_tests::machine::{DATABASE_ADMIN, DATABASE_ADMIN_PASSWORD, Kind, Topology};
use apim_tests::poll::until;
use serde_json::json;

use super::{SOON, Site};
use crate::changed_steps;

/// The file with the `server` line of the first gateway's HTTPS port.
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
    // Contains passwords in plain text, so it must be private; later writes keep the mode.
    let inventory = site.operator.file("inventory.yaml", "");
    std::fs::set_permissions(inventory, std::fs::Permissions::from_mode(0o600)).expect("a private file");
    Some(site)
}

/// A client of the load balancer.
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

    /// Returns curl's exit status and output: the body, the HTTP status and the redirect URL.
    fn get(&self, url: &str, trusts: bool) -> (i32, String) {
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

    #[track_caller]
    fn assert_answer(&self, url: &str, expected: &str) {
        let (status, output) = self.get(url, true);
        assert!(status == 0 && output.contains(expected), "{url}: {status}, `{output}`, not `{expected}`");
    }

    /// Calls an API this many times; each call must succeed. Returns the nodes that answered.
    fn nodes(&self, calls: usize) -> BTreeSet<String> {
        let call = |_| {
            let (status, output) = self.get("https://gw.wso2.com/pizza/1.0/menu", true);
            assert!(status == 0 && output.ends_with(" 200"), "an API call: {status}, `{output}`");
            output.split('"').skip_while(|part| *part != "node").nth(2).unwrap_or_default().to_owned()
        };
        (0..calls).map(call).collect()
    }
}

#[test]
fn hardened_cluster_serves_clients_through_nginx() {
    let Some(mut site) = site() else { return };
    let first = site.run("apply", &[]).ended_with(0);
    assert!(!first.text().contains("Pass-of-"), "a secret was printed");
    site.assert_up_to_date();

    let client = Client::of(&site);
    for name in ["api.am.wso2.com", "km.wso2.com", "tm.wso2.com"] {
        client.assert_answer(&format!("https://{name}/services/Version"), " 200");
        client.assert_answer(
            &format!("http://{name}/services/Version"),
            &format!(" 301 https://{name}/services/Version"),
        );
    }
    assert_eq!(
        client.get("https://api.am.wso2.com/services/Version", false).0,
        60,
        "trusted without the authority"
    );
    assert_eq!(client.nodes(8).len(), 2, "both gateways must answer");
    client.assert_answer("http://gw.wso2.com/pizza/1.0/menu", " 200");
    client.assert_answer("http://gw.wso2.com:9099/health", " 200");
    client.assert_answer("https://gw.wso2.com:8099/health", " 200");
    client.assert_answer("https://gw.wso2.com/api/am/gateway/v2/server-startup-healthcheck", " 200");
    // Only control planes may call the management services of gateways through this name.
    client.assert_answer("https://gw.wso2.com/services/Version", " 403");
    let managed = "curl --silent --insecure --output /dev/null --write-out '%{http_code}' https://gw.wso2.com/services/Version";
    assert_eq!(site.sh("cp1", managed), "200");

    apply_undrains_node(&site, &client);
    invalid_nginx_configuration_is_not_activated(&mut site, &client);

    site.lab.kill("gw1").expect("gw1 is killed");
    assert_eq!(client.nodes(6).len(), 1, "the other gateway must answer every call");
}

/// A node that a killed run left out of rotation.
fn apply_undrains_node(site: &Site, client: &Client) {
    site.sh("lb", &format!("sed -i 's/;$/ down;/' {SERVER} && nginx -t -q && systemctl reload nginx"));
    assert!(until(SOON, || client.nodes(4).len() == 1), "both still answer");
    let workers = "systemctl show -P MainPID nginx";
    let before = site.sh("lb", workers);
    let changed = changed_steps(&site.run_json("apply", &[]).ended_with(0));
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(until(SOON, || client.nodes(4).len() == 2), "one is still out of rotation");
    assert_eq!(site.sh("lb", workers), before, "nginx was restarted, not reloaded");
}

fn invalid_nginx_configuration_is_not_activated(site: &mut Site, client: &Client) {
    site.sh("lb", "echo 'no_such_directive on;' > /etc/nginx/broken.conf");
    let before = site.sh("lb", "cat /etc/nginx/apim-deploy/*.conf");
    site.inventory.set("load_balancer.include", json!("/etc/nginx/broken.conf"));
    let refused = site.run("apply", &[]).ended_with(1).text();
    assert!(refused.contains("no_such_directive") && refused.contains("put back"), "{refused}");
    assert_eq!(site.sh("lb", "cat /etc/nginx/apim-deploy/*.conf"), before);
    client.assert_answer("https://api.am.wso2.com/services/Version", " 200");
    site.inventory.set("load_balancer", json!({"kind": "nginx"}));
}
