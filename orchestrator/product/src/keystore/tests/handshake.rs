//! In-memory TLS handshakes with an issued keystore; the client verifies chain and name.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;

#[test]
fn issued_keystore_is_accepted_only_for_its_names() {
    let now = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs(),
    )
    .expect("a number");
    let authority = Authority::create("Test CA", now - 60, now + 86_400).expect("an authority");
    let key = PrivateKey::generate().expect("a key");
    let names = ["gw-1.example.com".to_owned(), "10.0.0.9".to_owned()];
    let wanted = Wanted {
        common_name: "gw-1.example.com",
        names: &names,
        purpose: Purpose::Tls,
        not_before: now - 60,
        not_after: now + 86_400,
    };
    let leaf = authority.issue(&wanted, &key).expect("a certificate");
    let chain = vec![leaf, authority.certificate.clone()];
    let identity = Identity::new(key, chain, "node").expect("a pair");
    for format in [Format::Jks, Format::Pkcs12] {
        let content = Content::default().identity("node", identity.clone());
        let bytes = write(format, None, &content, &secret("password")).expect("written");
        let opened = Opened::open(&bytes, &secret("password")).expect("it opens");
        let served = opened.identity("node", &secret("password")).expect("the key");
        for (name, fits) in [
            ("gw-1.example.com", true),
            ("10.0.0.9", true),
            ("gw-2.example.com", false),
            ("localhost", false),
        ] {
            assert_eq!(handshake(&served, &authority.certificate, name).is_ok(), fits, "{format:?} {name}");
        }
        let stranger = quick(&["gw-1.example.com"], now - 60, now + 60);
        assert!(handshake(&served, &stranger.chain[0], "gw-1.example.com").is_err(), "another authority");
    }
}

fn handshake(served: &Identity, trusted: &Certificate, name: &str) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let der = |one: &Certificate| CertificateDer::from(one.der.to_vec());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(served.key.as_pkcs8().to_vec()));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(served.chain.iter().map(der).collect(), key)?;
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted))?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("memory");
        server.read_tls(&mut wire.as_slice()).expect("memory");
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).expect("memory");
        client.read_tls(&mut wire.as_slice()).expect("memory");
        client.process_new_packets()?;
    }
    client.writer().write_all(b"hello").expect("memory");
    let mut wire = Vec::new();
    client.write_tls(&mut wire).expect("memory");
    server.read_tls(&mut wire.as_slice()).expect("memory");
    server.process_new_packets()?;
    let mut received = [0; 5];
    server.reader().read_exact(&mut received).expect("data received");
    assert_eq!(&received, b"hello");
    Ok(())
}
