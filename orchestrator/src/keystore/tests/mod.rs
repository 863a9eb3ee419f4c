//! Keystores of keytool and OpenSSL are read, ours are read by keytool, damaged ones are refused; issued certificates serve a handshake.

use apim_protocol::value::Secret;

use super::*;

mod handshake;
mod issued;
mod jdk;

/// A moment in 2030.
pub(crate) const NOW: i64 = 1_900_000_000;

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// An identity of an elliptic curve, which is made at once: `names` from `from` to `until`.
pub(crate) fn quick(names: &[&str], from: i64, until: i64) -> Identity {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let mut params =
        rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .expect("names");
    let at = |secs: i64| {
        rcgen::date_time_ymd(1970, 1, 1)
            + std::time::Duration::from_secs(u64::try_from(secs).expect("after 1970"))
    };
    (params.not_before, params.not_after) = (at(from), at(until));
    params.distinguished_name.push(rcgen::DnType::CommonName, names.first().copied().unwrap_or("nobody"));
    let made = params.self_signed(&pair).expect("a certificate");
    let certificate = Certificate::parse(made.der()).expect("it reads");
    Identity::new(PrivateKey::from_pkcs8(pair.serialize_der()), vec![certificate], "quick").expect("a pair")
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/keystore/tests/fixtures");
    std::fs::read(folder.join(name)).expect("a fixture")
}

#[test]
fn a_keystore_of_keytool_is_listed_and_opened() {
    let opened = Opened::open(&fixture("keytool.jks"), &secret("store-secret")).expect("it opens");
    assert_eq!(opened.format, Format::Jks);
    let aliases: Vec<&str> = opened.entries.iter().map(|entry| entry.alias.as_str()).collect();
    assert_eq!(aliases, ["node", "trüst"]);
    assert_eq!(opened.trusted().count(), 1);
    let identity = opened.identity("NODE", &secret("key-secret")).expect("the key, whatever the case");
    let own = identity.certificate().expect("a certificate");
    assert_eq!(own.names(), ["node.example.com", "*.wild.example.com", "10.0.0.9"]);
    assert_eq!(own.key, KeyKind::Rsa(2048));
    for (name, covered) in [
        ("node.example.com", true),
        ("NODE.example.com", true),
        ("a.wild.example.com", true),
        ("a.b.wild.example.com", false),
        ("wild.example.com", false),
        ("10.0.0.9", true),
        ("10.0.0.8", false),
        ("localhost", false),
    ] {
        assert_eq!(own.covers(name), covered, "{name}");
    }
}

#[test]
fn every_form_holds_the_same_identity() {
    let jks = Opened::open(&fixture("keytool.jks"), &secret("store-secret")).expect("JKS");
    let wanted = jks.identity("node", &secret("key-secret")).expect("the key");
    for name in ["keytool.p12", "openssl.p12"] {
        let opened = Opened::open(&fixture(name), &secret("p12-secret")).expect(name);
        assert_eq!(opened.identity("node", &secret("p12-secret")).expect(name), wanted, "{name}");
    }
    for key in ["key.pem", "key-rsa.pem"] {
        let bytes = [fixture("certificate.pem"), fixture(key)].concat();
        let opened = Opened::open(&bytes, &secret("")).expect(key);
        assert_eq!(opened.identity("any", &secret("")).expect(key).chain, wanted.chain, "{key}");
    }
}

#[test]
fn what_is_wrong_is_told_apart() {
    let open = |name: &str, password: &str| Opened::open(&fixture(name), &secret(password));
    for name in ["keytool.jks", "keytool.p12", "openssl.p12"] {
        assert_eq!(open(name, "wrong-secret").expect_err(name), KeystoreError::WrongPassword, "{name}");
    }
    let jks = open("keytool.jks", "store-secret").expect("it opens");
    assert_eq!(
        jks.identity("gone", &secret("x")).expect_err("no such alias").to_string(),
        "there is no `gone` in it, only node, trüst"
    );
    assert_eq!(
        jks.identity("node", &secret("store-secret")).expect_err("another password"),
        KeystoreError::WrongKeyPassword("node".to_owned())
    );
    assert_eq!(
        jks.identity("trüst", &secret("x")).expect_err("no key"),
        KeystoreError::NotAKey("trüst".to_owned())
    );
    assert_eq!(Opened::open(b"hello", &secret("x")).expect_err("no keystore"), KeystoreError::UnknownFormat);
    let locked = [fixture("certificate.pem"), fixture("key-locked.pem")].concat();
    assert!(matches!(Opened::open(&locked, &secret("x")), Err(KeystoreError::UnreadableKey(_))));
    let foreign = [fixture("certificate.pem"), fixture("other-key.pem")].concat();
    let foreign = Opened::open(&foreign, &secret("x")).expect("it reads");
    assert!(matches!(foreign.identity("x", &secret("x")), Err(KeystoreError::NotAPair(_))));
    assert!(matches!(Opened::open(&fixture("key.pem"), &secret("x")), Err(KeystoreError::Damaged(_))));
}

#[test]
fn a_truststore_that_java_would_find_empty_is_seen_to_be() {
    let opened = Opened::open(&fixture("openssl-trust.p12"), &secret("p12-secret")).expect("it opens");
    assert_eq!(opened.trusted().count(), 0);
}

#[test]
fn damaged_files_are_refused_and_nothing_is_reserved_for_them() {
    let whole = fixture("keytool.jks");
    for end in (0..whole.len()).step_by(97) {
        assert!(Opened::open(&whole[..end], &secret("store-secret")).is_err(), "cut at {end}");
    }
    for at in (8..whole.len()).step_by(53) {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        assert!(Opened::open(&broken, &secret("store-secret")).is_err(), "broken at {at}");
    }
    // A number of certificates that no memory holds.
    let mut greedy = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, b'a'];
    greedy.extend([0; 8]);
    greedy.extend([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    greedy.extend([0; 20]);
    assert!(matches!(Opened::open(&greedy, &secret("x")), Err(KeystoreError::Damaged(_))));
    let p12 = fixture("keytool.p12");
    for end in (0..p12.len()).step_by(211) {
        assert!(Opened::open(&p12[..end], &secret("p12-secret")).is_err(), "cut at {end}");
    }
}

#[test]
fn jks_written_twice_is_the_same_and_reads_back() {
    let identity = quick(&["one.example.com"], NOW, NOW + 1000);
    let other = quick(&["two.example.com"], NOW, NOW + 1000);
    let content = Content::default().identity("Key", identity.clone()).trusted("ca", other.chain[0].clone());
    let bytes = write(Format::Jks, None, &content, &secret("password")).expect("written");
    assert_eq!(write(Format::Jks, None, &content, &secret("password")).expect("written"), bytes);
    assert_ne!(write(Format::Jks, None, &content, &secret("passw0rd")).expect("written"), bytes);
    let opened = Opened::open(&bytes, &secret("password")).expect("it opens");
    assert_eq!(opened.identity("key", &secret("password")).expect("the key"), identity);
    assert!(content.is_in(&opened, &secret("password")));
    let more = content.clone().trusted("more", other.chain[0].clone());
    assert!(!more.is_in(&opened, &secret("password")));
    let short = write(Format::Jks, None, &content, &secret("short"));
    assert_eq!(short.expect_err("too short"), KeystoreError::UnfitPassword(6));
}

#[test]
fn adding_to_a_jks_leaves_the_others_as_they_are() {
    let base = fixture("keytool.jks");
    let opens = secret("store-secret");
    let ca = quick(&["ca"], NOW, NOW + 1000).chain[0].clone();
    let content = Content::default().trusted("ca", ca.clone());
    let kept = Base { bytes: &base, password: &opens, without: &["trüst"] };
    let bytes = write(Format::Jks, Some(kept), &content, &opens).expect("written");
    let opened = Opened::open(&bytes, &opens).expect("it opens");
    let aliases: Vec<&str> = opened.entries.iter().map(|entry| entry.alias.as_str()).collect();
    assert_eq!(aliases, ["ca", "node"]);
    opened.identity("node", &secret("key-secret")).expect("the key is still locked with its own password");
    let locked = |bytes: &[u8]| bytes.windows(12).filter(|window| window.ends_with(b"\0\x04node")).count();
    assert_eq!(locked(&bytes), locked(&base));
}

#[test]
fn pkcs12_and_pem_read_back_too() {
    let identity = quick(&["one.example.com"], NOW, NOW + 1000);
    let other = quick(&["two.example.com"], NOW, NOW + 1000);
    let content = Content::default().identity("key", identity.clone()).trusted("ca", other.chain[0].clone());
    let bytes = write(Format::Pkcs12, None, &content, &secret("password")).expect("written");
    let opened = Opened::open(&bytes, &secret("password")).expect("it opens");
    assert!(content.is_in(&opened, &secret("password")), "{opened:?}");
    let text = write(Format::Pem, None, &Content::default().identity("key", identity.clone()), &secret(""))
        .expect("written");
    let opened = Opened::open(&text, &secret("")).expect("it opens");
    assert_eq!(opened.identity("x", &secret("")).expect("the key"), identity);
}

#[test]
fn nothing_shows_a_key() {
    let identity = quick(&["one.example.com"], NOW, NOW + 1000);
    let key = hex::encode(&identity.key.as_pkcs8()[..16]);
    let shown = format!("{identity:?} {:?}", Content::default().identity("a", identity.clone()));
    assert!(!shown.contains(&key) && shown.contains("PrivateKey(***)"), "{shown}");
}
