//! Tests of the user's keystores: reading, opening, sharing, and errors at their locations.

use crate::testing::{basics, cluster, hosts, mistakes, node};

#[test]
fn provided_keystores_are_read_and_checked() {
    let keystores = "  keystores:
    mode: provided
    primary: {file: primary.jks, password: secret-of-keystores, alias: a}
    tls: {file: tls.p12, password: secret-of-keystores, alias: a}
    truststore: {file: trust.jks, password: secret-of-keystores}
";
    let text = basics(keystores)
        + &hosts(&["cp control_plane", "g gateway | {keystores: {tls: {file: other.p12}}}"]);
    let valid = cluster(&text);
    let paths: Vec<&str> = node(&valid, "g").keystores.iter().map(|k| k.path.name()).collect();
    assert_eq!(paths, ["primary.jks", "other.p12", "trust.jks"]);
    let differs =
        text.replace("{keystores: {tls: {file: other.p12}}}", "{keystores: {primary: {file: mine.jks}}}");
    assert!(
        mistakes(&differs)[0].contains("`apim.keystores.primary` on `g` differs from that on `cp`"),
        "{:?}",
        mistakes(&differs)
    );
    for (from, to, what) in [
        ("primary.jks", "missing.jks", "`apim.keystores.primary.file`"),
        (
            "alias: a}\n    truststore",
            "alias: a, key_password: x}\n    truststore",
            "differs from `password`",
        ),
        ("trust.jks, password: secret-of-keystores", "trust.jks, password: 's&3'", "must not contain `&`"),
        (
            "trust.jks, password: secret-of-keystores",
            "trust.jks, password: mistaken",
            "the password does not open it",
        ),
        ("alias: a}\n    truststore", "alias: b}\n    truststore", "no entry `b`; entries: a"),
        ("trust.jks", "no.jks", "contains no trusted certificate"),
        ("tls: {file: tls.p12", "tls: {file: tls.jks, type: PKCS12", "it is JKS: set `type: JKS`"),
        (", alias: a}\n    tls", "}\n    tls", "requires `alias`"),
    ] {
        let broken = text.replace(from, to);
        assert_ne!(broken, text, "{from}");
        let found = mistakes(&broken);
        assert!(found.iter().any(|m| m.contains(what)), "{what}: {found:?}");
    }
}
