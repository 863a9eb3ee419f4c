//! Rendering: types are kept, secrets stay secrets, mistakes are told at the value's place.

use std::collections::HashMap;
use std::sync::Arc;

use apim_protocol::value::Secret;

use super::Scope;
use crate::yaml::{
    Colours, Kind, Mistake, Mistakes, Node, Open, Sealed, Span, Value, parse, to_value, write,
};

struct Fixed;

impl Open for Fixed {
    fn open(&self, sealed: &Sealed, span: &Span) -> Result<Secret, Mistake> {
        match sealed {
            Sealed::Env(name) => Ok(Secret::new(format!("secret of {name}"))),
            _ => Err(Mistake { span: span.clone(), what: "cannot be opened".to_owned(), hint: None }),
        }
    }
}

fn scope(text: &str) -> Scope {
    let node = parse("vars.yaml", text).expect("yaml");
    let entries = node.entries().expect("map").iter();
    Scope::new(entries.map(|(key, value)| (key.text.clone(), value.clone())).collect(), Arc::new(Fixed))
}

fn value(text: &str, name: &str) -> Node {
    scope(text).variable(name).expect("a variable").unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn shown(text: &str, name: &str) -> String {
    write(&to_value(&value(text, name), &|kind| Value::String(format!("{kind:?}")))).trim_end().to_owned()
}

fn mistake(text: &str, name: &str) -> String {
    scope(text).variable(name).expect("a variable").expect_err("a mistake").render(Colours::Off)
}

#[test]
fn a_single_expression_keeps_its_type() {
    let cases = [
        ("{{ 8080 }}", "8080"),
        ("{{ '8080' }}", "'8080'"),
        ("{{ list }}", "- 1\n- b"),
        ("{{ map.a }}", "true"),
        ("port {{ list[0] }}", "port 1"),
        ("{{ map }}", "a: true"),
        ("{{ map }} {{ list }} {{ none }}.", "'{''a'': True} [1, ''b''] .'"),
        ("{{ list | length + 1 }}", "3"),
        ("{{ list | join('-') }}", "1-b"),
    ];
    for (template, expected) in cases {
        let text = format!("list: [1, b]\nmap: {{a: yes}}\nx: \"{template}\"\n");
        assert_eq!(shown(&text, "x"), expected, "{template}");
    }
}

#[test]
fn filters_mean_what_ansible_means() {
    // Right-hand sides printed by ansible-core 2.19 (`ansible -m debug -a msg=…`).
    let cases = [
        ("{{ missing | default('d') }}", "d"),
        ("{{ 'a-b' | upper | replace('-', '_') }}", "A_B"),
        ("{{ {'b': 1, 'a': [1, 'x']} | to_json }}x", "{\"a\": [1, \"x\"], \"b\": 1}x"),
        ("{{ 'no' | bool }}x", "Falsex"),
        ("{{ true | ternary('a', 'b') }}", "a"),
        ("{{ 'abc' | b64encode }}", "YWJj"),
        ("{{ '/a/b/c.txt' | basename }}", "c.txt"),
        ("{{ '/a/b/c.txt' | dirname }}", "/a/b"),
        ("{{ 'gw01.example.com'.split('.')[0] }}", "gw01"),
        ("{{ 'gw01' | regex_replace('^gw(\\\\d+)$', 'gateway-\\\\\\\\1') }}", "gateway-01"),
        ("{{ ([1, 2] | union([2, 3])) | join(',') }}", "1,2,3"),
        ("{{ ({'a': 1} | combine({'b': 2})).b }}x", "2x"),
        ("{{ [[1], [2, [3]]] | flatten | sum }}x", "6x"),
        ("{% if true %}yes{% else %}no{% endif %}", "yes"),
    ];
    for (template, expected) in cases {
        let node = value(&format!("x: \"{}\"\n", template.replace('"', "\\\"")), "x");
        assert_eq!(node.as_text().as_deref(), Some(expected), "{template}");
    }
}

#[test]
fn what_is_made_from_a_secret_is_a_secret() {
    let text = "db: {host: h, password: !env DB}\nurl: 'x:{{ db.password }}@{{ db.host }}'\nsame: '{{ url }}'\nhost: '{{ db.host }}'\nall: '{{ db }}'\nlength: '{{ db.password | length }}'\nname: '{{ host }}!'\n";
    for name in ["url", "same", "length"] {
        assert!(matches!(value(text, name).kind, Kind::Secret(_)), "{name}");
    }
    let Kind::Secret(url) = value(text, "url").kind else { panic!("secret") };
    assert_eq!(url.expose(), "x:secret of DB@h");
    assert_eq!(shown(text, "host"), "h");
    assert_eq!(shown(text, "name"), "h!");
    assert_eq!(shown(text, "all"), "host: h\npassword: Secret(Secret(****))");
}

#[test]
fn unsafe_texts_and_results_are_never_templates() {
    let text = "u: !unsafe '{{ x }}'\nx: 1\ny: 'a{{ u }}'\nz: '{{ y }}'\n";
    for (name, expected) in [("u", "{{ x }}"), ("y", "a{{ x }}"), ("z", "a{{ x }}")] {
        assert_eq!(value(text, name).as_text().as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn mistakes_stand_at_the_value_and_name_the_variable() {
    let cases = [
        ("undefined", "x: '{{ gateway_hots }}'\ngateway_host: gw\n", "x"),
        ("undefined inside", "x: '{{ a.prot }}'\na: {port: 1, host: b}\n", "x"),
        ("undefined in another variable", "x: 'x{{ y }}'\ny: '{{ z.q }}'\nz: {}\n", "x"),
        ("fact", "x: '{{ ansible_default_ipv4.address }}'\n", "x"),
        ("itself", "x: '{{ y }}'\ny: 'a{{ z }}'\nz: 'b{{ y }}'\n", "x"),
        ("lookup", "x: \"{{ lookup('env', 'HOME') }}\"\n", "x"),
        ("filter", "x: '{{ 1 | ipaddr }}'\n", "x"),
        ("syntax", "x: '{{ 1 + }}'\n", "x"),
        ("secret", "x: 'a{{ s }}'\ns: !file nowhere\n", "x"),
        ("several", "x: ['{{ a }}', '{{ b }}', 1]\n", "x"),
    ];
    let mut all = String::new();
    for (name, text, variable) in cases {
        all.push_str(&format!("## {name}\n{}\n", mistake(text, variable)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn conditions() {
    let scope = scope("a: {b: 1}\nt: 'no'\nlist: [gw]\n");
    let holds = |text: &str| {
        let node =
            Node { kind: Kind::Text { text: text.to_owned(), templated: false }, span: Span::flag("-e") };
        scope.holds(&node)
    };
    for (text, expected) in [
        ("a.b == 1", true),
        ("a.c is defined", false),
        ("'gw' in list and t == 'no'", true),
        ("{{ a.b > 1 }}", false),
        ("t is search('^n')", true),
    ] {
        assert_eq!(holds(text).map_err(|m| Mistakes(vec![m]).to_string()), Ok(expected), "{text}");
    }
    assert!(holds("nothing == 1").is_err());
}

#[test]
fn a_layer_comes_before_what_it_is_put_on() {
    let base = scope("a: 1\nb: '{{ a }}{{ a }}'\n");
    assert_eq!(base.variable("b").expect("b").expect("rendered").as_text().as_deref(), Some("11"));
    let two = Node { kind: Kind::Int(2), span: Span::flag("-e") };
    let over = base.with(HashMap::from([("a".to_owned(), two)]));
    assert_eq!(over.variable("b").expect("b").expect("rendered").as_text().as_deref(), Some("22"));
}

#[test]
fn files_are_rendered_as_ansible_renders_them() {
    let scope = scope("names: [a, b]\nflag: true\ns: !env X\n");
    let text = "{% for n in names %}\nname={{ n }}\n{% endfor %}\nflag={{ flag }}\n";
    let rendered = scope.render_file("t.j2", text).expect("rendered");
    assert_eq!((rendered.text.as_str(), rendered.holds_secret), ("name=a\nname=b\nflag=True\n", false));
    assert!(scope.render_file("t.j2", "{{ s }}").expect("rendered").holds_secret);
    let mistake = scope.render_file("t.j2", "a\nb {{ nmes }}\n").expect_err("undefined");
    insta::assert_snapshot!(Mistakes(vec![mistake]).render(Colours::Off));
}

#[test]
fn what_is_called_like_a_secret_is_a_secret() {
    let text = "apim: {admin: {user: u, password: hunter2, pin_password: 1234}, token_validity: 60, encryption_key: k}\nansible_become_password: s\npasswords: [a, b]\nx: \"pw {{ apim.admin.password }}\"\nnumber: \"{{ apim.admin.pin_password }}\"\njson: \"{{ apim | to_json }}\"\nkey: \"{{ apim.encryption_key }}\"\nsudo: \"{{ ansible_become_password }}\"\nfirst: \"{{ passwords[0] }}\"\nlater: \"{{ x }}\"\nmap: \"{{ apim.admin }}\"\nuser: \"{{ apim.admin.user }}\"\nminutes: \"{{ apim.token_validity }}\"\npair: \"{{ [apim.admin.password, apim] | first }}\"\nlist: \"{{ [apim.admin.password, apim.admin] }}\"\n";
    for name in ["x", "number", "json", "key", "sudo", "first", "later", "pair"] {
        assert!(matches!(value(text, name).kind, Kind::Secret(_)), "{name}");
    }
    assert_eq!(shown(text, "user"), "u");
    assert_eq!(shown(text, "minutes"), "60");
    assert!(shown(text, "map").starts_with("user: u\npassword: Secret"), "{}", shown(text, "map"));
    for name in ["map", "list"] {
        assert!(!shown(text, name).contains("hunter2"), "{name}");
    }
}

#[test]
fn a_mistake_about_a_secret_does_not_show_it() {
    let text = "db_password: hunter2\nx: \"{{ db_password | int(default=[]) + {} }}\"\ny: \"{{ db_password + 1 }}\"\n";
    for name in ["x", "y"] {
        assert!(!mistake(text, name).lines().next().unwrap_or_default().contains("hunter2"), "{name}");
    }
}

#[test]
fn a_template_that_does_too_much_is_ended() {
    let text = "x: \"{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}\"\n";
    assert!(mistake(text, "x").contains("this template does too much"), "{}", mistake(text, "x"));
}
