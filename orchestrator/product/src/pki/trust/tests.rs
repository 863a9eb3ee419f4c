//! Invalid certificates are reported at the line of their file.

use apim_protocol::value::Secret;

use super::*;
use crate::cluster::Cluster;
use crate::keystore::{self, Content, Format, Identity};
use crate::testing::{KEYSTORE_PASSWORD, basics, build_with, cluster, hosts};
use crate::testing::{NOW, quick};
use crate::yaml::Mistakes;

const DAY: i64 = 86_400;
const ALL: [&str; 4] = ["cp", "gw", "10.0.0.11", "localhost"];

/// Files: `tls.jks`, and `trust.jks` with the trusted certificate `known`.
fn built(tls: &Identity, known: &Identity, names: &str) -> Result<Cluster, Mistakes> {
    let settings = "  keystores:
    tls: {file: tls.jks, password: secret-of-keystores, alias: a}
    truststore: {file: trust.jks, password: secret-of-keystores}
";
    let text = basics(settings) + &hosts(&["cp control_plane", &format!("{names} gateway")]);
    let password = Secret::new(KEYSTORE_PASSWORD);
    let files = |path: &str, _: &Span| {
        let content = match path {
            "tls.jks" => Content::default().identity("a", tls.clone()),
            _ => Content::default().trusted("known", known.chain[0].clone()),
        };
        Ok(keystore::write(Format::Jks, None, &content, &password).expect("a keystore"))
    };
    build_with(&text, &files)
}

fn found(tls: &Identity, known: &Identity) -> (Vec<String>, Vec<String>) {
    let cluster = built(tls, known, "gw").expect("a cluster");
    let found = check(&cluster, NOW);
    let mistakes = found.mistakes.in_order().iter().map(|m| format!("{}: {}", m.span.line, m.what)).collect();
    let is_about_tls = |note: &String| !note.contains("no `primary`");
    assert!(!found.notes.iter().all(is_about_tls), "a missing `primary` is reported: {:?}", found.notes);
    (mistakes, found.notes.into_iter().filter(is_about_tls).collect())
}

#[test]
fn valid_certificates_are_not_reported() {
    let fine = quick(&ALL, NOW - DAY, NOW + 100 * DAY);
    assert_eq!(found(&fine, &fine), (Vec::new(), Vec::new()));
}

#[test]
fn missing_peer_name_is_an_error() {
    let lacks = quick(&["cp", "localhost"], NOW - DAY, NOW + 100 * DAY);
    let (mistakes, notes) = found(&lacks, &lacks);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    for part in [
        "does not contain `gw`",
        "it contains cp, localhost",
        "control plane cp connects to https://gw:9443/",
        "`tls.jks`",
    ] {
        assert!(mistakes[0].contains(part), "{part}: {mistakes:?}");
    }
    assert_eq!(notes, Vec::<String>::new());
    let unknown = quick(&["cp", "gw"], NOW - DAY, NOW + 100 * DAY);
    let (mistakes, notes) = found(&unknown, &unknown);
    assert_eq!(mistakes, Vec::<String>::new());
    assert!(
        notes[0].contains("does not contain `localhost`"),
        "only the node itself uses this name: {notes:?}"
    );
}

#[test]
fn truststore_without_issuer_is_an_error() {
    let (tls, other) = (quick(&ALL, NOW - DAY, NOW + 100 * DAY), quick(&["other"], NOW, NOW + DAY));
    let (mistakes, _) = found(&tls, &other);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    assert!(mistakes[0].contains("`trust.jks` does not trust the certificate of"), "{mistakes:?}");
    assert!(
        mistakes[0].contains("does not contain its issuer") && mistakes[0].contains("more connections"),
        "{mistakes:?}"
    );
}

#[test]
fn dates_are_reported_once() {
    for (from, until, mistake, note) in [
        (NOW - 9 * DAY, NOW - 3 * DAY, "expired 3 days ago", ""),
        (NOW + 2 * DAY, NOW + 9 * DAY, "is not valid yet", ""),
        (NOW - 9 * DAY, NOW + 29 * DAY + 5, "", "expires in 29 days"),
        (NOW - 9 * DAY, NOW + 31 * DAY, "", ""),
    ] {
        let tls = quick(&ALL, from, until);
        let (mistakes, notes) = found(&tls, &tls);
        let expect = |found: &[String], part: &str| match part {
            "" => assert_eq!(found, Vec::<String>::new()),
            part => assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:#?}"),
        };
        expect(&mistakes, mistake);
        expect(&notes, note);
    }
}

#[test]
fn load_balancer_certificate_is_checked_and_listed() {
    let pem = |from, until| {
        let identity = quick(&["api.x.org", "gw.x.org"], from, until);
        let content = Content::default().identity("a", identity);
        keystore::write(Format::Pem, None, &content, &Secret::new("shipped")).expect("a file")
    };
    let text = format!(
        "{}{}",
        basics(
            "  endpoints: {control_plane: api.x.org, gateway: gw.x.org}\n  load_balancer: {kind: nginx, certificate: {file: lb.pem}}\n"
        ),
        hosts(&[
            "cp control_plane",
            "cp2 control_plane",
            "gw gateway",
            "gw2 gateway",
            "lb load_balancer",
            "lb2 load_balancer"
        ])
    );
    for (until, mistake, note, state) in [
        (NOW - 2 * DAY, "expired 2 days ago", "", "expired"),
        (NOW + 5 * DAY, "", "expires in 5 days", "ends soon"),
        (NOW + 90 * DAY, "", "", "valid"),
    ] {
        let file = pem(NOW - 9 * DAY, until);
        let cluster = build_with(&text, &|_: &str, _: &Span| Ok(file.clone())).expect("a cluster");
        let found = check(&cluster, NOW);
        let mistakes: Vec<String> = found.mistakes.0.iter().map(|one| one.what.clone()).collect();
        let notes: Vec<&String> = found.notes.iter().filter(|note| note.contains("load_balancer")).collect();
        assert_eq!(mistakes.len(), usize::from(!mistake.is_empty()), "{mistakes:?}");
        assert_eq!(notes.len(), usize::from(!note.is_empty()), "{notes:?}");
        assert!(mistakes.iter().all(|one| one.contains("lb.pem") && one.contains(mistake)), "{mistakes:?}");
        assert!(notes.iter().all(|one| one.contains(note)), "{notes:?}");
        let listed = crate::pki::list(&cluster, NOW, false);
        let own: Vec<_> = listed.iter().filter(|one| one.purpose == "load balancer").collect();
        assert_eq!(own.len(), 2);
        assert!(own.iter().all(|one| one.state.word() == state), "{own:?}");
    }
}

#[test]
fn documented_cluster_connections() {
    let cluster = cluster(crate::testing::HA);
    let mut words: Vec<String> = edges(&cluster)
        .iter()
        .map(|edge| {
            let shows = match edge.callee {
                Callee::Node(node) => node.host.clone(),
                Callee::Balancer => "load balancer".to_owned(),
            };
            format!("{} -> {} presented by {shows}", edge.caller.host, edge.url)
        })
        .filter(|edge| edge.contains("-1 ->"))
        .collect();
    words.sort();
    words.dedup();
    insta::assert_snapshot!(words.join("\n"), @"
    apim-cp-1 -> https://api.am.wso2.com/ presented by load balancer
    apim-cp-1 -> https://gw.wso2.com/ presented by load balancer
    apim-cp-1 -> https://km.wso2.com/ presented by load balancer
    apim-cp-1 -> https://localhost:9443 presented by apim-cp-1
    apim-cp-1 -> ssl://apim-cp-1:9711 presented by apim-cp-1
    apim-cp-1 -> ssl://apim-cp-2:9711 presented by apim-cp-2
    gw-1 -> https://api.am.wso2.com/ presented by load balancer
    gw-1 -> https://km.wso2.com/ presented by load balancer
    gw-1 -> ssl://traffic-manager-1:9711 presented by traffic-manager-1
    gw-1 -> ssl://traffic-manager-2:9711 presented by traffic-manager-2
    km-1 -> https://api.am.wso2.com/ presented by load balancer
    traffic-manager-1 -> https://api.am.wso2.com/ presented by load balancer
    ");
}

#[test]
fn tls_brokers_are_connections() {
    let text = crate::testing::HA.replacen("  endpoints:\n", "  broker_tls: true\n  endpoints:\n", 1);
    let cluster = cluster(&text);
    let heard = |host: &str| -> Vec<String> {
        let own = edges(&cluster).into_iter().filter(|edge| edge.caller.host == host);
        own.map(|edge| edge.url).filter(|url| url.starts_with("amqps")).collect()
    };
    let hubs = ["amqps://apim-cp-1:8672", "amqps://apim-cp-2:8672"];
    assert_eq!(heard("km-1"), hubs);
    assert_eq!(heard("apim-cp-1"), hubs[1..]);
    assert_eq!(heard("gw-1").len(), 4);
    assert_eq!(heard("traffic-manager-1").len(), 3);
}
