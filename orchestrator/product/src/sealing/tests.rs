//! The environment file as read by a shell, and the sealing script with working and failing tools.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use super::*;
use crate::testing::{HA, cluster, node};
use crate::unit;

fn of_mode(mode: &str, password: &str) -> Cluster {
    let text = HA.replacen(
        "apim:\n",
        &format!("apim:\n  secrets: {mode}\n  encryption_key: {}\n", "ab".repeat(32)),
        1,
    );
    cluster(&text.replace("4.6.0", "4.7.0").replace("sharedadmin}", &format!("'{password}'}}")))
}

#[test]
fn shell_reads_variables_unchanged() {
    let password = r#"a "b" $c `d` \e #f %g ;h"#;
    let cluster = of_mode("environment", password);
    let gateway = node(&cluster, "gw-1");
    let files = files(&cluster, gateway);
    let [file] = files.as_slice() else { panic!("one file") };
    assert_eq!(
        (file.path.as_str(), file.mode.bits()),
        ("/opt/wso2/gateway/releases/4.7.0-22222222/secrets.env", 0o600)
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secrets.env");
    fs::write(&path, &file.bytes).expect("written");
    let script = folder.path().join("start.sh");
    fs::write(&script, "printf %s \"$APIM_DATABASE_SHARED_DB_PASSWORD\"").expect("written");
    let argv = with_variables(gateway, script.to_str().expect("UTF-8"));
    let argv = argv.iter().map(|word| {
        word.replace("/opt/wso2/gateway/releases/4.7.0-22222222/secrets.env", path.to_str().expect("UTF-8"))
    });
    let argv: Vec<String> = argv.collect();
    let output = Process::new(&argv[0]).args(&argv[1..]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), password);
    assert!(!argv.concat().contains('%'), "no secret is an argument");
}

#[test]
fn unit_depends_on_the_secrets_mode() {
    let has = |mode: &str| {
        let cluster = of_mode(mode, "x");
        let text = unit::text(node(&cluster, "gw-1"));
        assert!(!text.contains("sharedadmin") && !text.contains("=x\n"));
        text.contains("EnvironmentFile=/opt/wso2/gateway/releases/4.7.0-22222222/secrets.env\n")
    };
    assert_eq!(["plain", "environment", "cipher"].map(has), [false, true, false]);
}

/// Seals in `home` with this cipher tool, in the environment of `command`.
fn sealed(home: &Path, tool: &str, command: &Command) -> bool {
    for folder in ["bin", "repository/conf"] {
        fs::create_dir_all(home.join(folder)).expect("a folder");
    }
    fs::write(home.join("bin/ciphertool.sh"), tool).expect("the tool");
    fs::write(home.join("seal.sh"), SEAL).expect("the script");
    run(home, &["seal.sh"], &command.run)
}

fn run(home: &Path, words: &[&str], invocation: &Invocation) -> bool {
    use std::io::Write as _;
    let environment = invocation.environment.iter().map(|(key, value)| (key, value.expose()));
    let mut child = Process::new("/bin/sh")
        .args(words)
        .current_dir(home)
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let text = invocation.stdin.as_ref().map(|text| text.expose().to_owned()).unwrap_or_default();
    drop(child.stdin.take().expect("a pipe").write_all(text.as_bytes()));
    child.wait().expect("it ends").success()
}

#[test]
fn sealing_runs_once_and_restores_on_failure() {
    let cluster = of_mode("cipher", "hunter2");
    let command = seal(&cluster, node(&cluster, "gw-1"));
    let guard = command.unless.clone().expect("a guard");
    assert!(!format!("{:?}{:?}", command.run.argv, guard.argv).contains("hunter2"));
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    let toml = home.join("repository/conf/deployment.toml");
    let has_text = |text: &str| fs::read_to_string(&toml).expect("the configuration").contains(text);
    let is_due = || !run(home, &["-c", IS_SEALED], &guard);
    assert!(is_due(), "the file is missing");

    // Reads the password from the launcher's options, needs carbon.xml, and encrypts.
    let works = r#"case $JDK_JAVA_OPTIONS in *-Dpassword=wso2carbon*) ;; *) exit 1 ;; esac
[ "$1" = -Dconfigure ] && [ -e repository/conf/carbon.xml ] && sed -i 's/= "\[.*\]"$/= "c2VhbGVk"/' repository/conf/deployment.toml"#;
    assert!(sealed(home, works, &command) && !is_due());
    assert!(has_text("database_shared_db_password = \"c2VhbGVk\"") && !has_text("hunter2"));
    assert!(!home.join("repository/conf/carbon.xml").exists(), "it was created only for the tool");
    let mode = std::os::unix::fs::PermissionsExt::mode(&toml.metadata().expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);

    // After an edit it is due again. If the tool fails, empties the file or encrypts nothing, the
    // old file is restored.
    fs::write(&toml, "edited = true\n").expect("an edit");
    assert!(is_due());
    for fails in
        ["exit 1", ": > repository/conf/deployment.toml", "exit 0", "rm repository/conf/deployment.toml"]
    {
        assert!(!sealed(home, fails, &command), "{fails}");
        assert!(has_text("edited = true") && is_due(), "{fails}");
        assert!(!home.join("repository/conf/.deployment.toml.kept").exists(), "{fails}");
    }
    assert!(sealed(home, works, &command) && !is_due());

    // A changed configuration is due.
    let other = of_mode("cipher", "hunter3");
    let guard = seal(&other, node(&other, "gw-1")).unless.expect("a guard");
    assert!(!run(home, &["-c", IS_SEALED], &guard));
}
