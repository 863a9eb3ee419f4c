//! `[database.*]` of every type of database server.

use super::{at, rendered, text};
use crate::testing::{basics, cluster, hosts, mistakes, node};

const CONTROL_PLANE: &[&str] = &["cp1 control_plane"];

/// Returns an inventory with `lines` as `databases`.
fn inventory(lines: &str) -> String {
    let (before, rest) = basics("")
        .split_once("  databases:\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("databases");
    drop(rest);
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("{before}  databases:\n{lines}{}", hosts(CONTROL_PLANE))
}

/// Returns the rendered database sections.
fn sections(inventory: &str) -> String {
    let cluster = cluster(inventory);
    let text = super::render(&cluster, node(&cluster, "cp1")).text;
    let mut kept = String::new();
    let mut is_database = false;
    for line in text.lines() {
        if line.starts_with('[') {
            is_database = line.starts_with("[database.") && !line.starts_with("[database.local");
        }
        if is_database && !line.starts_with('#') && !line.is_empty() {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn every_database_type_is_rendered() {
    let logins = "apim_db: {password: 'p&1'}\nshared_db: {password: p2}\n";
    let cases = [
        ("mysql", "options: {useSSL: false, allowPublicKeyRetrieval: true}\n"),
        ("mysql", "tls: verified\n"),
        ("mariadb", ""),
        ("mariadb", "tls: required\noptions: {connectTimeout: 5000}\n"),
        ("postgresql", ""),
        ("postgresql", "tls: verified\n"),
        ("mssql", ""),
        ("mssql", "tls: required\n"),
        ("oracle", ""),
        ("oracle", "oracle: service\n"),
        ("oracle", "options: {'oracle.net.CONNECT_TIMEOUT': 5000}\n"),
        ("db2", ""),
        ("db2", "tls: required\nvalidation_query: SELECT 1 FROM T WHERE A < 2\n"),
        ("postgresql", "port: 6432\npool: {max_active: 100, test_on_borrow: false, max_wait_ms: 30000}\n"),
    ];
    let mut shown = String::new();
    for (kind, more) in cases {
        shown.push_str(&format!("--- type: {kind}\n{more}"));
        shown.push_str(&sections(&inventory(&format!("type: {kind}\nhost: db.example.com\n{more}{logins}"))));
    }
    insta::assert_snapshot!("databases", shown);
}

#[test]
fn full_url_is_escaped_for_xml() {
    let inventory = inventory(
        "type: oracle\nhost: scan.example.com\n\
         apim_db: {password: x, url: 'jdbc:oracle:thin:@tcps://scan.example.com:2484/APIM?a=1&b=2'}\n\
         shared_db: {password: x, pool: {max_active: 7}}\n",
    );
    assert_eq!(
        text(&inventory, "cp1", "database.apim_db.url"),
        "jdbc:oracle:thin:@tcps://scan.example.com:2484/APIM?a=1&amp;b=2"
    );
    let document = rendered(&inventory, "cp1");
    assert_eq!(at(&document, "database.apim_db.sid"), None, "it is part of the URL");
    assert_eq!(at(&document, "database.shared_db.pool_options.maxActive"), Some(7.into()));
    assert_eq!(at(&document, "database.apim_db.pool_options"), None);
}

#[test]
fn invalid_database_settings_are_rejected() {
    let base = "type: mysql\nhost: db.example.com\napim_db: {password: x}\nshared_db: {password: x}\n";
    let rejects = |lines: &str, what: &str| {
        let found = mistakes(&inventory(lines));
        assert!(found.iter().any(|mistake| mistake.contains(what)), "{lines}\n{found:?}");
    };
    rejects(&format!("{base}tls: yes-please\n"), "`apim.databases.tls`: unknown value `yes-please`");
    rejects(&format!("{base}oracle: sid\n"), "requires `type: oracle`");
    rejects(&format!("{base}charset: \"latin1; DROP\"\n"), "`apim.databases.charset`: invalid name");
    rejects(
        &format!("{base}create: true\nadmin: {{username: root}}\n"),
        "`apim.databases.admin` requires `password`",
    );
    rejects(&format!("{base}create: true\nuser_hosts: [\"10.0.0.'%\"]\n"), "invalid MySQL host pattern");
    rejects(&format!("{base}pool: {{max_active: 5, min_idle: 9}}\n"), "(9) is larger than `max_active` (5)");
    rejects(&base.replace("apim_db: {", "apim_db: {url: 'mysql://x', "), "is not a valid JDBC URL");
    rejects(
        &base.replace("apim_db: {", "apim_db: {url: 'jdbc:mysql://x/y?password=1', "),
        "contains a password",
    );
    rejects(
        &base
            .replace("apim_db: {password: x}", "apim_db: {username: one, password: x}")
            .replace("shared_db: {password: x}", "shared_db: {username: one, password: y}"),
        "different passwords for `apim_db`",
    );
    rejects("type: h2\n", "`h2` is not supported");
    rejects("type: h2\nhost: x\n", "host");
    rejects(
        &base.replace("mysql", "postgresql").replace("host:", "user_hosts: [a]\nhost:"),
        "is not supported for PostgreSQL",
    );
}
