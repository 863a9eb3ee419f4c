//! Certificates of the cluster's own: placed by the first apply, left alone by the second, accepted by a client that checks names.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apim_deploy::keystore::Opened;
use apim_protocol::value::Secret;
use apim_tests::inventory::Inventory;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::json;

use super::Small;
use crate::changed;

#[test]
fn issued_certificates_serve_and_stay() {
    let mut small = Small::new();
    small.rehearsal.inventory.set(
        "keystores",
        json!({"mode": "issued", "passphrase": "pass-of-the-pki", "password": "pass-of-the-stores"}),
    );
    let first = small.apply().ended_with(0);
    assert!(first.text().contains("issued the certificate of"), "{}", first.text());
    let second = small.apply().ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());
    assert!(!second.text().contains("issued the certificate of"), "{}", second.text());

    let pki = small.inventory().with_extension("pki");
    let port = u16::try_from(9443 + Inventory::offset(0)).expect("a port");
    for (name, fits) in [("am1", true), ("localhost", true), ("127.0.0.1", true), ("somebody.else", false)] {
        let answer = asked(&pki.join("ca.crt"), port, name);
        assert_eq!(answer.is_ok(), fits, "{name}: {answer:?}");
    }

    let truststore = found(&small.host().root.join("opt/wso2"), "client-truststore.jks");
    let bytes = std::fs::read(truststore).expect("readable");
    let opened = Opened::open(&bytes, &Secret::new("pass-of-the-stores")).expect("it opens");
    let aliases: Vec<&str> = opened.trusted().map(|(alias, _)| alias).collect();
    assert_eq!(
        aliases,
        ["cluster_ca", "gateway_certificate_alias", "public_authority_one", "public_authority_two"],
        "the public authorities stay, the shipped certificate does not"
    );
}

/// Asks the servlet port, believing only the authority, and only under this name.
fn asked(authority: &Path, port: u16, name: &str) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(authority).expect("the authority's certificate");
    roots.add(trusted).map_err(|error| text(&error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| text(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerName::try_from(name.to_owned()).map_err(|error| text(&error))?;
    let connection = ClientConnection::new(Arc::new(config), server).map_err(|error| text(&error))?;
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| text(&error))?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| text(&error))?;
    let mut stream = StreamOwned::new(connection, socket);
    let request = format!("GET /services/Version HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| text(&error))?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).map_err(|error| text(&error))?;
    Ok(String::from_utf8_lossy(&status).into_owned())
}

fn found(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("no {name} below {}", folder.display());
}
