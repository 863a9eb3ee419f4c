//! What the product's log lines mean when a node does not become healthy: the first cause in plain words, and what to do.
//!
//! Most telling first: a database that is down is followed by a dozen errors of those who needed it. Sources: carbon-kernel,
//! carbon-apimgt and config-mapper at the releases' tags, and the issue threads named beside the rows.

use apim_protocol::operation::wait::Cause;

/// The line after which a gateway, key manager or traffic manager of 4.5.0 never hears of events again (wso2/api-manager issue 4054).
pub const LISTENER_DEATH: &str =
    r#"NullPointerException: Cannot invoke "Object\.toString\(\)" because "connection" is null"#;

struct Row {
    pattern: &'static str,
    cause: &'static str,
    hint: &'static str,
    fatal: bool,
}

const ROWS: &[Row] = &[
    Row {
        pattern: r"java\.lang\.OutOfMemoryError",
        cause: "the JVM ran out of memory",
        hint: "give the role a larger `heap`; a dump may lie in repository/logs/heap-dump.hprof",
        fatal: true,
    },
    Row {
        pattern: r"Error parsing deployment configuration|Error while performing configuration changes",
        cause: "deployment.toml cannot be read",
        hint: "look for what `config:` adds: a key twice, or a value of the wrong kind",
        fatal: true,
    },
    Row {
        pattern: r"References can't be resolved for|Configuration with key .* doesn't exist",
        cause: "deployment.toml refers to a key that is not there",
        hint: "look for `$ref{…}` in `config:`",
        fatal: true,
    },
    Row {
        pattern: r"Environment variable .* not defined in system|Error while retrieving .* system property",
        cause: "deployment.toml refers to an environment variable or property that is not set",
        hint: "look for `$env{…}` and `$sys{…}` in `config:`; give secrets as `!env` in the inventory instead",
        fatal: true,
    },
    Row {
        pattern: r"Secret references can't be",
        cause: "deployment.toml refers to a secret that the cipher tool does not hold",
        hint: "give the secret in the inventory instead",
        fatal: true,
    },
    Row {
        pattern: r"Validation failed for .* Expected value to match",
        cause: "deployment.toml holds a value that the product refuses",
        hint: "the line names the key; look for it in `config:`",
        fatal: true,
    },
    Row {
        pattern: r"JAVA_HOME is not defined correctly|You must set the JAVA_HOME variable",
        cause: "there is no JDK at JAVA_HOME",
        hint: "check `apim.java` against the host",
        fatal: true,
    },
    Row {
        pattern: r"CARBON is supported only between JDK",
        cause: "the JDK is not one that this version supports",
        hint: "4.5 and 4.6 take JDK 11 to 21, 4.7 takes 21 to 25: check `apim.java`",
        fatal: false,
    },
    Row {
        pattern: r"ClassNotFoundException: (com\.mysql|org\.mariadb|org\.postgresql|com\.microsoft\.sqlserver|oracle\.jdbc|com\.ibm\.db2)",
        cause: "the JDBC driver is missing",
        hint: "set `apim.databases.driver`: the product ships none but H2's",
        fatal: true,
    },
    Row {
        pattern: r"Access denied for user|password authentication failed for user|Login failed for user|ORA-01017",
        cause: "the database refuses the user or its password",
        hint: "check username and password under `apim.databases`, and from which hosts the user may log in",
        fatal: true,
    },
    Row {
        pattern: r"Unknown database|database .* does not exist|Cannot open database",
        cause: "the database does not exist on the server",
        hint: "make the databases, and run the distribution's dbscripts, before the first start",
        fatal: true,
    },
    Row {
        pattern: r"Table '.*' doesn't exist|relation .* does not exist|Invalid object name|ORA-00942",
        cause: "the database holds no schema of this product",
        hint: "run dbscripts/TYPE.sql on shared_db and dbscripts/apimgt/TYPE.sql on apim_db",
        fatal: true,
    },
    Row {
        pattern: r"Communications link failure|Connection to .* refused\. Check that the hostname|The TCP/IP connection to the host .* has failed|Socket fail to connect to host|IO Error: The Network Adapter could not establish",
        cause: "the database server does not answer",
        hint: "check that it runs, that its name resolves on this host, and that no firewall stands between",
        fatal: true,
    },
    Row {
        pattern: r"AEADBadTagException",
        cause: "the encryption key is not the one that the data was encrypted with",
        hint: "every node needs the same `apim.encryption_key`, for ever",
        fatal: true,
    },
    Row {
        pattern: r"Keystore was tampered with, or password was incorrect|keystore password was incorrect",
        cause: "a keystore does not open with its password",
        hint: "check the passwords under `apim.keystores` (`keytool -list -keystore FILE`)",
        fatal: true,
    },
    Row {
        pattern: r"Cannot recover key|UnrecoverableKeyException",
        cause: "the key in the keystore does not open with its password, or the alias is wrong",
        hint: "the product needs one password for keystore and key; check `alias` as well",
        fatal: true,
    },
    Row {
        pattern: r"KeyStore File .* not found|(?:wso2carbon|client-truststore|\w+)\.(?:jks|p12|pfx) \(No such file or directory\)",
        cause: "a keystore file is not there",
        hint: "a registry resource may still name an old file: `/_system/config/repository/esb/inbound`",
        fatal: true,
    },
    Row {
        pattern: r"Wrong key usage",
        cause: "the certificate's key usage forbids encryption",
        hint: "primary and internal keystore need Key Encipherment and Data Encipherment",
        fatal: false,
    },
    Row {
        pattern: r"Address already in use",
        cause: "a port is taken by another process",
        hint: "`ss -ltnp` names it; stop it, or give this node a `port_offset`",
        fatal: true,
    },
    Row {
        pattern: LISTENER_DEATH,
        cause: "the listener for events ended at start, because a broker could not be reached then; it never tries again (a fault of 4.5.0)",
        hint: "a restart heals it once the control plane and the traffic managers run; 4.6.0 and later updates of 4.5.0 have the repair",
        fatal: false,
    },
    Row {
        pattern: r"Database Error - |Cannot initialize the realm|Unable to connect to Data Source|Unable to get instance of the registry context",
        cause: "the shared database cannot be used, and the server now waits for ever",
        hint: "the lines before say why; after it is repaired the node needs a restart",
        fatal: true,
    },
    Row {
        pattern: r"WSO2MBStoreDB|WSO2MB_STORE_DB",
        cause: "the broker's own store is damaged",
        hint: "replace its H2 file in repository/database by the distribution's",
        fatal: false,
    },
    Row {
        pattern: r"wrong userName or password|Error while trying to login to data receiver",
        cause: "another node refuses the administrator's password",
        hint: "it was changed in the user store: write the same one under `apim.admin`",
        fatal: false,
    },
    Row {
        pattern: r"PKIX path building failed|certificate_unknown|unable to find valid certification path",
        cause: "a certificate is not trusted",
        hint: "the truststore must hold the issuer of every node's and of the load balancer's certificate",
        fatal: false,
    },
    Row {
        pattern: r"No subject alternative names|No name matching .* found|doesn't match any of the subject alternative names",
        cause: "a certificate does not name the host under which it was reached",
        hint: "it needs every name of the node, its endpoint and localhost as subject alternative names",
        fatal: false,
    },
    Row {
        pattern: r"Failed to get IP address|UnknownHostException",
        cause: "a name does not resolve on this host",
        hint: "see /etc/hosts on it, and `apim.hosts_file` in the inventory",
        fatal: false,
    },
    Row {
        pattern: r"Unable to continue server startup as it seems the JMS Provider is not yet started|JMS Provider is not yet started|Connection attempt ?: ?\d+ for JMS Provider failed",
        cause: "a broker (port 5672 of a control plane or traffic manager) cannot be reached",
        hint: "check that the node runs and that no firewall closes 5672 between the nodes",
        fatal: false,
    },
    Row {
        pattern: r"Cannot borrow client for|No receiver is reachable",
        cause: "a data receiver (ports 9611 and 9711 of a traffic manager or control plane) cannot be reached",
        hint: "check that the node runs and that no firewall closes 9611 and 9711 between the nodes",
        fatal: false,
    },
    Row {
        pattern: r"Unable to deploy synapse artifacts at gateway|Failed retrieving .* from remote endpoint",
        cause: "the control plane's service URL does not answer",
        hint: "check that a control plane runs, and that its endpoint's name and port lead to it from this host",
        fatal: false,
    },
    Row {
        pattern: r"ArtifactSynchronizerException|Storage returned null",
        cause: "the gateway got its APIs but could not read them",
        hint: "look at the control plane's log for the same moment",
        fatal: false,
    },
    Row {
        pattern: r"Registered callback does not match",
        cause: "a portal's address is not the one stored at the very first start",
        hint: "the control plane's endpoint was another then: correct the callback of the service provider, or start on empty databases",
        fatal: false,
    },
    Row {
        pattern: r"Cannot start transports|Cannot initialize cluster|WSO2 Carbon initialization Failed",
        cause: "the server gave up starting",
        hint: "the lines before say why",
        fatal: true,
    },
    Row {
        pattern: r"Waiting for required|Carbon initialization is delayed due to the following unsatisfied items",
        cause: "a part of the server waits for another that never came",
        hint: "the lines before say which part failed; once or twice is normal on a slow host",
        fatal: false,
    },
];

/// Returns the catalogue as waits take it.
#[must_use]
pub fn causes() -> Vec<Cause> {
    ROWS.iter()
        .map(|row| Cause {
            pattern: row.pattern.to_owned(),
            cause: row.cause.to_owned(),
            hint: row.hint.to_owned(),
            fatal: row.fatal,
        })
        .collect()
}

#[cfg(test)]
mod tests;
