//! Database scripts of a stand-in distribution: several hundred statements like those of the product
//! (names, keys, indexes, rows, procedures with their own delimiter), in every dialect of the product.
//! No text of the product is used.

use std::fmt::Write as _;

use super::component::Version;

/// A dialect: the file name of the script, and the names of types.
struct Dialect {
    file: &'static str,
    serial: &'static str,
    text: &'static str,
    bytes: &'static str,
    ending: &'static str,
}

const DIALECTS: &[Dialect] = &[
    Dialect {
        file: "mysql",
        serial: "INTEGER AUTO_INCREMENT",
        text: "VARCHAR",
        bytes: "MEDIUMBLOB",
        ending: ") ENGINE INNODB;",
    },
    Dialect { file: "postgresql", serial: "SERIAL", text: "VARCHAR", bytes: "BYTEA", ending: ");" },
    Dialect {
        file: "mssql",
        serial: "INTEGER IDENTITY",
        text: "VARCHAR",
        bytes: "VARBINARY(MAX)",
        ending: ");",
    },
    Dialect { file: "oracle", serial: "INTEGER", text: "VARCHAR2", bytes: "BLOB", ending: ")\n/" },
    Dialect { file: "oracle_rac", serial: "INTEGER", text: "VARCHAR2", bytes: "BLOB", ending: ")\n/" },
    Dialect { file: "oracle_23c", serial: "INTEGER", text: "VARCHAR2", bytes: "BLOB", ending: ")\n/" },
    Dialect { file: "db2", serial: "INTEGER NOT NULL", text: "VARCHAR", bytes: "BLOB", ending: ")\n/" },
    Dialect { file: "h2", serial: "INTEGER AUTO_INCREMENT", text: "VARCHAR", bytes: "BLOB", ending: ");" },
];

const APIM: &[(&str, &[&str])] = &[
    (
        "AM",
        &[
            "APPLICATION",
            "SUBSCRIPTION",
            "KEY_MAPPING",
            "URL_MAPPING",
            "COMMENT",
            "RATING",
            "DOCUMENT",
            "REVISION",
            "DEPLOYMENT",
            "POLICY",
            "CERTIFICATE",
            "ENDPOINT",
            "MEDIATION",
            "MONETIZATION",
            "WEBHOOK",
            "LABEL",
            "CATEGORY",
            "CORRELATION",
            "TENANT_THEME",
            "KEY_MANAGER",
        ],
    ),
    (
        "IDN_OAUTH2",
        &[
            "TOKEN",
            "SCOPE",
            "CODE",
            "CONSENT",
            "DEVICE_FLOW",
            "RESOURCE",
            "AUDIENCE",
            "CLAIM",
            "BINDING",
            "PAR",
        ],
    ),
    (
        "IDN",
        &[
            "SESSION",
            "TEMPLATE",
            "RECOVERY",
            "CONFIG",
            "CORS",
            "FUNCTION",
            "CERTIFICATE",
            "CLAIM",
            "DIALECT",
            "REMOTE",
        ],
    ),
    ("IDP", &["PROVIDER", "CLAIM", "ROLE", "AUTHENTICATOR", "METADATA", "GROUP"]),
    ("SP", &["APP", "STEP", "CLAIM", "INBOUND", "METADATA", "PROVISIONING"]),
];

const SHARED: &[(&str, &[&str])] = &[
    (
        "REG",
        &["RESOURCE", "CONTENT", "PATH", "PROPERTY", "ASSOCIATION", "SNAPSHOT", "COMMENT", "RATING", "TAG"],
    ),
    (
        "UM",
        &["ROLE", "PERMISSION", "CLAIM", "DIALECT", "PROFILE", "DOMAIN", "GROUP", "ORGANIZATION", "ACCOUNT"],
    ),
];

/// Tables of each noun.
const PARTS: &[&str] = &["", "_PROPERTY", "_AUDIT", "_LOCALE"];

/// Returns all scripts: path below the top folder, and text.
pub(super) fn scripts(version: Version) -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for dialect in DIALECTS {
        let shared = head(dialect, "shared", SHARED_HEADS) + &body(dialect, SHARED, version, "REG");
        scripts.push((format!("dbscripts/{}.sql", dialect.file), shared));
        let apim = head(dialect, "apim", APIM_HEADS) + &body(dialect, APIM, version, "AM");
        scripts.push((format!("dbscripts/apimgt/{}.sql", dialect.file), apim));
    }
    scripts
}

const APIM_HEADS: [&str; 2] = [
    include_str!("../../standin/files/dbscripts/apim.mysql.sql"),
    include_str!("../../standin/files/dbscripts/apim.postgresql.sql"),
];
const SHARED_HEADS: [&str; 2] = [
    include_str!("../../standin/files/dbscripts/shared.mysql.sql"),
    include_str!("../../standin/files/dbscripts/shared.postgresql.sql"),
];

/// The tables that a stand-in server queries, for dialects that have them.
fn head(dialect: &Dialect, name: &str, heads: [&str; 2]) -> String {
    let [mysql, postgresql] = heads;
    match dialect.file {
        "mysql" => mysql.to_owned(),
        "postgresql" => postgresql.to_owned(),
        other => format!("-- {name}_db of a stand-in distribution, for {other}\n"),
    }
}

fn body(dialect: &Dialect, groups: &[(&str, &[&str])], version: Version, first: &str) -> String {
    let mut script = String::from("\n-- More tables; everything below was generated.\n");
    for (prefix, nouns) in groups {
        for noun in *nouns {
            for part in PARTS {
                table(&mut script, dialect, &format!("{prefix}_{noun}{part}"), part.is_empty());
            }
        }
    }
    if version != Version::V4_5_0 {
        // Tables of newer versions.
        table(&mut script, dialect, &format!("{first}_GOVERNANCE_RULESET"), true);
        table(&mut script, dialect, &format!("{first}_GOVERNANCE_ARTIFACT"), false);
    }
    procedure(&mut script, dialect, first);
    script
}

fn table(script: &mut String, dialect: &Dialect, name: &str, is_main: bool) {
    let Dialect { file, serial, text, bytes, ending } = dialect;
    let drop = if *file == "mysql" { format!("DROP TABLE IF EXISTS {name};\n") } else { String::new() };
    // A key of this length fits into an index only with a single-byte character set.
    let key = if is_main { 1000 } else { 255 };
    write!(
        script,
        "{drop}CREATE TABLE {name} (\n    ID {serial},\n    UUID {text} (255) NOT NULL, -- not the id; the other one\n    \
         NAME {text} ({key}) DEFAULT 'none, or (\"so\");' NOT NULL,\n    TENANT_ID INTEGER DEFAULT -1234,\n    \
         CONTENT {bytes},\n    PRIMARY KEY (ID),\n    CONSTRAINT UN_{name} UNIQUE (NAME, UUID)\n{ending}\n"
    )
    .unwrap_or_default();
    let end = if ending.ends_with('/') { "\n/" } else { ";" };
    writeln!(script, "CREATE INDEX IDX_{name} ON {name} (TENANT_ID, UUID){end}").unwrap_or_default();
    if is_main && matches!(*file, "mysql" | "postgresql") {
        writeln!(
            script,
            "INSERT INTO {name} (UUID, NAME) VALUES ('{}', 'it''s; shipped');",
            name.to_lowercase()
        )
        .unwrap_or_default();
    }
}

fn procedure(script: &mut String, dialect: &Dialect, first: &str) {
    script.push_str(&match dialect.file {
        "mysql" => format!(
            "/* procedures; with their own delimiter */\nDROP PROCEDURE IF EXISTS {first}_CLEAN_UP;\nDELIMITER $$\n\
             CREATE PROCEDURE {first}_CLEAN_UP ()\nBEGIN\n    DECLARE left_over INT DEFAULT 0; -- ; of the body\n    \
             SELECT COUNT(*) INTO left_over FROM {first}_COMMENT;\n    IF left_over > 0 THEN\n        \
             DELETE FROM {first}_COMMENT WHERE NAME = '$;';\n    END IF;\nEND$$\nDELIMITER ;\n\
             ALTER TABLE {first}_COMMENT ADD COLUMN LATE VARCHAR(10) DEFAULT ';';\n"
        ),
        "postgresql" => format!(
            "BEGIN TRANSACTION;\nCREATE SEQUENCE {first}_SEQUENCE START WITH 1 INCREMENT BY 1;\nCOMMIT;\n\
             CREATE OR REPLACE FUNCTION {first}_TOUCH() RETURNS TRIGGER AS $touch$\nBEGIN\n    NEW.NAME := 'touched; $';\n    \
             RETURN NEW;\nEND;\n$touch$ LANGUAGE plpgsql;\n\
             CREATE TRIGGER {first}_TOUCHED BEFORE UPDATE ON {first}_COMMENT FOR EACH ROW EXECUTE PROCEDURE {first}_TOUCH();\n\
             ALTER TABLE {first}_COMMENT ADD COLUMN LATE VARCHAR(10) DEFAULT ';';\n"
        ),
        _ => String::new(),
    });
}
