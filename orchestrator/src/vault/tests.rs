//! Vault texts made by Ansible open, ours open again, wrong passwords and damage are told.

use std::io::Write as _;

use apim_protocol::value::Secret;

use super::{Password, PasswordSources, Vault, VaultError, decrypt, encrypt, gather};
use crate::yaml::{Colours, Kind, Mistakes, Open as _, Sealed, parse};

fn password(label: Option<&str>, secret: &str) -> Password {
    Password { label: label.map(str::to_owned), secret: Secret::new(secret) }
}

/// Made by ansible-core 2.19: `ansible-vault encrypt_string` with the password `opensesame`.
const FROM_ANSIBLE: &str = include_str!("tests/from_ansible.vault");
/// The same with `--vault-id prod@…`.
const LABELLED: &str = include_str!("tests/labelled.vault");

#[test]
fn texts_made_by_ansible_open() {
    for text in [FROM_ANSIBLE, LABELLED] {
        let plain = decrypt(text, &[password(None, "wrong"), password(None, "opensesame")]).expect("opens");
        assert_eq!(plain.as_slice(), "s3cret wörd".as_bytes());
    }
}

#[test]
fn what_we_seal_opens_again() {
    for length in [0, 1, 15, 16, 17, 1000] {
        let plain = "x".repeat(length);
        let text = encrypt(plain.as_bytes(), &password(Some("prod"), "pw")).expect("seals");
        assert!(text.starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"));
        assert!(text.lines().all(|line| line.len() <= 80));
        let opened = decrypt(&text, &[password(Some("prod"), "pw")]).expect("opens");
        assert_eq!(opened.as_slice(), plain.as_bytes());
    }
}

#[test]
fn wrong_passwords_and_damage_are_told() {
    assert_eq!(decrypt(FROM_ANSIBLE, &[]), Err(VaultError::NoPassword));
    let wrong = VaultError::WrongPassword { tried: 1, label: Some("prod".to_owned()) };
    assert_eq!(decrypt(LABELLED, &[password(None, "no")]), Err(wrong));
    let cut: String = FROM_ANSIBLE.chars().take(FROM_ANSIBLE.len() - 9).collect();
    let right = [password(None, "opensesame")];
    assert!(decrypt(&cut, &right).is_err());
    assert!(matches!(decrypt("$ANSIBLE_VAULT;2.0;AES256\n00", &right), Err(VaultError::Malformed(_))));
    assert!(matches!(decrypt("text", &right), Err(VaultError::Malformed(_))));
}

#[test]
fn a_value_that_does_not_open_is_a_mistake_at_its_place() {
    let indented = FROM_ANSIBLE.trim_end().replace('\n', "\n    ");
    let node =
        parse("inventory.yaml", &format!("all:\n  password: !vault |\n    {indented}\n")).expect("yaml");
    let value = node.get("all").and_then(|all| all.get("password")).expect("value");
    let Kind::Sealed(sealed) = &value.kind else { panic!("sealed") };
    let opened = Vault::new(vec![password(None, "opensesame")]).open(sealed, &value.span).expect("opens");
    assert_eq!(opened.expose(), "s3cret wörd");
    let mistake = Vault::new(vec![password(None, "no")]).open(sealed, &value.span).expect_err("refused");
    insta::assert_snapshot!(Mistakes(vec![mistake]).render(Colours::Off), @r"
    error: this value cannot be opened: the vault password does not open it
     --> inventory.yaml:2:20
    2 | (not shown: a secret may stand in this line)
    hint: was it encrypted with another password, or under another vault id?
    ");
}

#[test]
fn files_and_the_environment_hold_secrets() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("key"), "from a file\n").expect("write");
    let name = folder.path().join("inventory.yaml").display().to_string();
    let node = parse(&name, "a: !file key\nb: !file missing\nc: !env APIM_NO_SUCH_VARIABLE\n").expect("yaml");
    let vault = Vault::default();
    let open = |key: &str| {
        let node = node.get(key).expect("key");
        let Kind::Sealed(sealed) = &node.kind else { panic!("sealed") };
        vault.open(sealed, &node.span)
    };
    assert_eq!(open("a").expect("a").expose(), "from a file");
    assert!(open("b").expect_err("b").what.contains("missing"));
    assert!(open("c").expect_err("c").what.contains("APIM_NO_SUCH_VARIABLE"));
    assert!(vault.open(&Sealed::Vault("junk".to_owned()), &node.span).is_err());
}

#[test]
fn passwords_come_from_files_programs_and_prompts() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("folder");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, " one \n").expect("write");
    let program = folder.path().join("get-client");
    {
        let mut file = std::fs::File::create(&program).expect("create");
        writeln!(file, "#!/bin/sh\necho \"two $1 $2\"").expect("write");
        file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("mode");
    }
    let sources = PasswordSources {
        files: vec![plain],
        ids: vec![format!("prod@{}", program.display()), "dev@prompt".to_owned()],
        ask: false,
    };
    let mut asked = Vec::new();
    let passwords = gather(&sources, &mut |question| {
        asked.push(question.to_owned());
        Ok(Secret::new("three"))
    })
    .expect("passwords");
    let got: Vec<_> = passwords.iter().map(|p| (p.label.as_deref(), p.secret.expose())).collect();
    assert_eq!(got, [(Some("prod"), "two --vault-id prod"), (Some("dev"), "three"), (None, "one")]);
    assert_eq!(asked, ["Vault password (dev): "]);
    let missing = PasswordSources { files: vec!["/nonexistent/file".into()], ..PasswordSources::default() };
    assert!(gather(&missing, &mut |_| Ok(Secret::new(""))).is_err());
}
