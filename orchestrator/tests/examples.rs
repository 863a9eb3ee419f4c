//! The example inventories are valid with every built-in playbook, and can be rendered.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("inventory")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_apim-deploy"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("APIM_ADMIN_PASSWORD", "secret-of-admin")
        .env("APIM_DB_PASSWORD", "secret-of-apim-db")
        .env("SHARED_DB_PASSWORD", "secret-of-shared-db")
        .env("APIM_DB_ADMIN_PASSWORD", "secret-of-db-admin")
        .env("APIM_PKI_PASSPHRASE", "secret-of-pki")
        .env("APIM_KEYSTORE_PASSWORD", "secret-of-keystores")
        .output()
        .expect("apim-deploy runs")
}

fn succeeds(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "apim-deploy {}\n{errors}", arguments.join(" "));
    format!("{}{errors}", String::from_utf8_lossy(&output.stdout))
}

/// Returns the inventory to test for an example: the example itself, or, if it has no digests, a
/// copy with the file that `make demo` or `vagrant up` creates.
fn with_digests(example: &Path, folder: &Path) -> PathBuf {
    let stem = example.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    let [digest, one, two, three] = ["ab", "1a", "2b", "3c"].map(|byte| byte.repeat(32));
    let zips = format!("sha256: {{control_plane: {one}, gateway: {two}, traffic_manager: {three}}}");
    let (group, settings) = match stem {
        "demo" => (
            "demo",
            format!(
                "{{distributions: {{{zips}}}, java: {{archive: {{sha256: {digest}}}}}, databases: {{driver: {{sha256: {digest}}}}}}}"
            ),
        ),
        stem if stem.starts_with("vagrant") => (
            "vagrant",
            format!(
                "{{distributions: {{source: /zips, {zips}}}, databases: {{driver: {{source: /zips/driver.jar, sha256: {digest}}}}}}}"
            ),
        ),
        _ => return example.to_owned(),
    };
    let copy = folder.join(example.file_name().expect("a name"));
    std::fs::copy(example, &copy).expect("a copy of the inventory");
    std::fs::create_dir_all(folder.join("group_vars")).expect("a folder");
    let file = folder.join("group_vars").join(group).with_extension("yaml");
    std::fs::write(file, format!("apim: {settings}\n")).expect("the digests");
    copy
}

#[test]
fn example_inventories_are_valid_with_built_in_playbooks() {
    let mut count = 0;
    for entry in std::fs::read_dir(examples()).expect("inventory/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let inventory = with_digests(&path, folder.path());
        let inventory = inventory.to_str().expect("a path in UTF-8");
        succeeds(&["validate", inventory]);
        for playbook in [
            "site.yaml",
            "site-dependencies-first.yaml",
            "prepare.yaml",
            "configure.yaml",
            "load-balancer.yaml",
            "start.yaml",
            "stop.yaml",
            "rolling-restart.yaml",
            "health.yaml",
        ] {
            succeeds(&["validate", inventory, "--playbook", playbook]);
        }
        count += 1;
    }
    assert!(count >= 5, "only {count} examples in inventory/");
}

#[test]
fn rendered_secrets_are_only_in_private_files() {
    let inventory = examples().join("prod-sandbox.yaml");
    let out = tempfile::tempdir().expect("a folder");
    let (inventory, folder) = (inventory.to_str().expect("UTF-8"), out.path().join("rendered"));
    let output = succeeds(&["render", inventory, "--out", folder.to_str().expect("UTF-8")]);
    assert!(!output.contains("secret-of-"), "{output}");
    let mut with_secret = 0;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            if text.contains("secret-of-") {
                assert!(path.ends_with("repository/conf/deployment.toml"), "{}", path.display());
                let mode = std::os::unix::fs::PermissionsExt::mode(
                    &path.metadata().expect("its mode").permissions(),
                );
                assert_eq!(mode & 0o077, 0, "{} is readable by other users", path.display());
                with_secret += 1;
            }
        }
    }
    assert_eq!(with_secret, 6, "expected the administrator's password in the configuration of every node");
}
