//! Behaviour without a counterpart in `ansible-inventory`: connections, recursive merging,
//! templates, secrets, patterns, errors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use apim_protocol::value::Secret;

use super::{Inventory, Options, load, pattern};
use crate::vault::{Password, Vault, encrypt};
use apim_product::yaml::{Colours, Kind, Span};
use apim_transport::host::ConnectionKind;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("folder"));
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            std::fs::write(path, text).expect("write");
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn try_read(text: &str, extra: &[&str]) -> Result<Inventory, String> {
    let folder = Folder::new(&[("hosts.yaml", text)]);
    let extra_variables = extra.iter().map(|text| (*text).to_owned()).collect();
    load(&folder.path("hosts.yaml"), &Options { extra_variables, ..Options::default() }).map_err(|mistakes| {
        let prefix = format!("{}/", folder.0.path().display());
        mistakes.render(Colours::Off).replace(&prefix, "")
    })
}

fn read(text: &str) -> Inventory {
    try_read(text, &[]).unwrap_or_else(|shown| panic!("{shown}"))
}

fn text_of(inventory: &Inventory, host: &str, variable: &str) -> String {
    let value = inventory.host(host).expect("host").variable(variable).expect("a variable");
    match value.expect("rendered").kind {
        Kind::Secret(secret) => format!("secret {}", secret.expose()),
        kind => apim_product::yaml::Node { kind, span: Span::nowhere() }
            .as_text()
            .unwrap_or_else(|| "?".to_owned()),
    }
}

#[test]
fn connection_variables_are_parsed() {
    let inventory = read(
        "all:\n  vars:\n    ansible_user: deploy\n    ansible_ssh_common_args: '-o ProxyJump=ops@jump:2222,second -o ConnectTimeout=7 -F none'\n    ansible_become: yes\n    ansible_become_password: \"{{ sudo }}\"\n    sudo: s3\n  hosts:\n    a: {ansible_host: 10.0.0.1, ansible_port: '2200', ansible_ssh_private_key_file: /k, apim_host_keys: [SHA256:x]}\n    b: {ansible_connection: local, ansible_become: false}\n    c: {ansible_ssh_common_args: '-o ProxyCommand=\"ssh -W %h:%p -q -p 2022 u@bastion\"'}\n",
    );
    let a = &inventory.host("a").expect("a").connection;
    assert_eq!((a.address.as_str(), a.port, a.user.as_deref()), ("10.0.0.1", Some(2200), Some("deploy")));
    assert_eq!(a.private_key_file.as_deref(), Some(Path::new("/k")));
    assert_eq!(a.options.proxy_jump, ["ops@jump:2222", "second"]);
    assert_eq!(a.options.connect_timeout_secs, Some(7));
    assert_eq!(a.options.config_file.as_deref(), Some(Path::new("none")));
    assert_eq!(a.host_keys, ["SHA256:x"]);
    let become_a = a.escalate.as_ref().expect("become");
    assert_eq!(
        (become_a.user.as_str(), become_a.password.as_ref().map(Secret::expose)),
        ("root", Some("s3"))
    );
    let b = &inventory.host("b").expect("b").connection;
    assert_eq!((b.kind, b.become_setting, b.escalate.is_none()), (ConnectionKind::Local, Some(false), true));
    assert_eq!(b.become_with.password.as_ref().map(Secret::expose), Some("s3"));
    let c = &inventory.host("c").expect("c").connection;
    assert_eq!(c.options.proxy_jump, ["u@bastion:2022"]);
}

#[test]
fn invalid_connection_variables_are_errors() {
    let shown = try_read(
        "all:\n  hosts:\n    a: {ansible_connection: docker}\n    b: {ansible_port: 99999}\n    c: {ansible_user: -oProxyCommand=x}\n    d: {ansible_host: -x}\n    e: {ansible_ssh_common_args: '-o StrictHostKeyChecking=no'}\n    f: {ansible_ssh_common_args: '-o ProxyCommand=nc -D 1'}\n    g: {ansible_ssh_common_args: '-R 1:2:3 -o ProxyJmp=x'}\n    h: {ansible_become_method: su}\n    i: {ansible_host_key_checking: false}\n    j: {ansible_become: maybe}\n    k: {ansible_ssh_common_args: '-J -oX=y'}\n    l: {apim_agent_root: relative}\n",
        &[],
    )
    .expect_err("errors");
    insta::assert_snapshot!(shown);
}

#[test]
fn apim_is_merged_recursively_and_keeps_positions() {
    let inventory = read(
        "all:\n  vars:\n    apim: {version: 4.6.0, gateway: {heap: 1g, config: {a: 1}}, list: [1, 2]}\n  children:\n    gateway:\n      vars: {apim: {gateway: {config: {b: 2}}, list: [3]}}\n      hosts:\n        gw1: {apim: {gateway: {heap: 4g}}}\n        gw2:\n",
    );
    let gw1 = &inventory.host("gw1").expect("gw1").apim;
    let gateway = gw1.get("gateway").expect("gateway");
    let heap = gateway.get("heap").expect("heap");
    assert_eq!((heap.as_text().as_deref(), heap.span.line), (Some("4g"), 8));
    let config = gateway.get("config").expect("config");
    assert_eq!(
        (config.get("a").map(|n| n.span.line), config.get("b").map(|n| n.span.line)),
        (Some(3), Some(6))
    );
    assert_eq!(gw1.get("list").and_then(|list| list.items()).map(<[_]>::len), Some(1));
    let gw2 = inventory
        .host("gw2")
        .expect("gw2")
        .apim
        .get("gateway")
        .and_then(|gateway| gateway.get("heap"))
        .cloned();
    assert_eq!(gw2.and_then(|heap| heap.as_text()).as_deref(), Some("1g"));
}

#[test]
fn extra_variables_override_all_others() {
    let text = "all:\n  vars: {a: 1, b: '{{ a }}!', apim: {x: {y: 1, z: 1}}}\n  hosts: {h: {a: 2}}\n";
    let inventory =
        try_read(text, &["a=3 c='two words'", "{\"apim\": {\"x\": {\"y\": 2}}, \"d\": 4}"]).expect("reads");
    assert_eq!(text_of(&inventory, "h", "a"), "3");
    assert_eq!(text_of(&inventory, "h", "b"), "3!");
    assert_eq!(text_of(&inventory, "h", "c"), "two words");
    assert_eq!(text_of(&inventory, "h", "d"), "4");
    let x = inventory.host("h").expect("h").apim.get("x").cloned().expect("x");
    assert_eq!(x.get("y").and_then(|n| n.as_text()).as_deref(), Some("2"));
    assert_eq!(x.get("z").and_then(|n| n.as_text()).as_deref(), Some("1"));
    assert_eq!(x.get("y").map(|n| n.span.to_string()).as_deref(), Some("from -e"));
    let shown = try_read(text, &["novalue", "{a: ", "'open", "apim={{ nothing }}"]).expect_err("errors");
    insta::assert_snapshot!(shown);
}

#[test]
fn templates_use_inventory_variables_only() {
    let inventory = read(
        "all:\n  vars: {domain: example.com, url: 'https://{{ inventory_hostname }}.{{ domain }}', first: \"{{ groups['gateway'][0] }}\", other: \"{{ hostvars['b'].url }}\", mine: '{{ group_names }}'}\n  children:\n    gateway: {hosts: {a: , b: {domain: b.org}}}\n",
    );
    assert_eq!(text_of(&inventory, "a", "url"), "https://a.example.com");
    assert_eq!(text_of(&inventory, "b", "url"), "https://b.b.org");
    assert_eq!(text_of(&inventory, "b", "first"), "a");
    assert_eq!(text_of(&inventory, "a", "other"), "https://b.b.org");
    // Unused variables are not rendered, so they may use features of Ansible that are not
    // supported.
    assert!(try_read("all: {vars: {x: '{{ ansible_facts.os }}'}, hosts: {h: }}\n", &[]).is_ok());
    let shown = try_read(
        "all:\n  vars:\n    apim: {version: '{{ versoin }}'}\n    version: 1\n  hosts: {h: , i: }\n",
        &[],
    );
    insta::assert_snapshot!(shown.expect_err("undefined"), @r"
    error: `versoin` is not defined
     --> hosts.yaml:3:21
    3 |     apim: {version: '{{ versoin }}'}
      |                     ^^^^^^^^^^^^^^^
    hint: did you mean `version`?
    ");
}

#[test]
fn templates_can_use_the_inventory_path() {
    let text = "all: {vars: {key: '{{ inventory_dir }}/key', me: '{{ inventory_file }}'}, hosts: {h: }}\n";
    let folder = Folder::new(&[("hosts.yaml", text)]);
    let file = folder.path("hosts.yaml");
    let inventory = load(&file, &Options::default()).expect("reads");
    assert_eq!(text_of(&inventory, "h", "me"), file.display().to_string());
    assert_eq!(text_of(&inventory, "h", "key"), folder.path("key").display().to_string());
}

#[test]
fn hostvars_keep_secrets() {
    let folder = Folder::new(&[
        ("pw", "hunter2\n"),
        ("hosts.yaml", "all:\n  hosts:\n    a: {p: !file pw}\n    b: {q: \"{{ hostvars['a'].p }}!\"}\n"),
    ]);
    let inventory = load(&folder.path("hosts.yaml"), &Options::default()).expect("reads");
    assert_eq!(text_of(&inventory, "b", "q"), "secret hunter2!");
}

#[test]
fn vault_values_and_files_are_decrypted() {
    let password = Password { label: None, secret: Secret::new("pw") };
    let sealed = encrypt(b"opened", &password).expect("encrypts");
    let value = format!(
        "apim:\n  admin: {{user: u}}\n  pass: !vault |\n    {}\n",
        sealed.trim_end().replace('\n', "\n    ")
    );
    let whole = encrypt(b"whole: file\n", &password).expect("encrypts");
    let folder = Folder::new(&[
        ("hosts.yaml", "all: {hosts: {h: }}\n"),
        ("group_vars/all/value.yml", value.as_str()),
        ("group_vars/all/whole.yml", whole.as_str()),
    ]);
    let vault = Arc::new(Vault::new(vec![password]));
    let options = Options { vault, ..Options::default() };
    let inventory = load(&folder.path("hosts.yaml"), &options).expect("opens");
    assert_eq!(text_of(&inventory, "h", "whole"), "file");
    let opened = inventory.host("h").expect("h").apim.get("pass").cloned().expect("pass");
    assert_eq!(opened.kind, Kind::Secret(Secret::new("opened")));
    let mistakes = load(&folder.path("hosts.yaml"), &Options::default()).expect_err("no password");
    assert!(mistakes.to_string().contains("no vault password was given"), "{mistakes}");
}

#[test]
fn patterns_match_like_ansible() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/inventories");
    let inventory = load(&fixtures.join("patterns.yaml"), &Options::default()).expect("reads");
    // Printed by ansible-core 2.19: `ansible PATTERN --list-hosts`.
    let table = std::fs::read_to_string(fixtures.join("patterns.tsv")).expect("table");
    for line in table.lines() {
        let (pattern, hosts) = line.split_once('\t').expect("two columns");
        let actual = pattern::select(&inventory, pattern, &Span::flag("--limit"));
        let actual: Vec<&str> = actual.expect("known").iter().map(|host| host.name.0.as_str()).collect();
        assert_eq!(actual.join(" "), hosts, "{pattern}");
    }
    assert!(table.lines().count() > 25);
}

#[test]
fn unmatched_patterns_are_errors() {
    let inventory = read("all: {children: {gateway: {hosts: {gw1: , gw2: }}}}\n");
    let select = |text: &str| pattern::select(&inventory, text, &Span::flag("--limit"));
    assert!(select("key_manager").expect("a role").is_empty(), "an unused role is not an error");
    let mut shown = String::new();
    for pattern in ["gatway", "gw3", "gateway[5]", "nothing*", "~(", "", "gateway:!gw9:&x"] {
        shown.push_str(&format!("## {pattern}\n{}\n", select(pattern).expect_err("an error")));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn displayed_variables_must_not_be_secrets() {
    for variable in ["ansible_ssh_common_args", "ansible_user", "ansible_host", "ansible_port"] {
        let folder = Folder::new(&[
            ("s", "MARK"),
            ("hosts.yaml", &format!("all:\n  hosts:\n    a:\n      {variable}: !file s\n")),
        ]);
        let shown = load(&folder.path("hosts.yaml"), &Options::default()).expect_err("refused").to_string();
        assert!(!shown.contains("MARK"), "{shown}");
        assert!(
            shown.contains(&format!("`{variable}` must not be a secret, because it is shown")),
            "{shown}"
        );
        assert!(shown.contains("hosts.yaml:4:"), "{shown}");
    }
}

#[test]
fn plain_passwords_are_listed_but_secret_in_templates() {
    let inventory = read(
        "all:\n  hosts:\n    a: {db_password: hunter2, q: \"x{{ db_password }}\", all: \"{{ hostvars['a'] | to_json }}\"}\n",
    );
    let hosts: Vec<_> = inventory.hosts.iter().collect();
    assert!(super::show::list(&inventory, &hosts).contains("\"db_password\": \"hunter2\""));
    assert_eq!(text_of(&inventory, "a", "q"), "secret xhunter2");
    assert_eq!(text_of(&inventory, "a", "db_password"), "hunter2");
}

#[test]
fn ini_inventories_are_rejected() {
    for text in [
        "[gateway]\ngw1 ansible_host=10.0.0.1 ansible_password=MARK\n",
        "gw1 ansible_host=10.0.0.1\n",
        "# hosts\n[gateway:vars]\nansible_user=x\n",
    ] {
        let shown = try_read(text, &[]).expect_err("refused");
        assert!(shown.contains("INI inventories are not supported"), "{shown}");
        assert!(
            shown.contains("convert it with `ansible-inventory -i FILE --list --yaml --export`"),
            "{shown}"
        );
        assert!(!shown.contains("MARK"), "{shown}");
    }
}

#[test]
fn device_files_are_rejected() {
    let shown = load(Path::new("/dev/zero"), &Options::default()).expect_err("refused").to_string();
    assert!(shown.contains("cannot read the file: it is neither a file nor a pipe"), "{shown}");
    assert!(
        try_read("all: {}\n", &["@/dev/zero"]).expect_err("refused").contains("neither a file nor a pipe")
    );
}
