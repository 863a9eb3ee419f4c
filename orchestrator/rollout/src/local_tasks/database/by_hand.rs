//! Statements and scripts for an administrator of a database server on which apim-deploy creates
//! nothing. Passwords are omitted.

use apim_product::settings::databases::{Creation, Database, DatabaseType, Databases};
use apim_product::work::Login;
use apim_product::{Cluster, Node};

use super::{mysql, postgres};

/// Placeholder for passwords.
const PASSWORD: &str = "'CHANGE-ME'";

/// Returns the text for the databases of `cluster`; `None` if its nodes use embedded databases.
#[must_use]
pub fn text(cluster: &Cluster) -> Option<String> {
    let node = cluster.nodes().iter().find(|node| node.role.is_hub()).or(cluster.nodes().first())?;
    let databases = node.settings.databases.as_ref()?;
    let mut text = Text(String::new());
    text.line(&format!(
        "-- {} on {}:{}, for API Manager {}",
        databases.kind, databases.host, databases.port, node.version
    ));
    text.line(
        "-- 1. Run as an administrator of the server. Replace CHANGE-ME with the passwords of the inventory.",
    );
    for database in [&databases.shared_db, &databases.apim_db] {
        text.line("");
        for statement in statements(databases, database) {
            text.line(&statement);
        }
    }
    text.line("");
    scripts(&mut text, databases, node);
    Some(text.0)
}

struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

fn statements(databases: &Databases, database: &Database) -> Vec<String> {
    let Database { name, username, .. } = database;
    let login =
        Login { database: name.clone(), username: username.clone(), password: database.password.clone() };
    let ended = |statement: String| format!("{statement};");
    match databases.kind {
        DatabaseType::Mysql | DatabaseType::Mariadb => {
            mysql::statements(&login, &creation(databases, "latin1", Some("latin1_bin")), PASSWORD)
                .into_iter()
                .map(ended)
                .collect()
        }
        DatabaseType::Postgresql => vec![
            ended(postgres::user_statement(&login, "CHANGE-ME")),
            ended(postgres::database_statement(&login, &creation(databases, "UTF8", None))),
            format!("\\connect \"{name}\""),
            format!("GRANT ALL ON SCHEMA public TO \"{username}\";"),
        ],
        // Row versioning, so that readers do not block writers (the product's documentation,
        // "changing to MSSQL").
        DatabaseType::Mssql => vec![
            format!("CREATE DATABASE [{name}];"),
            format!("ALTER DATABASE [{name}] SET READ_COMMITTED_SNAPSHOT ON;"),
            format!("CREATE LOGIN [{username}] WITH PASSWORD = {PASSWORD}, DEFAULT_DATABASE = [{name}];"),
            "GO".to_owned(),
            format!("USE [{name}];"),
            format!("CREATE USER [{username}] FOR LOGIN [{username}];"),
            format!("ALTER ROLE db_owner ADD MEMBER [{username}];"),
            "GO".to_owned(),
        ],
        // In Oracle, a user is a schema; the SID or service exists already.
        DatabaseType::Oracle => vec![
            format!("-- in the database {name}:"),
            format!("CREATE USER {username} IDENTIFIED BY \"CHANGE-ME\" ACCOUNT UNLOCK;"),
            format!("GRANT CONNECT, RESOURCE TO {username};"),
            format!(
                "GRANT CREATE SESSION, CREATE TABLE, CREATE SEQUENCE, CREATE TRIGGER, CREATE PROCEDURE TO {username};"
            ),
            format!("ALTER USER {username} QUOTA UNLIMITED ON USERS;"),
        ],
        DatabaseType::Db2 => vec![
            format!("-- {username} is an account of the server's operating system"),
            format!(
                "CREATE DATABASE {name} AUTOMATIC STORAGE YES USING CODESET UTF-8 TERRITORY US PAGESIZE 32 K"
            ),
            format!("CONNECT TO {name}"),
            format!("GRANT DBADM ON DATABASE TO USER {username}"),
        ],
    }
}

/// Returns how to create databases: as set in the inventory, or with the product's defaults.
fn creation(databases: &Databases, charset: &str, collation: Option<&str>) -> Creation {
    databases.create.clone().unwrap_or_else(|| Creation {
        admin: None,
        charset: charset.to_owned(),
        collation: collation.map(str::to_owned),
        user_hosts: vec!["%".to_owned()],
    })
}

fn scripts(text: &mut Text, databases: &Databases, node: &Node) {
    text.line(&format!(
        "-- 2. Run once as each database's own user, with the scripts from {}:",
        node.version.zip(node.role)
    ));
    let script = databases.kind.script();
    for (folder, database) in [("", &databases.shared_db), ("apimgt/", &databases.apim_db)] {
        let file = format!("dbscripts/{folder}{script}.sql");
        let (host, port) = (&databases.host, databases.port);
        let Database { name, username, .. } = database;
        let command = match databases.kind {
            DatabaseType::Mysql | DatabaseType::Mariadb => {
                format!("mysql -h {host} -P {port} -u {username} -p {name} < {file}")
            }
            DatabaseType::Postgresql => format!("psql -h {host} -p {port} -U {username} -d {name} -f {file}"),
            DatabaseType::Mssql => format!("sqlcmd -S {host},{port} -U {username} -d {name} -i {file}"),
            DatabaseType::Oracle if databases.oracle_service => {
                format!("sqlplus {username}@//{host}:{port}/{name} @{file}")
            }
            DatabaseType::Oracle => format!("sqlplus {username}@{name} @{file}"),
            DatabaseType::Db2 => format!("db2 connect to {name} user {username}; db2 -td/ -vf {file}"),
        };
        text.line(&format!("--    {command}"));
    }
    if databases.kind == DatabaseType::Oracle {
        text.line("--    (RAC and 23c have separate scripts: oracle_rac.sql, oracle_23c.sql)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apim_product::testing::{basics, cluster, hosts};

    #[test]
    fn statements_of_every_type_contain_no_password() {
        let mut shown = String::new();
        for kind in ["mysql", "postgresql", "mssql", "oracle", "db2"] {
            let inventory = basics("")
                .replace("type: mysql", &format!("type: {kind}"))
                .replace("password: apimadmin", "password: hush-apim")
                .replace("password: sharedadmin", "password: hush-shared")
                + &hosts(&["cp1 control_plane", "gw1 gateway"]);
            shown.push_str(&text(&cluster(&inventory)).unwrap());
            shown.push('\n');
        }
        assert!(shown.contains("apimadmin") && !shown.contains("hush-"), "{shown}");
        insta::assert_snapshot!(shown);
    }
}
