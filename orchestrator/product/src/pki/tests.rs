//! Required certificates, which of them are due, and which stay unchanged.

use apim_protocol::value::Secret;

use super::*;
use crate::cluster::Cluster;
use crate::keystore::{Content, KeystoreError};
use crate::testing::NOW;
use crate::testing::{HA, basics, cluster, hosts, node};

const DAY_SECS: i64 = 86_400;
const SETTINGS: &str = "  keystores: {mode: issued, passphrase: pass-of-pki, password: pass-of-stores}\n  endpoints: {gateway: gw.example.com}\n";

fn two(more: &str) -> Cluster {
    cluster(&(basics(SETTINGS) + &hosts(&["cp control_plane", &format!("gw gateway{more}")])))
}

fn never(_: &str, _: &Content, _: &Secret) -> Result<Vec<u8>, KeystoreError> {
    panic!("JKS is reproducible")
}

#[test]
fn certificates_contain_all_node_names() {
    let settings =
        "  keystores: {mode: issued, passphrase: pass-of-pki, password: pass-of-stores}\n  endpoints:\n";
    let cluster = cluster(&HA.replacen("  endpoints:\n", settings, 1));
    let wanted: Vec<String> = required(&cluster)
        .iter()
        .filter(|required| !required.name.contains("-2-"))
        .map(|required| format!("{} = {}", required.name, required.names.join(" ")).trim_end().to_owned())
        .collect();
    insta::assert_snapshot!(wanted.join("\n"), @"
    primary =
    apim-cp-1-control-plane = 10.0.0.15 127.0.0.1 api.am.wso2.com apim-cp-1 localhost
    km-1-key-manager = 10.0.0.11 127.0.0.1 km-1 km.wso2.com localhost
    gw-1-gateway = 10.0.0.13 127.0.0.1 gw-1 gw.wso2.com localhost
    traffic-manager-1-traffic-manager = 10.0.0.17 127.0.0.1 localhost tm.am.wso2.com traffic-manager-1
    lb-load-balancer = 10.0.0.10 api.am.wso2.com gw.wso2.com km.wso2.com lb tm.am.wso2.com
    ");
}

#[test]
fn issued_certificates_serve_and_renew_separately() {
    let mut first = two("");
    let mut material = Material::default();
    let issued = issue(&first, &mut material, NOW).expect("issued");
    assert_eq!(issued.len(), 4, "authority, shared key, two nodes: {issued:?}");
    assert_eq!(issue(&first, &mut material, NOW + DAY_SECS).expect("nothing to do"), Vec::new());
    assign_keystores(&mut first, &material, &ExternalTrust::default(), &mut never).expect("handed out");
    let findings = trust::check(&first, NOW);
    assert!(findings.mistakes.0.is_empty(), "{findings:?}");
    let names: Vec<&str> = node(&first, "gw").keystores.iter().map(|file| file.path.name()).collect();
    assert_eq!(names, ["primary.jks", "tls.jks", "client-truststore.jks"]);
    assert!(node(&first, "gw").keystores.iter().all(|file| file.opened.is_some()));

    // Node certificates are reissued shortly before expiry; the shared one is not.
    let late = NOW + 380 * DAY_SECS;
    let due_then = due(&first, &material, late);
    let names: Vec<&str> = due_then.iter().map(|due| due.required.name.as_str()).collect();
    assert_eq!(names, ["cp-control-plane", "gw-gateway"]);
    assert!(matches!(due_then[0].why, DueReason::ExpiresIn(_)), "{due_then:?}");

    // A changed name affects one certificate only.
    let renamed = two(" | {keystores: {names: [other.example.com]}}");
    let due_now = due(&renamed, &material, NOW);
    assert_eq!(due_now.len(), 1);
    assert_eq!(
        (due_now[0].required.name.as_str(), due_now[0].why.to_string().as_str()),
        ("gw-gateway", "it lacks other.example.com")
    );

    // The shared key stays when its certificate is renewed.
    let shared = material.keys[PRIMARY].clone();
    let very_late = NOW + 3640 * DAY_SECS;
    issue(&first, &mut material, very_late).expect("issued");
    assert_eq!(material.keys[PRIMARY], shared);
    let authority = material.authority.as_ref().expect("an authority");
    assert!(authority.signed(&material.certificates[PRIMARY]));
    assert!(material.certificates[PRIMARY].days_left(very_late) > 3000);
}

#[test]
fn keystores_without_certificates_have_no_content() {
    let mut cluster = two("");
    assign_keystores(&mut cluster, &Material::default(), &ExternalTrust::default(), &mut never)
        .expect("handed out");
    let keystores = &node(&cluster, "gw").keystores;
    assert!(!keystores.is_empty() && keystores.iter().all(|file| file.opened.is_none()));
    let files = crate::files(&cluster, node(&cluster, "gw"));
    assert!(!files.is_empty(), "the node has no files");
    assert!(files.iter().all(|file| !file.path.as_str().ends_with(".jks")), "{files:?}");
}
