//! The files that are rendered from `deployment.toml` at every start, which overwrites manual edits.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::log::console;
use crate::node::Node;

const METADATA: &str = "repository/resources/conf/.metadata/metadata_config.properties";
const PARSER: &str = "org.wso2.config.mapper.ConfigParser";

/// Renders the files, with the console lines of the product.
pub(crate) fn render(node: &Node) -> io::Result<()> {
    let home = &node.home;
    let rendered = files(node);
    let source = fs::read(home.join("repository/conf/deployment.toml")).unwrap_or_default();
    let mut metadata = format!("deployment.toml={}\n", digest(&source));
    for (path, text) in &rendered {
        metadata.push_str(&format!("{path}={}\n", digest(text.as_bytes())));
    }
    let before = fs::read_to_string(home.join(METADATA)).unwrap_or_default();
    if before.is_empty() {
        console(&format!("{{{PARSER}}} - Initializing configurations with deployment configurations"));
    } else {
        let changed: Vec<&str> =
            before.lines().filter_map(|line| changed_since(home, &source, line)).collect();
        if changed.is_empty() && before == metadata {
            return Ok(());
        }
        for path in changed {
            console(&format!("{{{PARSER}}} - Configurations Changed in :{}/{path}", home.display()));
        }
        console(&format!("{{{PARSER}}} - Overriding files in configuration directory {}", home.display()));
    }
    for (path, text) in &rendered {
        let target = home.join(path);
        if target.exists() {
            let kept = home.join("backup").join(path);
            make_parent(&kept)?;
            fs::copy(&target, kept)?;
        }
        make_parent(&target)?;
        fs::write(target, text)?;
    }
    make_parent(&home.join(METADATA))?;
    fs::write(home.join(METADATA), metadata)
}

fn changed_since<'a>(home: &Path, source: &[u8], line: &'a str) -> Option<&'a str> {
    let (path, hash) = line.split_once('=')?;
    let now = if path == "deployment.toml" {
        digest(source)
    } else {
        digest(&fs::read(home.join(path)).unwrap_or_default())
    };
    (now != hash).then_some(path)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

/// Contain passwords in plain text, as in the product, unless the configuration has them as secrets.
fn files(node: &Node) -> Vec<(&'static str, String)> {
    let get = |key: &str| node.config.raw(key).unwrap_or_default();
    let source = |id: &str| {
        let get = |key: &str| get(&format!("database.{id}.{key}"));
        format!(
            "<datasource><name>{id}</name><url>{}</url><username>{}</username><password>{}</password></datasource>\n",
            if get("url").is_empty() {
                format!("jdbc:{}://{}:{}/{}", get("type"), get("hostname"), get("port"), get("name"))
            } else {
                get("url")
            },
            get("username"),
            get("password"),
        )
    };
    vec![
        (
            "repository/conf/carbon.xml",
            format!(
                "<Server><Name>{}</Name><Version>{}</Version><HostName>{}</HostName><Ports><Offset>{}</Offset></Ports></Server>\n",
                node.product.name,
                node.product.version,
                get("server.hostname"),
                get("server.offset")
            ),
        ),
        (
            "repository/conf/datasources/master-datasources.xml",
            format!(
                "<datasources-configuration>\n{}{}</datasources-configuration>\n",
                source("apim_db"),
                source("shared_db")
            ),
        ),
        (
            "repository/conf/user-mgt.xml",
            format!(
                "<UserManager><AdminUser><UserName>{}</UserName><Password>{}</Password></AdminUser></UserManager>\n",
                get("super_admin.username"),
                get("super_admin.password")
            ),
        ),
        (
            "repository/conf/tomcat/catalina-server.xml",
            format!(
                "<Server><Connector port=\"{}\" keystore=\"{}\"/></Server>\n",
                node.https_port(),
                get("keystore.tls.file_name")
            ),
        ),
    ]
}
