//! Servers that accept only encrypted connections: an authority and a server certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The names of the files in a server's folder.
const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";

/// Creates an authority and a certificate for `name`, as files of `folder`.
pub(super) fn issue(folder: &Path, name: &str) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "the database's authority");
    let authority_certificate = authority.self_signed(&authority_key).expect("an authority");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new([name.to_owned()]).expect("a name for a certificate");
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");
    for (file, text) in [
        (AUTHORITY, authority_certificate.pem()),
        (CERTIFICATE, certificate.pem()),
        (KEY, key.serialize_pem()),
    ] {
        fs::write(folder.join(file), text).expect("a file of the certificate");
    }
    // PostgreSQL refuses a key that other accounts can read.
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.join(KEY), owner_only).expect("the key's mode");
}

/// Returns the path of the certificate of the authority.
pub(super) fn authority(folder: &Path) -> PathBuf {
    folder.join(AUTHORITY)
}

/// Makes a MariaDB server refuse unencrypted connections.
pub(super) fn of_mariadb(server: &mut Command, folder: &Path) {
    server.arg("--require-secure-transport=ON");
    for (option, file) in [("ca", AUTHORITY), ("cert", CERTIFICATE), ("key", KEY)] {
        server.arg(format!("--ssl-{option}={}", folder.join(file).display()));
    }
}

/// Makes a PostgreSQL server refuse unencrypted network connections.
pub(super) fn of_postgresql(server: &mut Command, folder: &Path) {
    let rules = folder.join("data/pg_hba.conf");
    let text = fs::read_to_string(&rules).expect("the rules of initdb");
    fs::write(&rules, text.replace("\nhost ", "\nhostssl ")).expect("the rules");
    server.args(["-c", "ssl=on"]);
    for (option, file) in [("cert", CERTIFICATE), ("key", KEY)] {
        server.arg("-c").arg(format!("ssl_{option}_file={}", folder.join(file).display()));
    }
}
