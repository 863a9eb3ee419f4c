//! Rendered settings other than the topology: environments, events, secrets, features, `config`
//! keys at every level.

use super::{at, rendered, text, texts};
use crate::config::render;
use crate::testing::{HA, basics, build, cluster, hosts, mistakes, node};

#[test]
fn config_keys_merge_over_all_levels() {
    let inventory = basics(
        "  config:
    apim:
      cors: {allow_credentials: true}
      gateway: {environment: [{name: Mine, type: hybrid}]}
    oauth: {extensions: {token_types: []}}
  gateway:
    config: {passthru_http: {a: 1, b: 1}}
",
    ) + "hosts:
  cp1: {address: 10.0.0.11, groups: control_plane, apim: {config: {server: {mode: single}}}}
  gw1: {address: 10.0.0.12, groups: gateway, apim: {gateway: {config: {passthru_http: {b: 2}}}}}
";
    assert_eq!(text(&inventory, "cp1", "apim.gateway.environment[0].name"), "Mine");
    assert_eq!(
        at(&rendered(&inventory, "cp1"), "apim.gateway.environment[0].service_url"),
        None,
        "lists of tables are replaced as a whole"
    );
    assert_eq!(at(&rendered(&inventory, "cp1"), "apim.gateway.environment[1]"), None);
    assert_eq!(text(&inventory, "cp1", "server.mode"), "single");
    assert_eq!(at(&rendered(&inventory, "gw1"), "server.mode"), None, "set for another host");
    assert_eq!(at(&rendered(&inventory, "gw1"), "passthru_http.a"), Some(1.into()));
    assert_eq!(at(&rendered(&inventory, "gw1"), "passthru_http.b"), Some(2.into()));
    assert_eq!(at(&rendered(&inventory, "gw1"), "apim.cors.allow_credentials"), Some(true.into()));
    let notes = cluster(&inventory).notes().join("\n");
    let note = "`config` overrides the derived key `apim.gateway.environment` on cp1: 1 table instead of 1 table (test.yaml:16:";
    assert!(notes.contains(note), "{notes}");
}

#[test]
fn override_of_a_secret_is_masked() {
    let text = basics("  config: {database: {shared_db: {password: hunter2}}}\n")
        + &hosts(&["cp1 control_plane", "gw1 gateway"]);
    let cluster = cluster(&text);
    let notes = cluster.notes().join("\n");
    assert!(
        notes.contains("`database.shared_db.password` on cp1, gw1: a secret instead of a secret"),
        "{notes}"
    );
    assert!(!notes.contains("hunter2") && !notes.contains("sharedadmin"), "{notes}");
    let secrets = render(&cluster, node(&cluster, "gw1")).secrets;
    assert!(secrets.iter().any(|secret| secret.expose() == "hunter2"), "it is not masked");
}

#[test]
fn environments_contain_virtual_hosts_and_websub_ports() {
    let inventory =
        basics(
            "  environments:
    - name: EU
      endpoint: {name: eu.example, websub_http_port: 19021}
      websub: true
      virtual_hosts: [{name: api.eu.example, https_port: 8443}, old.eu.example]
",
        ) + &hosts(&["cp1 control_plane", "gw1 gateway", "gw2 gateway | {gateway: {labels: [Portal]}}"]);
    let value = |key: &str| at(&rendered(&inventory, "cp1"), &format!("apim.gateway.environment[0].{key}"));
    assert_eq!(value("websub_event_receiver_http_endpoint"), Some("http://eu.example:19021".into()));
    assert_eq!(value("virtual_host[0].https_endpoint"), Some("https://api.eu.example:8443".into()));
    assert_eq!(value("virtual_host[0].http_endpoint"), Some("http://api.eu.example".into()));
    assert_eq!(value("virtual_host[1].ws_endpoint"), Some("ws://old.eu.example:9099".into()));
    let labels = "apim.sync_runtime_artifacts.gateway.gateway_labels";
    assert_eq!(texts(&inventory, "gw1", labels), ["EU"]);
    assert_eq!(texts(&inventory, "gw2", labels), ["EU", "Portal"]);
}

#[test]
fn invalid_environments_are_rejected() {
    let of = |environments: &str, gateway: &str| {
        let settings = format!("  environments: [{environments}]\n");
        mistakes(
            &(basics(&settings)
                + &hosts(&["cp1 control_plane", &format!("gw1 gateway | {{gateway: {gateway}}}")])),
        )
        .join("\n")
    };
    assert!(of("{name: A}, {name: A}", "{environment: A}").contains("duplicate environment `A`"));
    assert!(of("{name: Eu}, {name: EU}", "{environment: Eu}").contains("differ only in case"));
    assert!(of("{name: A}", "{environment: B}").contains("environment `B`, which does not exist"));
    assert!(of("{name: A}, {name: B}", "{environment: A}").contains("environment `B` has no gateway"));
    assert!(of("{name: A}", "{environment: [A, A]}").contains("lists environment `A` twice"));
    assert!(of("{name: A}", "{labels: [A]}").contains("is an environment of this inventory"));
    assert!(of("{name: A}", "{labels: [x, x]}").contains("lists label `x` twice"));
    assert!(of("{name: A}", "{labels: ['a b']}").contains("only letters, digits"));
    assert!(of("{name: A, type: productoin}", "{}").contains("did you mean `production`?"));
    assert!(of("{name: A}", "{artifacts: {retrieval: synch}}").contains("did you mean `sync`?"));
}

#[test]
fn environments_with_the_same_endpoint_are_warned_about() {
    let text = basics(
        "  environments: [{name: A, endpoint: {name: gw.example, address: 10.0.0.9}}, {name: B, endpoint: {name: gw.example, address: 10.0.0.9}}]\n",
    );
    let apart = text.clone()
        + &hosts(&[
            "cp1 control_plane",
            "gw1 gateway | {gateway: {environment: A}}",
            "gw2 gateway | {gateway: {environment: B}}",
        ]);
    let warnings = build(&apart).expect("no error");
    assert!(
        warnings
            .warnings()
            .render_as_warnings(crate::yaml::Colours::Off)
            .contains("share the endpoint `gw.example:8243`")
    );
    let together = text + &hosts(&["cp1 control_plane", "gw1 gateway | {gateway: {environment: [A, B]}}"]);
    assert!(cluster(&together).warnings().0.is_empty());
}

#[test]
fn event_distribution_balances_or_fails_over() {
    let inventory = HA.replacen(
        "apim:\n",
        "apim:\n  event_hub: {distribution: failover}\n  throttling: {distribution: loadbalance}\n",
        1,
    );
    let group = "apim.throttling.url_group[0]";
    assert_eq!(text(&inventory, "gw-1", &format!("{group}.type")), "loadbalance");
    assert_eq!(
        texts(&inventory, "gw-1", &format!("{group}.traffic_manager_auth_urls")),
        ["ssl://traffic-manager-1:9711", "ssl://traffic-manager-2:9711"]
    );
    assert_eq!(at(&rendered(&inventory, "gw-1"), "apim.throttling.url_group[1]"), None);
    let group = "apim.event_hub.publish.url_group[0]";
    assert_eq!(text(&inventory, "apim-cp-2", &format!("{group}.type")), "failover");
    assert_eq!(
        texts(&inventory, "apim-cp-2", &format!("{group}.urls")),
        ["tcp://apim-cp-1:9611", "tcp://apim-cp-2:9611"]
    );
}

#[test]
fn broker_tls_changes_every_subscription() {
    let inventory =
        HA.replacen("apim:\n", "apim:\n  broker_tls: true\n  traffic_manager: {port_offset: 3}\n", 1);
    let hubs = ["tcp://apim-cp-1:8672", "tcp://apim-cp-2:8672"];
    assert_eq!(texts(&inventory, "km-1", "apim.event_hub.event_listening_endpoints"), hubs);
    assert_eq!(
        texts(&inventory, "apim-cp-1", "apim.event_hub.event_duplicate_url"),
        ["tcp://apim-cp-2:8672"]
    );
    assert_eq!(
        texts(&inventory, "traffic-manager-1", "apim.throttling.event_duplicate_url"),
        ["tcp://traffic-manager-2:8675"]
    );
    assert_eq!(text(&inventory, "traffic-manager-1", "broker.transport.amqp.ssl_connection.port"), "8672");
    let ssl = text(&inventory, "gw-1", "apim.event_hub.jms.ssl");
    assert!(
        ssl.starts_with("true'&amp;ssl_cert_alias='$ref{keystore.tls.alias}'&amp;trust_store='"),
        "{ssl}"
    );
    assert!(!ssl.ends_with('\''), "the product closes the last quote: {ssl}");
    let factory = text(&inventory, "gw-1", "apim.throttling.jms.topic_connection_factory");
    assert!(
        factory.contains("tcp://traffic-manager-1:8675?ssl='true'%26")
            && factory.contains(";tcp://traffic-manager-2:8675?"),
        "{factory}"
    );
    assert!(!factory.contains("&amp;"), "{factory}");
}

#[test]
fn environment_secrets_are_referenced_by_name() {
    let inventory = HA.replacen("apim:\n", "apim:\n  secrets: environment\n", 1);
    let cluster = cluster(&inventory);
    let rendered = render(&cluster, node(&cluster, "apim-cp-1"));
    for secret in ["apimadmin\"\n", "= \"wso2carbon\"", "password = \"admin\""] {
        assert!(!rendered.text.contains(&format!("password = {secret}")), "{}", rendered.text);
    }
    assert_eq!(text(&inventory, "apim-cp-1", "super_admin.password"), "$env{APIM_SUPER_ADMIN_PASSWORD}");
    assert_eq!(text(&inventory, "apim-cp-1", "keystore.tls.password"), "$env{APIM_KEYSTORE_TLS_PASSWORD}");
    let variable = rendered.extracted.variables.get("APIM_DATABASE_APIM_DB_PASSWORD").expect("the variable");
    assert_eq!(variable.expose(), "apimadmin");
    let plain = crate::testing::cluster(HA);
    let before = render(&plain, node(&plain, "apim-cp-1"));
    assert_eq!(rendered.digest, before.digest, "the values are the same");
    assert_eq!(rendered.secrets, before.secrets, "the same secrets are masked");
}

#[test]
fn cipher_tool_aliases_are_the_last_table() {
    let inventory =
        HA.replacen("apim:\n", "apim:\n  secrets: cipher\n", 1).replace("sharedadmin}", "'a&b<c'}");
    let cluster = cluster(&inventory);
    let rendered = render(&cluster, node(&cluster, "apim-cp-1")).text;
    let (before, aliases) = rendered.split_once("\n[secrets]\n").expect("the table");
    assert!(before.contains("password = \"$secret{database_apim_db_password}\""), "{before}");
    assert!(before.contains("password = \"wso2carbon\""), "the keystore password is not an alias");
    let aliases: Vec<&str> = aliases.lines().collect();
    assert_eq!(
        aliases,
        [
            "super_admin_password = \"[admin]\"",
            "database_apim_db_password = \"[apimadmin]\"",
            "database_shared_db_password = \"[a&b<c]\"",
        ]
    );
}

#[test]
fn secrets_unsupported_by_the_mode_are_rejected() {
    let of = |mode: &str, password: &str, version: &str| {
        let text = HA.replacen(
            "apim:\n",
            &format!("apim:\n  secrets: {mode}\n  encryption_key: {}\n", "ab".repeat(32)),
            1,
        );
        mistakes(&text.replace("sharedadmin}", &format!("'{password}'}}")).replace("4.6.0", version))
            .join("\n")
    };
    let found = of("environment", "a$b", "4.6.0");
    assert!(
        found.starts_with("2: ") && found.contains("`database.shared_db.password` contains `$`"),
        "{found}"
    );
    assert!(!found.contains("a$b"));
    assert_eq!(of("environment", "a$b", "4.7.0"), "");
    assert!(of("cipher", "a\"b", "4.6.0").contains("contains a quote"));
    assert!(of("cipher", &"x".repeat(230), "4.6.0").contains("longer than the cipher tool"));
    assert_eq!(of("plain", "a\"b$c", "4.6.0"), "");
    assert!(of("cihper", "x", "4.6.0").contains("did you mean `cipher`?"));
}

#[test]
fn features_are_rendered_where_the_product_reads_them() {
    let inventory = HA.replacen(
        "apim:\n",
        "apim:
  node_ip: 10.0.0.5
  cors: {allow_origins: ['https://a.example', 'https://b.example'], allow_credentials: true}
  devportal: {url: 'https://dev.example/devportal'}
  analytics: {auth_token: tok&en}
  backend_jwt: {header: X-Caller}
  mail: {host: mail.example, from: apim@example.com, username: u, password: p&w}
  user_store: {type: read_only_ldap, url: 'ldap://dir:389', username: cn, password: pw}
  oauth: {encrypt_tokens: true}
",
        1,
    );
    assert_eq!(text(&inventory, "gw-1", "server.node_ip"), "10.0.0.5");
    assert_eq!(
        texts(&inventory, "gw-1", "apim.cors.allow_origins"),
        ["https://a.example", "https://b.example"]
    );
    assert_eq!(at(&rendered(&inventory, "apim-cp-1"), "apim.cors.allow_credentials"), Some(true.into()));
    assert_eq!(text(&inventory, "apim-cp-1", "apim.devportal.url"), "https://dev.example/devportal");
    assert_eq!(at(&rendered(&inventory, "gw-1"), "apim.analytics.enable"), Some(true.into()));
    assert_eq!(text(&inventory, "gw-1", "apim.analytics.auth_token"), "<![CDATA[tok&en]]>");
    assert_eq!(text(&inventory, "gw-1", "apim.jwt.header"), "X-Caller");
    assert_eq!(at(&rendered(&inventory, "apim-cp-1"), "apim.jwt.header"), None);
    assert_eq!(text(&inventory, "km-1", "output_adapter.email.password"), "<![CDATA[p&w]]>");
    assert_eq!(text(&inventory, "gw-1", "user_store.connection_url"), "ldap://dir:389");
    assert_eq!(
        at(&rendered(&inventory, "km-1"), "apim.oauth_config.enable_token_encryption"),
        Some(true.into())
    );
    assert_eq!(text(&inventory, "gw-1", "apim.oauth_config.auth_header"), "Authorization", "as shipped");
}

#[test]
fn invalid_features_are_rejected() {
    let of = |settings: &str| {
        mistakes(&(basics(&format!("  {settings}\n")) + &hosts(&["cp1 control_plane"]))).join("\n")
    };
    assert!(of("oauth: {encrypt_tokens: true, hash_tokens: true}").contains("choose one"));
    assert!(of("cors: {allow_origins: ['*'], allow_credentials: true}").contains("browsers reject"));
    assert!(of("devportal: {url: dev.example}").contains("is not a valid URL"));
    assert!(of("user_store: {type: read_only_ldap}").contains("requires `url`"));
    assert!(of("user_store: {url: 'ldap://x'}").contains("takes no `url` or account"));
    assert!(of("user_store: {type: ldap}").contains("one of"));
    assert!(of("mail: {host: m.example}").contains("requires `from`"));
    assert!(of("mail: {host: m.example, from: a@b.c, username: u}").contains("requires `password`"));
    assert!(
        of("throttling: {distribution: balanced}").contains("`apim.throttling.distribution`: unknown value")
    );
    assert!(of("analytics: {properties: [a]}").contains("must be a map"));
    assert!(of("node_ip: cp1").contains("invalid IPv4 address"));
}
