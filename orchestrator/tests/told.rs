//! Warnings of unknown keys, and the output folder of `render`, tested with the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const INVENTORY: &str = "all:
  vars:
    ansible_usr: deploy
    apim:
      version: 4.6.0
      distributions:
        source: zips
        sha256: {control_plane: 1111111111111111111111111111111111111111111111111111111111111111, gateway: 2222222222222222222222222222222222222222222222222222222222222222}
      java: {home: /opt/java}
      admin: {password: hunter2x}
      databases:
        type: mysql
        host: db.example.com
        apim_db: {password: hunter2y}
        shared_db: {password: hunter2z}
      config:
        apim: {devportal: {url: 'https://dev.example/devportal'}, throtling: {enable_unlimited_tier: true}}
  children:
    control_plane: {hosts: {cp1.example.com: }}
    gateway: {hosts: {gw1.example.com: }}
";

struct Workspace(tempfile::TempDir);

impl Workspace {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, verb: &str, inventory: &str, more: &[&str]) -> (i32, String, String) {
        std::fs::write(self.path("i.yaml"), inventory).expect("the inventory");
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_apim-deploy"))
            .args([verb, "i.yaml"])
            .args(more)
            .current_dir(self.0.path())
            .env("NO_COLOR", "1")
            .output()
            .expect("apim-deploy runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code().unwrap_or(-1), text(&stdout), text(&stderr))
    }
}

fn objects(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn unknown_keys_and_overrides_are_reported_as_text_and_json() {
    let workspace = Workspace::new();
    for (verb, more) in [("validate", &[][..]), ("plan", &["--offline"]), ("render", &["--out", "out"])] {
        let (code, _, stderr) = workspace.run(verb, INVENTORY, more);
        assert_eq!(code, 0, "{verb}: {stderr}");
        for part in [
            "warning: `config.apim.throtling`: unknown key of deployment.toml",
            "control plane 4.6.0, gateway 4.6.0",
            "--> i.yaml:17:",
            "did you mean `apim.throttling`?",
            "unknown connection variable `ansible_usr`",
            "`config` overrides the derived key `apim.devportal.url` on cp1.example.com: \"https://dev.example/devportal\" instead of",
        ] {
            assert_eq!(stderr.matches(part).count(), 1, "{verb}: {part} in\n{stderr}");
        }
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    let (code, out, _) = workspace.run("validate", INVENTORY, &["-o", "json"]);
    let events = objects(&out);
    let warnings: Vec<_> = events.iter().filter(|object| object["event"] == "warning").collect();
    assert_eq!((code, warnings.len()), (0, 2), "{out}");
    assert_eq!((&warnings[1]["line"], &warnings[1]["file"]), (&17.into(), &"i.yaml".into()));
    assert_eq!(events.last().map(|object| object["warnings"].clone()), Some(2.into()));
}

#[test]
fn strict_config_exits_2_and_reports_errors_as_json() {
    let workspace = Workspace::new();
    let strict = INVENTORY.replace("      config:\n", "      strict_config: true\n      config:\n");
    assert_eq!(workspace.run("validate", &strict, &[]).0, 2);
    let (code, out, _) = workspace.run("render", &strict, &["--out", "out", "-o", "json"]);
    let events = objects(&out);
    assert_eq!((code, events.len()), (2, 1), "{out}");
    assert_eq!((&events[0]["event"], &events[0]["line"]), (&"mistake".into(), &18.into()));
    assert!(!workspace.path("out").exists(), "render must not write files if there are errors");
    let (code, out, _) = workspace.run("inventory", "all: {hosts: [x]}\n", &["--list", "-o", "json"]);
    assert_eq!((code, objects(&out)[0]["event"].clone()), (2, "mistake".into()), "{out}");
}

#[test]
fn render_replaces_its_output_and_keeps_other_files() {
    let workspace = Workspace::new();
    let configuration = |host: &str, folder: &str, digit: &str| {
        let release = format!("4.6.0-{}", digit.repeat(8));
        let below = Path::new("out").join(host).join("opt/wso2").join(folder).join("releases").join(release);
        workspace.path("").join(below).join("repository/conf/deployment.toml")
    };
    let (cp, gw) = (
        configuration("cp1.example.com", "control-plane", "1"),
        configuration("gw1.example.com", "gateway", "2"),
    );
    assert_eq!(workspace.run("render", INVENTORY, &["--out", "out"]).0, 0);
    assert!(cp.exists() && gw.exists());
    std::fs::write(workspace.path("out/notes.txt"), "mine").expect("a note");
    let alone = INVENTORY.replace("    gateway: {hosts: {gw1.example.com: }}\n", "");
    let (code, out, _) = workspace.run("render", &alone, &["--out", "out", "-o", "json"]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(objects(&out).last().map(|object| object["cleared"].clone()), Some(3.into()), "{out}");
    assert!(cp.exists() && !workspace.path("out/gw1.example.com").exists());
    assert!(workspace.path("out/notes.txt").exists(), "files of the user are kept");

    std::fs::create_dir(workspace.path("thesis")).expect("a folder");
    std::fs::write(workspace.path("thesis/chapter1"), "mine").expect("a file");
    let (code, _, stderr) = workspace.run("render", INVENTORY, &["--out", "thesis"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("is not empty and was not created by `render`"), "{stderr}");
    assert_eq!(std::fs::read_dir(workspace.path("thesis")).expect("exists").count(), 1);
}
