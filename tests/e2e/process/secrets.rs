//! Each form of secrets in the configuration: the server starts and restarts with them, a second apply
//! changes nothing, and they are not in world-readable files, units, the process list or the output.

use apim_tests::poison::{Poison, Which};
use serde_json::json;

use super::Small;
use crate::changed;

/// Applies with secrets in `mode`, twice, and again after an edit and after one of them changed. Asserts
/// that no secret leaks.
fn apply_with(mode: &str) -> (Small, Poison) {
    let mut small = Small::new();
    let mut poison = Poison::default();
    let admin = poison.add_random("administrator");
    let apim_db = poison.add_random("apim_db");
    let shared_db = poison.add_random("shared_db");
    let key = poison.add_random("key in `config`");
    let inventory = &mut small.rehearsal.inventory;
    inventory
        .set("secrets", json!(mode))
        .set("admin.password", json!(admin))
        .set("databases.apim_db.password", json!(apim_db))
        .set("databases.shared_db.password", json!(shared_db))
        .set("config", json!({"apim": {"ai": {"key": ""}}, "user_store": {"connection_password": key}}));
    let watch = poison.watch_processes();
    let first = small.apply_json().ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    let second = small.apply_json().ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());

    // A manual edit is overwritten. The output is text here, and JSON in the other runs.
    let toml = find(&small, "deployment.toml");
    let text = std::fs::read_to_string(&toml).expect("the configuration");
    std::fs::write(&toml, text.replace("[server]", "# edited\n[server]")).expect("an edit");
    let third = small.apply().ended_with(0);
    assert!(!std::fs::read_to_string(&toml).expect("the configuration").contains("# edited"));

    // A new secret restarts the server, which reads it.
    let other = poison.add_random("another shared_db");
    small.rehearsal.inventory.set("databases.shared_db.password", json!(other));
    let fourth = small.apply_json().ended_with(0);
    assert!(changed(&fourth) > 0, "{}", fourth.text());
    small.assert_up_to_date();
    small.operator.run(["status".as_ref(), small.inventory().as_os_str()]).ended_with(0);

    assert_eq!(watch.end(), Vec::<String>::new(), "secrets in the process list");
    assert_eq!(poison.in_files(&small.host().root, Which::World), Vec::<String>::new());
    for run in [&first, &second, &third, &fourth] {
        assert_eq!(poison.in_bytes(run.text().as_bytes()), Vec::<String>::new(), "{}", run.text());
    }
    (small, poison)
}

/// Finds the file of that name in the component's folder.
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
fn plain_secrets_are_in_a_private_file() {
    let (small, poison) = apply_with("plain");
    let text = std::fs::read(find(&small, "deployment.toml")).expect("the configuration");
    assert!(!poison.in_bytes(&text).is_empty());
}

#[test]
fn environment_secrets_are_in_a_separate_file() {
    let (small, poison) = apply_with("environment");
    let text = std::fs::read(find(&small, "deployment.toml")).expect("the configuration");
    assert_eq!(poison.in_bytes(&text), Vec::<String>::new());
    assert!(String::from_utf8_lossy(&text).contains("$env{APIM_SUPER_ADMIN_PASSWORD}"));
    let variables = std::fs::read(find(&small, "secrets.env")).expect("the variables");
    assert_eq!(poison.in_bytes(&variables).len(), 4, "administrator, two databases, key in `config`");
}

#[test]
fn cipher_secrets_are_encrypted_in_every_file() {
    let (small, poison) = apply_with("cipher");
    let text = std::fs::read_to_string(find(&small, "deployment.toml")).expect("the configuration");
    assert_eq!(poison.in_bytes(text.as_bytes()), Vec::<String>::new());
    assert!(text.contains("$secret{super_admin_password}"), "{text}");
    let aliases = text.split("[secrets]").nth(1).expect("the table of aliases");
    let aliases: Vec<&str> = aliases.lines().filter(|line| line.contains(" = \"")).collect();
    assert!(!aliases.is_empty() && aliases.iter().all(|line| line.len() > 340), "{aliases:#?}");
    // The keystore's password is kept, so that every restart can read it.
    assert!(find(&small, "password-persist").exists());
    let everywhere = poison.in_files(&small.host().root.join("opt"), Which::Everyone);
    assert!(
        everywhere
            .iter()
            .all(|found| found.contains("/repository/conf/") || found.contains("/repository/logs/")),
        "{everywhere:?}"
    );
}
