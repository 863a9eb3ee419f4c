//! Known failure lines have a cause; lines of a normal start have none.

use regex::Regex;

use super::*;

/// Returns the cause that the first matching row names for `line`.
fn cause_of(line: &str) -> Option<(&'static str, bool)> {
    ROWS.iter().find(|row| Regex::new(row.pattern).unwrap().is_match(line)).map(|row| (row.cause, row.fatal))
}

#[test]
fn known_failure_lines_have_a_cause() {
    let lines = [
        ("java.lang.OutOfMemoryError: Java heap space", "ran out of memory", true),
        ("Error parsing deployment configuration", "deployment.toml cannot be read", true),
        (
            "Caused by: java.sql.SQLException: Access denied for user 'sharedadmin'@'10.77.0.11' (using password: YES)",
            "rejects the username",
            true,
        ),
        (
            "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
            "database server is unreachable",
            true,
        ),
        ("java.lang.ClassNotFoundException: com.mysql.jdbc.Driver", "driver is missing", true),
        (
            "ERROR - DatabaseUtil Database Error - Cannot create PoolableConnectionFactory",
            "shared database is unusable",
            true,
        ),
        (
            "ERROR - Activator Cannot start User Manager Core bundle UserStoreException: Cannot initialize the realm.",
            "shared database",
            true,
        ),
        (
            "java.io.IOException: Keystore was tampered with, or password was incorrect",
            "password of a keystore is wrong",
            true,
        ),
        ("Caused by: java.net.BindException: Address already in use", "uses the port", true),
        (
            r#"java.lang.NullPointerException: Cannot invoke "Object.toString()" because "connection" is null at org.wso2.carbon.apimgt.common.jms.JMSListener.checkJMSConnection(JMSListener.java:158)"#,
            "event listener failed",
            false,
        ),
        ("javax.crypto.AEADBadTagException: Tag mismatch", "encryption key", true),
        ("Error: JAVA_HOME is not defined correctly.", "no JDK at JAVA_HOME", true),
        ("sun.security.validator.ValidatorException: PKIX path building failed", "not trusted", false),
        (
            "WARN - CarbonServerManager Carbon initialization is delayed due to the following unsatisfied items:",
            "waits for another",
            false,
        ),
        (
            "Unable to deploy synapse artifacts at gateway. Next retry in 30 seconds",
            "service URL is unreachable",
            false,
        ),
        ("Connection attempt : 3 for JMS Provider failed. Next retry in 80 seconds", "5672", false),
        ("Cannot borrow client for ssl://tm1:9711", "9611 and 9711", false),
        ("Registered callback does not match with the provided url", "URL of a portal", false),
        ("$ref: References can't be resolved for apim.x", "refers to a key", true),
        ("Environment variable DB_PASSWORD not defined in system", "environment variable", true),
    ];
    for (line, part, fatal) in lines {
        let (cause, is_fatal) = cause_of(line).unwrap_or_else(|| panic!("no cause for: {line}"));
        assert!(cause.contains(part), "{line}\n  was explained as: {cause}");
        assert_eq!(is_fatal, fatal, "{line}");
    }
}

#[test]
fn normal_start_lines_have_no_cause() {
    for line in [
        "TID: [-1234] [] [2026-05-29 10:48:55,007]  INFO {org.wso2.carbon.core.init.CarbonServerManager} - Repository       : /opt/wso2/gateway/repository/deployment/server/",
        "INFO - StartupFinalizerServiceComponent WSO2 Carbon started in 42 sec",
        "INFO - StartupFinalizerServiceComponent Server           :  WSO2 Universal Gateway-4.6.0",
        "INFO - PassThroughListeningIOReactorManager Pass-through HTTP Listener started on 0.0.0.0:8280",
        "INFO - JMSListener Connection attempt: 1 for JMS Provider for listener: Siddhi-JMS-Consumer#notification was successful!",
        "INFO - DBRetriever No artifacts available to deploy",
        "WARN - ... CARBON is using the default keystore (wso2carbon.jks)",
        "Initializing configurations with deployment configurations",
        "INFO - CarbonCoreActivator Java Home        : /opt/java",
    ] {
        assert_eq!(cause_of(line), None, "{line}");
    }
}

#[test]
fn every_row_has_a_hint() {
    for row in ROWS {
        assert!(Regex::new(row.pattern).is_ok(), "{}", row.pattern);
        assert!(!row.cause.is_empty() && !row.hint.is_empty(), "{}", row.pattern);
    }
}
