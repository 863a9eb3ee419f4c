//! The archives: reproducible, with the names, modes and keystores of the product.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use apim_tests::standin::{self, Build, Component, Version};

fn build(out: &Path, size: Option<u64>) -> Vec<standin::Built> {
    let all = Build::all(out).expect("the server program");
    let options =
        Build { versions: vec![Version::V4_6_0], components: vec![Component::ControlPlane], size, ..all };
    standin::build(&options).expect("it builds")
}

#[test]
fn equal_options_give_equal_bytes() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let sums = |folder: &Path| {
        build(folder, Some(10 << 20));
        fs::read_to_string(folder.join("SHA256SUMS")).expect("the sums")
    };
    assert_eq!(sums(one.path()), sums(two.path()));
    let length = fs::metadata(one.path().join("wso2am-acp-4.6.0.zip")).expect("the zip").len();
    assert!((10 << 20..11 << 20).contains(&length), "padded to {length}");
}

#[test]
fn scripts_are_executable_and_all_files_in_top_folder() {
    let out = tempfile::tempdir().expect("a folder");
    build(out.path(), None);
    let file = File::open(out.path().join("wso2am-acp-4.6.0.zip")).expect("the zip");
    let mut zip = zip::ZipArchive::new(file).expect("a zip");
    for index in 0..zip.len() {
        let entry = zip.by_index(index).expect("an entry");
        let name = entry.name().expect("a readable name").into_owned();
        assert!(name.starts_with("wso2am-acp-4.6.0/"), "{name}");
        let executable = name.ends_with(".sh") || name.ends_with('/') || name.ends_with("/stand-in/java");
        let mode = entry.unix_mode().expect("a mode") & 0o777;
        assert_eq!(mode, if executable { 0o755 } else { 0o644 }, "{name}");
    }
    let mut text = String::new();
    let path = "wso2am-acp-4.6.0/bin/version.txt";
    zip.by_name(path).expect("the version").read_to_string(&mut text).expect("text");
    assert_eq!(text, "WSO2 API Control Plane v4.6.0\n");
}

#[test]
fn keystores_are_jks_with_aliases_of_product() {
    let stores = [
        (&include_bytes!("../keystores/wso2carbon-4.5.jks")[..], &["wso2carbon"][..]),
        (&include_bytes!("../keystores/wso2carbon-4.6.jks")[..], &["wso2carbon"][..]),
        (
            &include_bytes!("../keystores/client-truststore-4.5.jks")[..],
            &["gateway_certificate_alias", "wso2carbon"][..],
        ),
        (
            &include_bytes!("../keystores/client-truststore-4.6.jks")[..],
            &["gateway_certificate_alias", "wso2carbon"][..],
        ),
    ];
    for (bytes, aliases) in stores {
        assert!(bytes.starts_with(&[0xfe, 0xed, 0xfe, 0xed]));
        let mut store = jks::KeyStore::new();
        store.load(bytes, b"wso2carbon").expect("an opened keystore");
        let found = store.aliases();
        assert!(aliases.iter().all(|alias| found.iter().any(|other| other == alias)), "{found:?}");
    }
}

#[test]
fn shipped_configurations_differ_by_version() {
    let text = |zip: &str| {
        let folder = apim_tests::distributions::Distributions::ready();
        let file = File::open(folder.folder().join(format!("{zip}.zip"))).expect("the zip");
        let mut text = String::new();
        let mut zips = zip::ZipArchive::new(file).expect("a zip");
        let path = format!("{zip}/repository/conf/deployment.toml");
        zips.by_name(&path).expect("the file").read_to_string(&mut text).expect("text");
        text.parse::<toml_edit::DocumentMut>().unwrap_or_else(|error| panic!("{zip}: {error}"));
        text
    };
    for zip in ["wso2am", "wso2am-tm", "wso2am-universal-gw"] {
        for version in ["4.5.0", "4.6.0"] {
            assert!(!text(&format!("{zip}-{version}")).contains("\n%"));
        }
    }
    assert!(!text("wso2am-acp-4.5.0").contains("[[apim.gateway.environment]]"));
    assert!(text("wso2am-acp-4.6.0").contains("[[apim.gateway.environment]]"));
}
