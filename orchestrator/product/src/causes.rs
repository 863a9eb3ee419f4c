//! Maps the product's log lines to the cause of a failed start, with a hint.
//!
//! The most specific rows come first, because one failed database causes a dozen later errors.
//! Sources: carbon-kernel, carbon-apimgt and config-mapper at the release tags, and the issues
//! cited at the rows.

use apim_protocol::operation::wait::Cause;

/// After this line a gateway, key manager or traffic manager of 4.5.0 receives no more events
/// (wso2/api-manager issue 4054).
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
        hint: "give the role a larger `heap`; check repository/logs/heap-dump.hprof for a heap dump",
        fatal: true,
    },
    Row {
        pattern: r"Error parsing deployment configuration|Error while performing configuration changes",
        cause: "deployment.toml cannot be read",
        hint: "check the `config:` entries for duplicate keys or values of the wrong type",
        fatal: true,
    },
    Row {
        pattern: r"References can't be resolved for|Configuration with key .* doesn't exist",
        cause: "deployment.toml refers to a key that does not exist",
        hint: "check `$ref{…}` in `config:`",
        fatal: true,
    },
    Row {
        pattern: r"Environment variable .* not defined in system|Error while retrieving .* system property",
        cause: "deployment.toml refers to an environment variable or property that is not set",
        hint: "check `$env{…}` and `$sys{…}` in `config:`; for secrets use `!env` in the inventory instead",
        fatal: true,
    },
    Row {
        pattern: r"Secret references can't be",
        cause: "deployment.toml refers to a secret that is unknown to the cipher tool",
        hint: "set the secret in the inventory instead",
        fatal: true,
    },
    Row {
        pattern: r"Validation failed for .* Expected value to match",
        cause: "deployment.toml contains a value that the product rejects",
        hint: "the log line names the key; check it in `config:`",
        fatal: true,
    },
    Row {
        pattern: r"JAVA_HOME is not defined correctly|You must set the JAVA_HOME variable",
        cause: "no JDK at JAVA_HOME",
        hint: "compare `apim.java` with the JDKs on the host",
        fatal: true,
    },
    Row {
        pattern: r"CARBON is supported only between JDK",
        cause: "this version does not support the JDK",
        hint: "4.5 and 4.6 need JDK 11 to 21, 4.7 needs 21 to 25: check `apim.java`",
        fatal: false,
    },
    Row {
        pattern: r"ClassNotFoundException: (com\.mysql|org\.mariadb|org\.postgresql|com\.microsoft\.sqlserver|oracle\.jdbc|com\.ibm\.db2)",
        cause: "the JDBC driver is missing",
        hint: "set `apim.databases.driver`: the product ships only the H2 driver",
        fatal: true,
    },
    Row {
        pattern: r"Access denied for user|password authentication failed for user|Login failed for user|ORA-01017",
        cause: "the database rejects the username or password",
        hint: "check username and password in `apim.databases`, and the hosts that the user may log in from",
        fatal: true,
    },
    Row {
        pattern: r"Unknown database|database .* does not exist|Cannot open database",
        cause: "the database does not exist on the server",
        hint: "create the databases and run the distribution's dbscripts before the first start",
        fatal: true,
    },
    Row {
        pattern: r"Table '.*' doesn't exist|relation .* does not exist|Invalid object name|ORA-00942",
        cause: "the database does not contain the product's schema",
        hint: "run dbscripts/TYPE.sql on shared_db and dbscripts/apimgt/TYPE.sql on apim_db",
        fatal: true,
    },
    Row {
        pattern: r"Communications link failure|Connection to .* refused\. Check that the hostname|The TCP/IP connection to the host .* has failed|Socket fail to connect to host|IO Error: The Network Adapter could not establish",
        cause: "the database server is unreachable",
        hint: "check that it is running, that its name resolves on this host, and that no firewall blocks its port",
        fatal: true,
    },
    Row {
        pattern: r"AEADBadTagException",
        cause: "the encryption key is not the one used to encrypt the data",
        hint: "every node needs the same `apim.encryption_key`, and it must never change",
        fatal: true,
    },
    Row {
        pattern: r"Keystore was tampered with, or password was incorrect|keystore password was incorrect",
        cause: "the password of a keystore is wrong",
        hint: "check the passwords in `apim.keystores` (`keytool -list -keystore FILE`)",
        fatal: true,
    },
    Row {
        pattern: r"Cannot recover key|UnrecoverableKeyException",
        cause: "the key password or the alias is wrong",
        hint: "keystore and key must have the same password; also check `alias`",
        fatal: true,
    },
    Row {
        pattern: r"KeyStore File .* not found|(?:wso2carbon|client-truststore|\w+)\.(?:jks|p12|pfx) \(No such file or directory\)",
        cause: "a keystore file is missing",
        hint: "check the registry resource `/_system/config/repository/esb/inbound` for an old file name",
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
        cause: "another process uses the port",
        hint: "find the process with `ss -ltnp` and stop it, or set `port_offset` for this node",
        fatal: true,
    },
    Row {
        pattern: LISTENER_DEATH,
        cause: "the event listener failed at start because a broker was unreachable, and it does not reconnect (bug in 4.5.0)",
        hint: "restart the node once control plane and traffic managers are running; fixed in 4.6.0 and later updates of 4.5.0",
        fatal: false,
    },
    Row {
        pattern: r"Database Error - |Cannot initialize the realm|Unable to connect to Data Source|Unable to get instance of the registry context",
        cause: "the shared database is unusable and the server hangs",
        hint: "see the preceding log lines; fix the cause and restart the node",
        fatal: true,
    },
    Row {
        pattern: r"WSO2MBStoreDB|WSO2MB_STORE_DB",
        cause: "the broker's store is damaged",
        hint: "replace its H2 file in repository/database with the file from the distribution",
        fatal: false,
    },
    Row {
        pattern: r"wrong userName or password|Error while trying to login to data receiver",
        cause: "another node rejects the administrator's password",
        hint: "set `apim.admin` to the password in the user store",
        fatal: false,
    },
    Row {
        pattern: r"PKIX path building failed|certificate_unknown|unable to find valid certification path",
        cause: "a certificate is not trusted",
        hint: "the truststore must contain the issuers of all node certificates and of the load balancer's",
        fatal: false,
    },
    Row {
        pattern: r"No subject alternative names|No name matching .* found|doesn't match any of the subject alternative names",
        cause: "a certificate does not contain the host name that was used",
        hint: "its subject alternative names must include all names of the node, its endpoint and localhost",
        fatal: false,
    },
    Row {
        pattern: r"Failed to get IP address|UnknownHostException",
        cause: "a name does not resolve on this host",
        hint: "check /etc/hosts on the host and `apim.hosts_file` in the inventory",
        fatal: false,
    },
    Row {
        pattern: r"Unable to continue server startup as it seems the JMS Provider is not yet started|JMS Provider is not yet started|Connection attempt ?: ?\d+ for JMS Provider failed",
        cause: "a broker (port 5672 of a control plane or traffic manager) is unreachable",
        hint: "check that the node is running and that no firewall blocks port 5672 between the nodes",
        fatal: false,
    },
    Row {
        pattern: r"Cannot borrow client for|No receiver is reachable",
        cause: "a data receiver (ports 9611 and 9711 of a traffic manager or control plane) is unreachable",
        hint: "check that the node is running and that no firewall blocks ports 9611 and 9711 between the nodes",
        fatal: false,
    },
    Row {
        pattern: r"Unable to deploy synapse artifacts at gateway|Failed retrieving .* from remote endpoint",
        cause: "the control plane's service URL is unreachable",
        hint: "check that a control plane is running and reachable from this host by its endpoint's name and port",
        fatal: false,
    },
    Row {
        pattern: r"ArtifactSynchronizerException|Storage returned null",
        cause: "the gateway received its APIs but could not read them",
        hint: "check the control plane's log at the same time",
        fatal: false,
    },
    Row {
        pattern: r"Registered callback does not match",
        cause: "the URL of a portal differs from the one stored at the first start",
        hint: "the control plane's endpoint has changed since: correct the service provider's callback, or start with empty databases",
        fatal: false,
    },
    Row {
        pattern: r"Cannot start transports|Cannot initialize cluster|WSO2 Carbon initialization Failed",
        cause: "the server failed to start",
        hint: "see the preceding log lines",
        fatal: true,
    },
    Row {
        pattern: r"Waiting for required|Carbon initialization is delayed due to the following unsatisfied items",
        cause: "a server component waits for another one that did not start",
        hint: "see the preceding log lines for the failed component; one or two occurrences are normal on a slow host",
        fatal: false,
    },
];

/// Returns the catalogue in the agent's form.
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
