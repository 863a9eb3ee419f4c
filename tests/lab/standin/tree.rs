//! The files of a distribution: path below the top folder, mode, content. `archive` adds the server
//! program.
//!
//! Source of the layout: wso2/product-apim `assembly/bin.xml`, wso2/carbon-kernel `distribution/kernel/carbon-home`.

use super::archive;
use super::component::{Component, Version};
use super::deployment;
use super::schema;

/// A file, or an empty folder if the path ends in `/`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

macro_rules! asset {
    ($name:literal) => {
        include_str!(concat!("../../standin/files/", $name))
    };
}

/// All files except the server program, sorted by path.
pub(super) fn entries(component: Component, version: Version) -> Vec<Entry> {
    let mut tree = Tree(Vec::new());
    scripts(&mut tree, component, version);
    texts(&mut tree, component, version);
    configuration(&mut tree, component, version);
    databases(&mut tree, component, version);
    webapps(&mut tree, component);
    tree.0.sort_by(|a, b| a.path.cmp(&b.path));
    tree.0
}

struct Tree(Vec<Entry>);

impl Tree {
    fn add(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        let path = path.into();
        let mode = if path.ends_with(".sh") { 0o755 } else { 0o644 };
        self.0.push(Entry { path, mode, content: content.into() });
    }

    fn folder(&mut self, path: &str) {
        self.0.push(Entry { path: format!("{path}/"), mode: 0o755, content: Vec::new() });
    }
}

fn scripts(tree: &mut Tree, component: Component, version: Version) {
    let optimizes = component == Component::ControlPlane;
    let verb = if optimizes { asset!("bin/optimize-verb.sh") } else { "" };
    let step = if optimizes { asset!("bin/optimize-step.sh") } else { "" };
    for script in component.scripts() {
        let text = asset!("bin/start.sh")
            .replace("@SCRIPT@", script)
            .replace("@OPTIMIZE_VERB@", verb)
            .replace("@OPTIMIZE_STEP@", step);
        tree.add(format!("bin/{script}"), text);
        tree.add(
            format!("bin/{}", script.replace(".sh", ".bat")),
            "@rem The stand-in runs on Linux only.\r\n",
        );
    }
    if optimizes {
        tree.add("bin/profileSetup.sh", asset!("bin/profileSetup.sh"));
    }
    tree.add("bin/ciphertool.sh", asset!("bin/ciphertool.sh"));
    for script in ["bin/chpasswd.sh", "bin/fips.sh"] {
        tree.add(script, asset!("bin/note.sh"));
    }
    tree.add("bin/version.txt", format!("{} v{version}\n", component.product_name()));
    tree.add("bin/wso2carbon-version.txt", format!("WSO2 Carbon Framework v{}\n", version.kernel()));
    tree.add("diagnostics-tool/bin/diagnostics.sh", asset!("bin/diagnostics.sh"));
    tree.add("diagnostics-tool/conf/config.toml", "[server_configuration]\ndiagnostic_tool_enabled = true\n");
}

fn texts(tree: &mut Tree, component: Component, version: Version) {
    let name = component.product_name();
    tree.add("LICENSE.txt", "A stand-in distribution of apim-deploy's tests, Apache License 2.0. It holds no code of the product.\n");
    tree.add("README.txt", format!("Stand-in for {name} {version}: see tests/README.md of apim-deploy.\n"));
    tree.add("release-notes.html", format!("<html><body>{name} {version}, stand-in</body></html>\n"));
    tree.add("updates/product.txt", format!("{}\n", component.top_folder(version)));
    for folder in
        ["lib/endorsed", "lib/xboot", "lib/tomcat", "lib/runtimes", "lib/core/WEB-INF/lib", "modules", "tmp"]
    {
        tree.folder(folder);
    }
    for folder in ["dropins", "extensions", "patches", "lib", "plugins", "profiles"] {
        tree.folder(&format!("repository/components/{folder}"));
    }
    tree.folder("repository/logs");
    tree.folder("repository/tenants");
    let bundle = archive::jar(&[("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\nBundle-Version: 4.9.0\n")]);
    tree.add(format!("repository/components/plugins/org.wso2.carbon.core_{}.jar", version.kernel()), bundle);
}

fn configuration(tree: &mut Tree, component: Component, version: Version) {
    let shipped = deployment::shipped(component, version);
    tree.add("repository/conf/deployment.toml", shipped);
    tree.add("repository/conf/log4j2.properties", asset!("log4j2.properties"));
    tree.add("repository/conf/carbon.properties", format!("carbon.version={}\n", version.kernel()));
    tree.add("repository/conf/carbon.xml", "<Server/>\n");
    for name in ["default", "infer", "key-mappings", "validator", "unit-resolve"] {
        tree.add(format!("repository/resources/conf/{name}.json"), "{}\n");
    }
    let templates = "repository/resources/conf/templates/repository/conf";
    tree.add(format!("{templates}/carbon.xml.j2"), asset!("carbon.xml.j2"));
    for name in ["axis2", "tenant-axis2"] {
        tree.add(format!("{templates}/axis2/{name}.xml.j2"), format!("<axisconfig name=\"{name}\"/>\n"));
    }
    if component == Component::ControlPlane {
        for name in ["axis2", "tenant-axis2"] {
            tree.add(
                format!("{templates}/axis2/{name}_KM.xml.j2"),
                format!("<axisconfig name=\"{name} of a key manager\"/>\n"),
            );
        }
        tree.add(
            "repository/conf/axis2/axis2_blocking_client.xml",
            "<axisconfig name=\"blocking client\"/>\n",
        );
        tree.add(
            format!("{templates}/axis2/axis2_blocking_client.xml.j2"),
            "<axisconfig name=\"blocking client\"/>\n",
        );
        let profile = deployment::key_manager(version);
        tree.add("repository/resources/conf/deployment-templates/key-manager.toml", profile);
    }
    let (keys, trust): (&[u8], &[u8]) = match version {
        Version::V4_5_0 => (
            include_bytes!("../../standin/keystores/wso2carbon-4.5.jks"),
            include_bytes!("../../standin/keystores/client-truststore-4.5.jks"),
        ),
        Version::V4_6_0 => (
            include_bytes!("../../standin/keystores/wso2carbon-4.6.jks"),
            include_bytes!("../../standin/keystores/client-truststore-4.6.jks"),
        ),
    };
    tree.add("repository/resources/security/wso2carbon.jks", keys);
    tree.add("repository/resources/security/client-truststore.jks", trust);
}

fn databases(tree: &mut Tree, component: Component, version: Version) {
    for (path, text) in schema::scripts(version) {
        tree.add(path, text);
    }
    let files: &[&str] = match component {
        Component::ControlPlane | Component::AllInOne => {
            &["WSO2AM_DB", "WSO2SHARED_DB", "WSO2CARBON_DB", "WSO2MB_DB", "WSO2METRICS_DB"]
        }
        Component::TrafficManager => &["WSO2AM_DB", "WSO2SHARED_DB", "WSO2CARBON_DB", "WSO2MB_DB"],
        Component::Gateway => &["WSO2SHARED_DB", "WSO2CARBON_DB", "WSO2METRICS_DB"],
    };
    for name in files {
        tree.add(format!("repository/database/{name}.mv.db"), "H:2,block:2,chunk:1,format:2,stand-in\n");
    }
}

fn webapps(tree: &mut Tree, component: Component) {
    const PORTALS: [&str; 3] = ["publisher", "devportal", "admin"];
    const LOGIN: [&str; 2] = ["authenticationendpoint", "accountrecoveryendpoint"];
    const CONTROL: [&str; 13] = [
        "internal#data#v1.war",
        "oauth2.war",
        "keymanager-operations.war",
        "client-registration#v0.17.war",
        "api#am#publisher#v4.war",
        "api#am#devportal#v3.war",
        "api#am#admin#v4.war",
        "api#am#service-catalog#v1.war",
        "api#identity#consent-mgt#v1.0.war",
        "api#identity#recovery#v0.9.war",
        "api#identity#user#v1.0.war",
        "api#identity#oauth2#dcr#v1.1.war",
        "api#identity#oauth2#v1.0.war",
    ];
    const GATEWAY: &str = "api#am#gateway#v2.war";
    let (folders, wars): (Vec<&str>, Vec<&str>) = match component {
        Component::ControlPlane => ([&PORTALS[..], &LOGIN].concat(), CONTROL.to_vec()),
        Component::Gateway => (Vec::new(), vec![GATEWAY]),
        Component::TrafficManager => (Vec::new(), Vec::new()),
        Component::AllInOne => ([&PORTALS[..], &LOGIN].concat(), [&CONTROL[..], &[GATEWAY]].concat()),
    };
    let server = "repository/deployment/server";
    tree.folder(&format!("{server}/webapps"));
    for folder in folders {
        tree.add(
            format!("{server}/webapps/{folder}/index.html"),
            format!("<html><body>{folder}, stand-in</body></html>\n"),
        );
    }
    for war in wars {
        tree.add(format!("{server}/webapps/{war}"), archive::jar(&[("WEB-INF/web.xml", b"<web-app/>\n")]));
    }
    for folder in ["eventpublishers", "eventreceivers", "eventstreams", "executionplans"] {
        tree.folder(&format!("{server}/{folder}"));
    }
    if matches!(component, Component::Gateway | Component::AllInOne) {
        let synapse = format!("{server}/synapse-configs/default");
        tree.add(format!("{synapse}/synapse.xml"), "<definitions/>\n");
        for name in ["WebSocketInboundEndpoint", "SecureWebSocketInboundEndpoint"] {
            tree.add(
                format!("{synapse}/inbound-endpoints/{name}.xml"),
                format!("<inboundEndpoint name=\"{name}\"/>\n"),
            );
        }
    }
}
