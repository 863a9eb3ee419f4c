//! The logs of a node: their names for people, and their files.

use apim_protocol::query::follow::Log;
use apim_protocol::value::AbsPath;

use super::topology::Node;

/// Name and file of each log; a `*` stands for a date (wso2/product-apim, `log4j2.properties`; the access log is Tomcat's).
const LOGS: [(&str, &str); 10] = [
    ("carbon", "wso2carbon.log"),
    ("errors", "wso2-apigw-errors.log"),
    ("audit", "audit.log"),
    ("http_access", "http_access_*.log"),
    ("api", "api.log"),
    ("correlation", "correlation.log"),
    ("service", "wso2-apigw-service.log"),
    ("trace", "wso2-apigw-trace.log"),
    ("metrics", "apim_metrics.log"),
    ("bots", "wso2-BotDetectedData.log"),
];

/// What systemd's journal has of the unit: what the server printed.
pub const UNIT: &str = "unit";

/// Returns the names of all logs.
pub fn names() -> impl Iterator<Item = &'static str> {
    LOGS.iter().map(|(name, _)| *name).chain([UNIT])
}

/// Says whether there may be a log of this name: one of ours, or a file's name that ends with `.log`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_file = name.ends_with(".log") && !name.contains(['/', '*']) && !name.starts_with('.');
    is_file || names().any(|known| known == name)
}

/// Returns the log of `node` that is called `name`.
#[must_use]
pub fn log(node: &Node, name: &str) -> Log {
    if name == UNIT {
        return Log::Journal(node.unit.clone());
    }
    let folder: AbsPath = node.home.log.parent();
    // The folder of the release in use: while one is being replaced, the wished one has no log yet.
    let folder = folder
        .as_str()
        .strip_prefix(node.home.release.as_str())
        .and_then(|rest| node.home.current.join(rest.trim_start_matches('/')).ok())
        .unwrap_or(folder);
    let file = LOGS.iter().find(|(known, _)| *known == name).map_or(name, |(_, file)| file);
    Log::File { folder, name: file.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apim::testing;

    #[test]
    fn logs_are_those_of_the_release_in_use() {
        let cluster = testing::cluster(testing::SINGLE);
        let node = &cluster.nodes()[0];
        let Log::File { folder, name } = log(node, "audit") else { panic!() };
        assert_eq!(name, "audit.log");
        assert_eq!(folder.to_string(), format!("{}/repository/logs", node.home.current));
        assert_eq!(log(node, "unit"), Log::Journal(node.unit.clone()));
        assert!(is_name("carbon") && is_name("own.log") && !is_name("../x.log") && !is_name("carbn"));
    }
}
