//! Parsing, batches, tags, and binding tasks to hosts.

use std::path::Path;

use apim_protocol::operation::Operation;
use apim_protocol::operation::file::Show;

use super::tags::Wanted;
use super::{
    BUILT_IN, Bound, BoundTask, BuiltIn, Module, Playbook, RoleOrder, bind, built_in, expand, load,
    load_built_in, order, parse, role_order,
};
use crate::inventory::{self, Inventory, Options};
use apim_product::{ApimTask, Gate, Role, StartOrder};

struct Site {
    folder: tempfile::TempDir,
    inventory: Inventory,
}

const HOSTS: &str = "all:\n  vars: {port: 9443, dest: /srv}\n  children:\n    gateway: {hosts: {'gw[1:5]': }}\n    control_plane: {hosts: {cp1: {port: 9444}}}\n";

impl Site {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        for (name, text) in files.iter().chain([&("hosts.yaml", HOSTS)]) {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            std::fs::write(path, text).expect("write");
        }
        let inventory =
            inventory::load(&folder.path().join("hosts.yaml"), &Options::default()).expect("reads");
        Self { folder, inventory }
    }

    fn parse(&self, text: &str) -> Playbook {
        let name = self.folder.path().join("site.yaml").display().to_string();
        parse(&name, text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// Binds all tasks to `host`.
    fn bind(&self, text: &str, host: &str) -> Vec<BoundTask> {
        let playbook = self.parse(text);
        let host = self.inventory.host(host).expect("host");
        let tasks = playbook.plays.iter().flat_map(|play| play.tasks.iter().map(move |task| (play, task)));
        tasks
            .flat_map(|(play, task)| bind(play, task, host).unwrap_or_else(|mistakes| panic!("{mistakes}")))
            .collect()
    }

    fn operations(&self, tasks: &str) -> Vec<Operation> {
        let text = format!("- hosts: gateway\n  tasks:\n{tasks}");
        let drafts = self.bind(&text, "gw1").into_iter().flat_map(|bound| match bound.work {
            Bound::Operations(drafts) => drafts,
            other => panic!("operations, not {other:?}"),
        });
        drafts.map(|draft| draft.operation().cloned().expect("an operation on the host")).collect()
    }

    fn batches(&self, serial: &str, limit: Option<&str>) -> Vec<usize> {
        let playbook = self.parse(&format!("- hosts: gateway\n  serial: {serial}\n  tasks: []\n"));
        let batches = expand(&playbook.plays[0], &self.inventory, limit).expect("hosts");
        batches.iter().map(Vec::len).collect()
    }
}

#[test]
fn built_in_playbooks_load_and_cover_every_role() {
    let inventory = Site::new(&[]).inventory;
    for BuiltIn { name, .. } in BUILT_IN {
        let playbook = load(name).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        for play in &playbook.plays {
            expand(play, &inventory, None).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        }
    }
    let site = load("site").expect("loads without extension");
    let [.., complete, tidy] = site.plays.as_slice() else { panic!("plays") };
    assert!(matches!(complete.tasks[0].module, Module::Apim(ApimTask::Health(Gate::Complete, None))));
    assert!(
        matches!(tidy.tasks[0].module, Module::Apim(ApimTask::Prune)),
        "removal of old releases comes last"
    );
    assert!(site.plays.iter().any(|play| play.hosts.as_text().as_deref() == Some("key_manager")));
    for role in Role::ALL {
        assert!(apim_product::role::GROUPS.contains(&role.group()));
    }
}

#[test]
fn built_in_playbooks_follow_the_start_orders() {
    for BuiltIn { name, order, .. } in BUILT_IN {
        let playbook = load_built_in(name).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let found = role_order(&playbook);
        assert_eq!(found, order.map(RoleOrder::roles).unwrap_or_default(), "{name}");
    }
    assert_eq!(BUILT_IN.iter().filter(|known| known.order.is_some()).count(), 6);
    for order in StartOrder::ALL {
        assert_eq!(
            BuiltIn::find(order.playbook()).and_then(|known| known.order),
            Some(RoleOrder::Start(order))
        );
    }
}

#[test]
fn playbook_with_another_role_order_is_rejected() {
    let text = built_in("stop").expect("built in");
    let playbook = parse("stop.yaml", text).expect("valid");
    let error = order::check(&playbook, RoleOrder::Start(StartOrder::Documented)).expect_err("another order");
    assert_eq!(
        error.to_string(),
        "`stop.yaml` handles roles in the order gateway, key manager, traffic manager, control plane, all-in-one, \
         expected all-in-one, key manager, gateway, control plane, traffic manager"
    );
}

#[test]
fn every_playbook_file_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks");
    for entry in std::fs::read_dir(folder).expect("playbooks").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = BUILT_IN.iter().any(|known| known.name == name);
        assert!(known || !name.ends_with(".yaml"), "{name} is not in BUILT_IN");
    }
}

#[test]
fn serial_splits_hosts_into_batches() {
    let site = Site::new(&[]);
    assert_eq!(site.batches("1", None), [1, 1, 1, 1, 1]);
    assert_eq!(site.batches("[1, 2]", None), [1, 2, 2]);
    assert_eq!(site.batches("'40%'", None), [2, 2, 1]);
    assert_eq!(site.batches("['1%', '100%']", None), [1, 4]);
    assert_eq!(site.batches("", None), [5]);
    assert_eq!(site.batches("2", Some("gw1:gw2:gw3:cp1")), [2, 1]);
    assert_eq!(site.batches("2", Some("cp1")), [0_usize; 0]);
}

#[test]
fn conditions_loops_and_names_are_evaluated_per_host() {
    let site = Site::new(&[]);
    let text = "- hosts: all\n  vars: {list: [a, b]}\n  tasks:\n    - name: 'make {{ item }} on {{ inventory_hostname }}'\n      file: {path: '{{ dest }}/{{ item }}', state: directory}\n      loop: '{{ list }}'\n      when: item != 'b' or port == 9444\n    - apim_configuration:\n      when: [port == 9443, \"'gateway' in group_names\"]\n";
    let titles = |host: &str| -> Vec<String> {
        let shown = |bound: BoundTask| match bound.work {
            Bound::Skipped(why) => format!("skipped: {why}"),
            Bound::Apim(task) => task.name().to_owned(),
            Bound::Operations(_) => bound.title,
        };
        site.bind(text, host).into_iter().map(shown).collect()
    };
    assert_eq!(
        titles("gw1"),
        ["make a on gw1", "skipped: item != 'b' or port == 9444", "apim_configuration"]
    );
    assert_eq!(titles("cp1"), ["make a on cp1", "make b on cp1", "skipped: port == 9443"]);
}

#[test]
fn imports_inherit_conditions_tags_and_variables() {
    let site = Site::new(&[
        (
            "tasks/more.yaml",
            "- command: echo {{ word }}\n  tags: own\n- import_tasks: deeper.yaml\n  when: port == 9444\n",
        ),
        ("tasks/deeper.yaml", "- file: {path: /x, state: absent}\n"),
        ("other.yaml", "- hosts: gateway\n  vars: {word: inner}\n  tasks:\n    - command: echo {{ word }}\n"),
    ]);
    let text = "- hosts: gateway\n  tags: play\n  become: true\n  tasks:\n    - import_tasks: tasks/more.yaml\n      tags: [imported]\n      vars: {word: hi}\n- import_playbook: other.yaml\n  vars: {word: outer}\n  tags: [import]\n";
    let bound = site.bind(text, "gw1");
    assert_eq!(bound[0].options.tags, ["own", "imported", "play"]);
    assert_eq!(bound[0].escalate, Some(true));
    assert!(matches!(&bound[1].work, Bound::Skipped(why) if why == "port == 9444"));
    assert_eq!(bound[2].options.tags, ["import"]);
    let argv = |bound: &BoundTask| match &bound.work {
        Bound::Operations(drafts) => match drafts[0].operation().expect("an operation on the host") {
            Operation::Command(command) => command.run.argv.join(" "),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!((argv(&bound[0]).as_str(), argv(&bound[2]).as_str()), ("echo hi", "echo inner"));
}

#[test]
fn modules_convert_to_operations() {
    let site = Site::new(&[
        ("files/a.txt", "text"),
        ("templates/t.j2", "{% for n in [1, 2] %}\nn={{ n }} {{ port }}\n{% endfor %}\n"),
        ("t.sh", "echo"),
    ]);
    let operations = site.operations(
        "    - file: {path: /d, state: directory, mode: '0750', owner: root}\n    - file: {dest: /l, state: link, src: /d}\n    - ansible.builtin.file: {name: /gone, state: absent}\n    - copy: {src: a.txt, dest: /etc/, mode: 0644}\n    - copy: {content: '{{ port }}', dest: /p}\n    - template: {src: t.j2, dest: /t}\n    - blockinfile: {path: /b, block: \"x\\ny\\n\", marker: '# {mark} us'}\n    - blockinfile: {path: /b, state: absent}\n    - lineinfile: {path: /c, regexp: '^a=', line: a=1, create: yes}\n    - command: echo 'a b' c\n      args: {creates: /made, chdir: /tmp}\n      changed_when: false\n    - shell: 'a | b'\n    - get_url: {url: 'https://x/y.zip?z', dest: /opt/, checksum: 'sha256:1111111111111111111111111111111111111111111111111111111111111111'}\n    - group: {name: g, gid: 500}\n    - user: {name: u, group: g, home: /home/u, shell: /bin/sh, system: true}\n    - systemd_service: {name: nginx.service, state: started, enabled: true}\n    - wait_for: {port: 80, timeout: 5}\n    - uri: {url: 'https://127.0.0.1:9443/x', validate_certs: no, status_code: 204}\n",
    );
    insta::assert_debug_snapshot!(operations);
}

#[test]
fn content_with_secrets_is_hidden() {
    let site = Site::new(&[("templates/t.j2", "p={{ p }}\n"), ("secret", "hunter2\n")]);
    let operations = site.operations(
        "    - template: {src: t.j2, dest: /t}\n      vars: {p: !file secret}\n    - copy: {content: !file secret, dest: /c}\n    - command: {cmd: cat, stdin: !file secret}\n",
    );
    for operation in &operations {
        match operation {
            Operation::File(file) => assert_eq!(file.show, Show::Nothing),
            Operation::Command(command) => {
                assert_eq!(command.run.stdin.as_ref().map(|stdin| stdin.expose()), Some("hunter2\n"));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!format!("{operations:?}").contains("hunter2"));
    let named = site.bind("- hosts: all\n  tasks:\n    - name: 'secret {{ s }}'\n      command: echo\n      vars: {s: !file secret}\n", "gw1");
    assert_eq!(named[0].title, "secret {{ s }}");
}

#[test]
fn extra_variables_override_playbook_variables() {
    let site = Site::new(&[]);
    let options =
        Options { extra_variables: vec!["port=1".to_owned(), "target=cp1".to_owned()], ..Options::default() };
    let inventory = inventory::load(&site.folder.path().join("hosts.yaml"), &options).expect("reads");
    let playbook = site.parse("- hosts: '{{ target }}'\n  vars: {port: 2}\n  tasks:\n    - name: 'port {{ port }}'\n      command: echo\n      vars: {port: 3}\n");
    let play = &playbook.plays[0];
    let hosts = expand(play, &inventory, None).expect("hosts");
    assert_eq!(hosts[0][0].0, "cp1");
    let bound = bind(play, &play.tasks[0], inventory.host("cp1").expect("cp1")).expect("binds");
    assert_eq!(bound[0].title, "port 1");
}

#[test]
fn tags_select_tasks_like_ansible() {
    let tags = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let wants =
        |only: &str, skip: &str, own: &str| Wanted { only: tags(only), skip: tags(skip) }.wants(&tags(own));
    // From Ansible's documentation of tags, checked with ansible-core 2.19 (`ansible-playbook
    // --list-tasks`).
    for (only, skip, own, expected) in [
        ("", "", "", true),
        ("", "", "a", true),
        ("", "", "never", false),
        ("never", "", "never", true),
        ("a", "", "never a", true),
        ("a", "", "b", false),
        ("a", "", "always", true),
        ("a", "always", "always", false),
        ("", "a", "a b", false),
        ("tagged", "", "a", true),
        ("tagged", "", "", false),
        ("untagged", "", "", true),
        ("untagged", "", "a", false),
        ("all", "a", "a", false),
        ("", "all", "always", true),
        ("", "all", "a", false),
        ("", "tagged", "a", false),
        ("", "untagged", "", false),
    ] {
        assert_eq!(wants(only, skip, own), expected, "--tags '{only}' --skip-tags '{skip}' on '{own}'");
    }
}

#[test]
fn plain_passwords_are_hidden_in_titles_and_arguments() {
    let site = Site::new(&[]);
    let vars = "      vars: {admin: {password: hunter2}}\n";
    let title = site.bind(
        &format!(
            "- hosts: all\n  tasks:\n    - name: 'pw {{{{ admin.password }}}}'\n      command: echo\n{vars}"
        ),
        "gw1",
    );
    assert_eq!(title[0].title, "pw {{ admin.password }}");
    for task in [
        "command: 'echo {{ admin.password }}'",
        "assert: {that: 1 == 2, fail_msg: 'no {{ admin.password }}'}",
        "{command: echo, become_user: '{{ admin.password }}'}",
    ] {
        let task = task.trim_matches(['{', '}']).replace(", become_user", "\n      become_user");
        let task = if task.starts_with("assert") { format!("{task}}}") } else { task };
        let playbook = site.parse(&format!("- hosts: all\n  tasks:\n    - {task}\n{vars}"));
        let play = &playbook.plays[0];
        let host = site.inventory.host("gw1").expect("host");
        let shown = bind(play, &play.tasks[0], host).expect_err("refused").to_string();
        assert!(!shown.contains("no hunter2") && !shown.contains("echo hunter2"), "{shown}");
    }
}
