//! `exec`, `facts` and `diff`.

use apim_tests::cli::{Operator, Run};
use apim_tests::distributions::Distributions;
use apim_tests::process::ProcessHost;
use apim_tests::rehearsal::Rehearsal;
use serde_json::Value;

use super::Small;

/// Two gateways and a control plane with nothing installed, and a file `/etc/kind` that differs.
struct Three {
    operator: Operator,
    rehearsal: Rehearsal,
}

impl Three {
    fn new() -> Self {
        let nodes = [
            ("gw1", "gateway", "gateway"),
            ("gw2", "gateway", "gateway"),
            ("cp1", "control_plane", "control-plane"),
        ];
        let rehearsal = Rehearsal::up(&nodes, &Distributions::ready()).expect("the process lab comes up");
        for host in rehearsal.lab.hosts() {
            let kind = host.name.trim_end_matches(char::is_numeric);
            std::fs::write(host.root.join("etc/kind"), format!("{kind}\n")).expect("a file");
        }
        Self { operator: Operator::new(), rehearsal }
    }

    fn host(&self, name: &str) -> &ProcessHost {
        self.rehearsal.lab.host(name).expect("the host")
    }

    fn run(&self, verb: &str, words: &[&str]) -> Run {
        let inventory = self.rehearsal.write();
        let before = [verb.as_ref(), inventory.as_os_str()];
        self.operator.run(before.into_iter().chain(words.iter().map(AsRef::as_ref)))
    }

    fn journal(&self, name: &str) -> String {
        std::fs::read_to_string(self.host(name).state.join("journal.jsonl")).unwrap_or_default()
    }
}

#[test]
fn exec_groups_identical_output() {
    let three = Three::new();
    let run = three.run("exec", &["all", "--", "cat", "/etc/kind"]).ended_with(0);
    assert_eq!(run.stdout, "cp1: exit status 0\n  cp\ngw[1:2] (2 hosts): exit status 0\n  gw\n");
    for (name, traffic) in [("gw1", 1), ("cp1", 1)] {
        assert_eq!(three.host(name).traffic().connections, traffic, "one login per host and run");
        assert!(three.journal(name).contains("exec: cat /etc/kind"), "{}", three.journal(name));
    }

    // Arguments are passed unchanged; only --shell expands them.
    let run = three.run("exec", &["gw1", "--", "echo", "$HOME", "a  b", ";", "ls"]).ended_with(0);
    assert_eq!(run.stdout, "gw1: exit status 0\n  $HOME a  b ; ls\n");
    let run = three.run("exec", &["cp1", "--shell", "--", "echo one | tr a-z A-Z"]).ended_with(0);
    assert_eq!(run.stdout, "cp1: exit status 0\n  ONE\n");
}

#[test]
fn exec_reports_failed_hosts_and_exits_with_1() {
    let three = Three::new();
    let script = "grep -q gw /etc/kind || { echo not a gateway >&2; exit 7; }";
    let one = script.replace("/etc/kind", &three.host("gw1").root.join("etc/kind").display().to_string());
    let run = three.run("exec", &["all", "--shell", "--", &one]).ended_with(0);
    assert_eq!(run.stdout, "cp1,gw[1:2] (3 hosts): exit status 0\n");
    let run = three.run("exec", &["all", "-o", "json", "--", "grep", "-c", "gw", "/etc/kind"]).ended_with(1);
    let objects: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let code =
        |host: &str| objects.iter().find(|one| one["host"] == host).expect("its result")["code"].clone();
    assert_eq!((code("gw1"), code("gw2"), code("cp1")), (0.into(), 0.into(), 1.into()));
    assert_eq!(objects.last().expect("the last object")["success"], false);

    let run = three.run("exec", &["cp1", "--timeout", "1s", "--", "sleep", "60"]).ended_with(1);
    assert!(run.stdout.contains("cp1: not finished after 1 s, and ended"), "{}", run.stdout);
    let run = three.run("exec", &["gw1", "--", "no-such-program"]).ended_with(1);
    assert!(run.stdout.contains("no-such-program"), "{}", run.stdout);
}

#[test]
fn read_only_exec_takes_no_lock_and_writes_no_journal() {
    let three = Three::new();
    three.run("exec", &["gw1", "--read-only", "--", "true"]).ended_with(0);
    assert_eq!(three.journal("gw1"), "");
    // A second run waits for the first and reports its lock.
    let inventory = three.rehearsal.write();
    let sleep = [
        "exec".as_ref(),
        inventory.as_os_str(),
        "gw1".as_ref(),
        "--".as_ref(),
        "sleep".as_ref(),
        "5".as_ref(),
    ];
    let first = three.operator.start(sleep);
    let lock = three.host("gw1").state.join("lock");
    let held = || std::fs::read_to_string(&lock).is_ok_and(|note| note.contains("exec"));
    assert!(apim_tests::poll::until(std::time::Duration::from_secs(30), held), "{}", first.output());
    three.run("exec", &["gw1", "--read-only", "--", "true"]).ended_with(0);
    let second = three.run("exec", &["gw1", "--", "true"]).ended_with(0);
    assert!(second.stderr.contains("has held this host"), "{}", second.stderr);
    first.wait(std::time::Duration::from_secs(60)).ended_with(0);
}

#[test]
fn invalid_arguments_contact_no_host() {
    let three = Three::new();
    for (words, error) in [
        (&["gatway", "--", "true"][..], "did you mean `gateway`?"),
        (&["all:!all", "--", "true"], "no host matches `all:!all`"),
        (&["all", "--timeout", "5x", "--", "true"], "invalid unit of time `x`"),
        (&["all", "--chdir", "tmp", "--", "true"], "must be absolute"),
        (&["all", "--"], "required arguments were not provided"),
    ] {
        let run = three.run("exec", words).ended_with(2);
        assert!(run.text().contains(error), "{words:?}: {}", run.text());
    }
    assert_eq!(three.host("gw1").traffic().connections, 0);
}

#[test]
fn facts_as_text_and_json() {
    let three = Three::new();
    let jdk = three.host("gw1").root.join("opt/java/jdk-17");
    std::fs::create_dir_all(jdk.join("bin")).expect("a folder");
    std::fs::write(jdk.join("release"), "JAVA_VERSION=\"17.0.9\"\n").expect("a file");
    let java = jdk.join("bin/java");
    std::fs::write(&java, "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(&java, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let run = three.run("facts", &["gateway"]).ended_with(0);
    assert!(run.stdout.contains("17.0.9 in /opt/java/jdk-17"), "{}", run.stdout);
    assert!(
        run.stdout.contains("gateway: nothing installed") && !run.stdout.contains("cp1"),
        "{}",
        run.stdout
    );
    assert_eq!(three.host("gw1").traffic().connections, 1);
    let run = three.run("facts", &["cp1", "-o", "json"]).ended_with(0);
    let facts: Value = serde_json::from_str(&run.stdout).expect("one object");
    assert_eq!(facts["host"], "cp1");
    assert!(facts["facts"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{facts}");
    assert!(facts["machine"]["disks"].as_array().is_some_and(|disks| !disks.is_empty()), "{facts}");
}

#[test]
fn diff_shows_manual_edits_and_apply_overwrites_them() {
    let small = Small::new();
    let inventory = small.inventory();
    let diff = |words: &[&str]| {
        let before = ["diff".as_ref(), inventory.as_os_str()];
        small.operator.run(before.into_iter().chain(words.iter().map(AsRef::as_ref)))
    };
    small.apply().ended_with(0);
    let run = diff(&[]).ended_with(0);
    assert_eq!(run.stdout.trim(), "every file is up to date");

    let toml = super::secrets::find(&small, "deployment.toml");
    let text = std::fs::read_to_string(&toml).expect("the configuration");
    std::fs::write(&toml, text.replace("[server]", "# by hand\n[server]")).expect("an edit");
    let run = diff(&[]).ended_with(3);
    assert!(run.stdout.contains("\n-# by hand\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("--- am1:/opt/wso2/") && run.stdout.contains("1 file differs, on 1 host"),
        "{}",
        run.stdout
    );
    let run = diff(&["--reverse"]).ended_with(3);
    assert!(run.stdout.contains("\n+# by hand\n"), "{}", run.stdout);

    small.apply().ended_with(0);
    diff(&[]).ended_with(0);
    assert!(!std::fs::read_to_string(&toml).expect("the configuration").contains("# by hand"));
}
