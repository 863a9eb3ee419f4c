//! Values as Ansible reads them (compared with PyYAML), and the rendered errors.

use super::{Colours, Kind, Node, Sealed, Value, parse, sounds_secret, to_value, write};

fn read(text: &str) -> Node {
    parse("inventory.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn refused(text: &str) -> String {
    parse("inventory.yaml", text).expect_err("must be refused").render(Colours::Off)
}

fn json(text: &str) -> String {
    let secret = |kind: &Kind| Value::String(format!("{kind:?}"));
    serde_json::to_string(&to_value(&read(text), &secret)).expect("json")
}

#[test]
fn plain_scalars_resolve_like_pyyaml() {
    // Right-hand sides printed by PyYAML 6.0 (`json.dumps(yaml.safe_load(...))`).
    let table = [
        ("yes", "true"),
        ("No", "false"),
        ("on", "true"),
        ("OFF", "false"),
        ("y", "\"y\""),
        ("yEs", "\"yEs\""),
        ("~", "null"),
        ("Null", "null"),
        ("nUll", "\"nUll\""),
        ("0755", "493"),
        ("0o755", "\"0o755\""),
        ("0x1F", "31"),
        ("-0b101", "-5"),
        ("1_000", "1000"),
        ("089", "\"089\""),
        ("22:30", "1350"),
        ("22:60", "\"22:60\""),
        ("4.10", "4.1"),
        ("4.6.0", "\"4.6.0\""),
        ("1e3", "\"1e3\""),
        ("1.0e3", "\"1.0e3\""),
        ("1.0e+3", "1000.0"),
        (".5", "0.5"),
        ("-.5", "\"-.5\""),
        ("1.", "1.0"),
        ("+1", "1"),
        ("-", "[null]"),
        ("'yes'", "\"yes\""),
        ("\"1\"", "\"1\""),
        ("!!str 1", "\"1\""),
        ("! 1", "\"1\""),
    ];
    for (text, expected) in table {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn empty_file_is_null() {
    assert_eq!(read("").kind, Kind::Null);
    assert_eq!(read("# only a comment\n").kind, Kind::Null);
}

#[test]
fn floats_keep_their_original_text() {
    let Kind::Float(_, text) = read("4.10").kind else { panic!("a float") };
    assert_eq!(text, "4.10");
}

#[test]
fn positions_start_at_line_1_column_1() {
    let node = read("a:\n  - b\n  - ключ: значение # remark\n");
    let item = node.get("a").and_then(Node::items).and_then(|items| items.get(1)).expect("item");
    let value = item.get("ключ").expect("value");
    assert_eq!((value.span.line, value.span.column, value.span.length), (3, 11, 8));
    assert_eq!(value.span.to_string(), "inventory.yaml:3:11");
}

#[test]
fn own_keys_override_merge_keys() {
    let text = "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\nown:\n  c: 3\n  <<: [*one, *two]\n";
    let node = read(text);
    let own = to_value(node.get("own").expect("own"), &|_| Value::Null);
    assert_eq!(write(&own), "a: 1\nb: 1\nc: 3\n");
}

#[test]
fn tags_are_parsed_but_not_opened() {
    let node = read(
        "v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\ne: !env DB_PASSWORD\nf: !file secrets/key\nu: !unsafe '{{ x }}'\nt: '{{ x }}'\n",
    );
    let kind = |key: &str| node.get(key).map(|node| node.kind.clone()).expect("key");
    assert_eq!(kind("v"), Kind::Sealed(Sealed::Vault("$ANSIBLE_VAULT;1.1;AES256\n6162\n".to_owned())));
    assert_eq!(kind("e"), Kind::Sealed(Sealed::Env("DB_PASSWORD".to_owned())));
    assert_eq!(kind("f"), Kind::Sealed(Sealed::File("secrets/key".to_owned())));
    assert_eq!(kind("u"), Kind::Text { text: "{{ x }}".to_owned(), templated: false });
    assert_eq!(kind("t"), Kind::Text { text: "{{ x }}".to_owned(), templated: true });
}

#[test]
fn errors_show_their_position() {
    let cases = [
        ("duplicate key", "all:\n  vars:\n    a: 1\n    b: 2\n    a: 3\n"),
        ("two duplicates", "a: 1\na: 2\nb: {c: 1, c: 2}\n"),
        ("unknown tag", "a: !secret x\n"),
        ("tab", "all:\n\tvars: {}\n"),
        ("tab deeper", "all:\n  vars:\n  \ta: 1\n"),
        ("missing colon", "all:\n  vars\n  hosts: {}\n"),
        ("colon in value", "a: b: c\n"),
        ("unclosed quote", "a: \"b\nc: d\n"),
        ("unclosed bracket", "a: [1, 2\nb: 3\n"),
        ("indentation", "a:\n   b: 1\n  c: 2\n"),
        ("unknown anchor", "a: *b\n"),
        ("second document", "a: 1\n---\nb: 2\n"),
        ("self alias", "a: &a [*a]\n"),
        ("at sign", "a: @b\n"),
        ("template without quotes", "a: {{ b }}\n"),
        ("percent", "a: %b\n"),
        ("escape", "a: \"\\d\"\n"),
        ("trailing", "a: \"b\" c\n"),
        ("merge of a text", "a:\n  <<: text\n"),
        ("list item under a key", "a: 1\n- b\n"),
        ("end of file", "a: {"),
    ];
    let mut shown = String::new();
    for (name, text) in cases {
        shown.push_str(&format!("## {name}\n{}\n", refused(text)));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn colours_do_not_change_the_text() {
    let mistakes = parse("f.yaml", "a: 1\na: 2\n").expect_err("duplicate");
    let coloured = mistakes.render(Colours::On);
    assert!(coloured.contains("\u{1b}[1;31merror\u{1b}[0m"));
    let plain =
        regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("regex").replace_all(&coloured, "").into_owned();
    assert_eq!(plain, mistakes.render(Colours::Off));
}

#[test]
fn alias_bomb_is_rejected_with_position() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let shown = refused(&text);
    assert!(shown.contains("aliases repeat more than 50000 values"), "{shown}");
    assert!(shown.contains("--> inventory.yaml:5:"), "{shown}");
}

#[test]
fn deep_nesting_is_rejected_without_crash() {
    for text in ["[".repeat(100_000), "{a: ".repeat(5_000), "- ".repeat(5_000), "? ".repeat(5_000)] {
        let shown = refused(&text);
        assert!(shown.contains("deep"), "{shown}");
    }
}

#[test]
fn lines_with_possible_secrets_are_hidden() {
    let cases = [
        "db:\n  password: hunter2\n  password: hunter2\n",
        "db:\n  pasword: hunter2\n  pasword: hunter2\n",
        "db: {user: a, db_password: hunter2, user: b}\n",
        "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  hunter2\n b: 1\n",
        "url: mysql://am:hunter2@db/apim\nurl: mysql://am:hunter2@db/apim\nurl: [ mysql://am:hunter2@db/apim\n",
        "admin:\n  password:\n    [hunter2\n",
        "token: \"hunter2\n",
        "client_secret:\n  - a\n  - hunter2: b: c\n",
        "args: --password=hunter2: x: y\n",
    ];
    for text in cases {
        let shown = refused(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains(" --> inventory.yaml:"), "{shown}");
    }
    assert!(refused("user: admin\nuser: root\n").contains("root"), "other lines are shown");
}

#[test]
fn secret_names_are_detected() {
    for name in [
        "password",
        "db_password",
        "Password",
        "keyPassword",
        "passwrod",
        "auth_token",
        "ssh_pass",
        "pasword",
    ] {
        assert!(sounds_secret(name), "{name}");
    }
    for name in ["hosts", "ansible_host", "port", "user", "environments", "version", "password_file", "path"]
    {
        assert!(!sounds_secret(name), "{name}");
    }
}

#[test]
fn written_yaml_round_trips() {
    let text = "a: 'yes'\nb: ['1', 2, 3.5, null, true, '22:30', '~', \"it's\"]\nc: {d: \"x: y\", 'e f': '', 'on': '0755'}\n";
    let value = to_value(&read(text), &|_| Value::Null);
    let again = to_value(&read(&write(&value)), &|_| Value::Null);
    assert_eq!(value, again);
}

proptest::proptest! {
    #[test]
    fn parser_never_panics(text in "[-a:{}\\[\\]&*!|>'\"%@#,?~ \t\n\r0\u{e9}]{0,60}") {
        if let Err(mistakes) = parse("f.yaml", &text) {
            proptest::prop_assert!(!mistakes.0.is_empty());
            proptest::prop_assert!(mistakes.render(Colours::Off).contains("error: "));
        }
    }
}

#[test]
fn misplaced_secrets_are_hidden() {
    for text in [
        "apim: {encryption_key: MARK\n",
        "password: !MARKshared}\n",
        "password: !!MARKshared\n",
        "shared_db: MARK: x\n",
        "apim:\n  admin: MARK: x\n",
        "apim:\n  admin:\n    @MARK\n",
    ] {
        assert!(!refused(text).contains("MARK"), "{}", refused(text));
    }
    assert!(refused("a:\n  admin:\n    user: @root\n").contains("@root"));
    assert!(refused("password: !MARK x\n").contains("put quotes around a value that begins with `!`"));
}

#[test]
fn out_of_range_numbers_are_reported() {
    let node = read("port: 0\nname: x\n");
    let mut mistakes = super::Mistakes::default();
    let mut reader = super::MapReader::new(&node, "gateway", &mut mistakes);
    assert_eq!(reader.int("port", 1..=65535, &mut mistakes), None);
    super::MapReader::new(&node, "nothing", &mut mistakes).finish(&mut mistakes);
    let shown = mistakes.to_string();
    assert!(shown.contains("`gateway.port` must be from 1 to 65535, not 0\n"), "{shown}");
    assert!(shown.contains("hint: no options are supported here\n"), "{shown}");
}
