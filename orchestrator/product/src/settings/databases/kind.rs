//! Types of database servers: names, default ports, drivers and scripts. Independent of a cluster.

use std::fmt;

/// A type of database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseType {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgresql,
    /// Microsoft SQL Server.
    Mssql,
    /// Oracle.
    Oracle,
    /// DB2.
    Db2,
}

impl DatabaseType {
    /// The names in an inventory.
    pub(super) const WORDS: [(&'static str, Self); 8] = [
        ("mysql", Self::Mysql),
        ("mariadb", Self::Mariadb),
        ("postgresql", Self::Postgresql),
        ("postgres", Self::Postgresql),
        ("postgre", Self::Postgresql),
        ("mssql", Self::Mssql),
        ("oracle", Self::Oracle),
        ("db2", Self::Db2),
    ];

    /// Returns the product's name. With any other spelling the product silently falls back to
    /// defaults (carbon-kernel `infer.json`; note `postgre`).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgresql => "postgre",
            Self::Mssql => "mssql",
            Self::Oracle => "oracle",
            Self::Db2 => "db2",
        }
    }

    /// Returns the default port.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgresql => 5432,
            Self::Mssql => 1433,
            Self::Oracle => 1521,
            Self::Db2 => 50000,
        }
    }

    /// Returns the driver class to write into the configuration; `None`: the product infers the
    /// right one. For MySQL it infers `com.mysql.jdbc.Driver`, which Connector/J 8 keeps only as a
    /// deprecated alias (helm-apim also sets the new class). For MariaDB the class is set
    /// explicitly. The inferred class is right for PostgreSQL (`org.postgresql.Driver`), SQL Server
    /// (`com.microsoft.sqlserver.jdbc.SQLServerDriver`), Oracle (`oracle.jdbc.OracleDriver`) and
    /// DB2 (carbon-kernel `infer.json`).
    #[must_use]
    pub const fn driver_class(self) -> Option<&'static str> {
        match self {
            Self::Mysql => Some("com.mysql.cj.jdbc.Driver"),
            Self::Mariadb => Some("org.mariadb.jdbc.Driver"),
            Self::Postgresql | Self::Mssql | Self::Oracle | Self::Db2 => None,
        }
    }

    /// Returns the name of the distribution's scripts for it: `dbscripts/NAME.sql` and
    /// `dbscripts/apimgt/NAME.sql` (carbon-kernel, carbon-apimgt). MariaDB uses those of MySQL.
    #[must_use]
    pub const fn script(self) -> &'static str {
        match self {
            Self::Mysql | Self::Mariadb => "mysql",
            Self::Postgresql => "postgresql",
            Self::Mssql => "mssql",
            Self::Oracle => "oracle",
            Self::Db2 => "db2",
        }
    }

    /// Returns whether apim-deploy supports its protocol, which is required to create databases and
    /// to test logins.
    #[must_use]
    pub const fn is_spoken(self) -> bool {
        matches!(self, Self::Mysql | Self::Mariadb | Self::Postgresql)
    }

    /// Returns the administrator account of a new server.
    pub(super) const fn administrator(self) -> &'static str {
        match self {
            Self::Mysql | Self::Mariadb => "root",
            Self::Postgresql => "postgres",
            Self::Mssql => "sa",
            Self::Oracle => "system",
            Self::Db2 => "db2inst1",
        }
    }
}

impl fmt::Display for DatabaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
            Self::Postgresql => "PostgreSQL",
            Self::Mssql => "SQL Server",
            Self::Oracle => "Oracle",
            Self::Db2 => "DB2",
        })
    }
}
