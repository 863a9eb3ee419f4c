//! Stand-ins for a JDK and a JDBC driver, with only the files that scripts and the server check.

use std::io;

use flate2::{Compression, GzBuilder};

use super::archive;

const TOP: &str = "jdk-21.0.0";

const RELEASE: &str =
    "IMPLEMENTOR=\"Stand-In\"\nJAVA_VERSION=\"21.0.0\"\nOS_ARCH=\"x86_64\"\nOS_NAME=\"Linux\"\n";

/// A `tar.gz` with the single top folder `jdk-21.0.0`.
pub(super) fn tarball() -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    let java = include_str!("../../standin/files/bin/jdk-java.sh");
    for folder in ["", "bin/", "lib/"] {
        append(&mut tar, &format!("{TOP}/{folder}"), 0o755, "")?;
    }
    append(&mut tar, &format!("{TOP}/bin/java"), 0o755, java)?;
    append(
        &mut tar,
        &format!("{TOP}/bin/keytool"),
        0o755,
        "#!/bin/sh\necho 'The stand-in JDK has no keytool.' >&2\nexit 1\n",
    )?;
    append(&mut tar, &format!("{TOP}/lib/modules"), 0o644, "stand-in\n")?;
    append(&mut tar, &format!("{TOP}/release"), 0o644, RELEASE)?;
    tar.into_inner()?.finish()
}

fn append<W: io::Write>(tar: &mut tar::Builder<W>, path: &str, mode: u32, content: &str) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_mtime(1_704_067_200);
    header.set_size(content.len() as u64);
    header.set_entry_type(if path.ends_with('/') {
        tar::EntryType::Directory
    } else {
        tar::EntryType::Regular
    });
    tar.append_data(&mut header, path, content.as_bytes())
}

/// A jar with the class names by which the server recognizes a MySQL driver.
pub(super) fn driver() -> io::Result<Vec<u8>> {
    Ok(archive::jar(&[
        (
            "META-INF/MANIFEST.MF",
            b"Manifest-Version: 1.0\nImplementation-Title: MySQL Connector/J (stand-in)\n",
        ),
        ("META-INF/services/java.sql.Driver", b"com.mysql.cj.jdbc.Driver\n"),
        ("com/mysql/cj/jdbc/Driver.class", b"\xca\xfe\xba\xbe"),
        ("com/mysql/jdbc/Driver.class", b"\xca\xfe\xba\xbe"),
    ]))
}
