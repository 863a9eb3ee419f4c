//! `apim.databases.tls`: encryption of database connections, from apim-deploy and from the nodes.

use super::kind::DatabaseType;

/// Whether database connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// Not encrypted.
    #[default]
    Off,
    /// Encrypted; the server's certificate is not verified.
    Required,
    /// Encrypted; the server's certificate must be trusted and match its name.
    Verified,
}

impl Tls {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("off", Self::Off), ("required", Self::Required), ("verified", Self::Verified)];

    /// Returns the equivalent options of the JDBC driver (manuals: Connector/J 8 "Security",
    /// MariaDB Connector/J "TLS", pgJDBC "Using SSL", SQL Server "Setting the connection
    /// properties"). A node trusts the authorities in its truststore: the start scripts pass it to
    /// the JVM, and pgJDBC needs a socket factory that uses it. `None`: the driver does not support
    /// such options in its URL.
    pub(super) fn options(self, kind: DatabaseType) -> Option<&'static [(&'static str, &'static str)]> {
        Some(match (kind, self) {
            (_, Self::Off) => &[],
            (DatabaseType::Mysql, Self::Required) => &[("sslMode", "REQUIRED")],
            (DatabaseType::Mysql, Self::Verified) => &[("sslMode", "VERIFY_IDENTITY")],
            (DatabaseType::Mariadb, Self::Required) => &[("sslMode", "trust")],
            (DatabaseType::Mariadb, Self::Verified) => &[("sslMode", "verify-full")],
            (DatabaseType::Postgresql, Self::Required) => &[("sslmode", "require")],
            (DatabaseType::Postgresql, Self::Verified) => {
                &[("sslmode", "verify-full"), ("sslfactory", "org.postgresql.ssl.DefaultJavaSSLFactory")]
            }
            (DatabaseType::Mssql, Self::Required) => {
                &[("encrypt", "true"), ("trustServerCertificate", "true")]
            }
            (DatabaseType::Mssql, Self::Verified) => {
                &[("encrypt", "true"), ("trustServerCertificate", "false")]
            }
            (DatabaseType::Db2, Self::Required | Self::Verified) => &[("sslConnection", "true")],
            (DatabaseType::Oracle, Self::Required | Self::Verified) => return None,
        })
    }

    /// Returns the mode that the user's driver options imply.
    pub(super) fn said_by<'a>(kind: DatabaseType, options: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Self::Off;
        for (key, value) in options {
            let (key, value) = (key.to_ascii_lowercase(), value.to_ascii_lowercase());
            let said = match (kind, key.as_str(), value.as_str()) {
                (DatabaseType::Mysql, "sslmode", "required")
                | (DatabaseType::Mysql, "requiressl", "true")
                | (DatabaseType::Mariadb, "sslmode", "trust")
                | (DatabaseType::Mariadb, "usessl", "true")
                | (DatabaseType::Postgresql, "sslmode", "require") => Self::Required,
                (DatabaseType::Mysql, "sslmode", "verify_ca" | "verify_identity")
                | (DatabaseType::Mariadb, "sslmode", "verify-ca" | "verify-full")
                | (DatabaseType::Postgresql, "sslmode", "verify-ca" | "verify-full") => Self::Verified,
                _ => continue,
            };
            found = said;
        }
        found
    }
}
