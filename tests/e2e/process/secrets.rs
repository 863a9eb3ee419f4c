//! Each form that secrets may have in the configuration: the server starts with them and starts again, a second apply changes nothing, and nobody reads
//! them who should not: no file for everybody, no unit, no process list, no output.

use apim_tests::poison::{Poison, Which};
use serde_json::json;

use super::Small;
use crate::changed;

/// Applies with secrets in `mode`, twice, and once more after one of them changed.
fn holds(mode: &str) -> (Small, Poison) {
    let mut small = Small::new();
    let mut poison = Poison::default();
    let admin = poison.brew("administrator");
    let apim_db = poison.brew("apim_db");
    let shared_db = poison.brew("shared_db");
    let own = poison.brew("own key");
    let inventory = &mut small.rehearsal.inventory;
    inventory
        .set("secrets", json!(mode))
        .set("admin.password", json!(admin))
        .set("databases.apim_db.password", json!(apim_db))
        .set("databases.shared_db.password", json!(shared_db))
        .set("config", json!({"apim": {"ai": {"key": ""}}, "user_store": {"connection_password": own}}));
    let watch = poison.watch_processes();
    let first = small.apply().ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    let second = small.apply().ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());

    // An edit by hand is put right.
    let toml = find(&small, "deployment.toml");
    let text = std::fs::read_to_string(&toml).expect("the configuration");
    std::fs::write(&toml, text.replace("[server]", "# edited\n[server]")).expect("an edit");
    let third = small.apply().ended_with(0);
    assert!(changed(&third) > 0, "{}", third.text());
    assert!(!std::fs::read_to_string(&toml).expect("the configuration").contains("# edited"));

    // Another secret restarts the server, which finds it.
    let other = poison.brew("another shared_db");
    small.rehearsal.inventory.set("databases.shared_db.password", json!(other));
    let fourth = small.apply().ended_with(0);
    assert!(changed(&fourth) > 0, "{}", fourth.text());
    assert_eq!(changed(&small.apply().ended_with(0)), 0);
    small.operator.run(["status".as_ref(), small.inventory().as_os_str()]).ended_with(0);

    assert_eq!(watch.end(), Vec::<String>::new(), "secrets in the process list");
    assert_eq!(poison.in_files(&small.host().root, Which::World), Vec::<String>::new());
    for run in [&first, &second, &third, &fourth] {
        assert_eq!(poison.in_bytes(run.text().as_bytes()), Vec::<String>::new(), "{}", run.text());
    }
    (small, poison)
}

/// The file of that name below the host's component.
pub(super) fn find(small: &Small, name: &str) -> std::path::PathBuf {
    let mut folders = vec![small.host().root.join("opt/wso2/all-in-one")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.file_name().is_some_and(|known| known == name) {
                return path;
            }
        }
    }
    panic!("no {name} on the host")
}

#[test]
fn plain_secrets_stand_in_a_private_file() {
    let (small, poison) = holds("plain");
    let text = std::fs::read(find(&small, "deployment.toml")).expect("the configuration");
    assert!(!poison.in_bytes(&text).is_empty());
}

#[test]
fn secrets_of_the_environment_stand_in_a_file_of_their_own() {
    let (small, poison) = holds("environment");
    let text = std::fs::read(find(&small, "deployment.toml")).expect("the configuration");
    assert_eq!(poison.in_bytes(&text), Vec::<String>::new());
    assert!(String::from_utf8_lossy(&text).contains("$env{APIM_SUPER_ADMIN_PASSWORD}"));
    let variables = std::fs::read(find(&small, "secrets.env")).expect("the variables");
    assert_eq!(poison.in_bytes(&variables).len(), 4, "administrator, two databases, the own key");
}

#[test]
fn encrypted_secrets_are_the_cipher_tools_and_only_the_key_opens_them() {
    let (small, poison) = holds("cipher");
    let text = std::fs::read_to_string(find(&small, "deployment.toml")).expect("the configuration");
    assert_eq!(poison.in_bytes(text.as_bytes()), Vec::<String>::new());
    assert!(text.contains("$secret{super_admin_password}"), "{text}");
    let aliases = text.split("[secrets]").nth(1).expect("the table of aliases");
    assert!(aliases.lines().filter(|line| line.contains(" = \"")).all(|line| line.len() > 340), "{aliases}");
    // The keystore's password stays, so that restarts of any kind find it.
    assert!(find(&small, "password-persist").exists());
    let everywhere = poison.in_files(&small.host().root.join("opt"), Which::Everyone);
    assert!(
        everywhere
            .iter()
            .all(|found| found.contains("/repository/conf/") || found.contains("/repository/logs/")),
        "{everywhere:?}"
    );
}
