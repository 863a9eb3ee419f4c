//! Hosts that accept only passwords: `password` and `keyboard-interactive` authentication, and a wrong
//! password.

use apim_tests::machine::Topology;
use serde_json::json;

use super::Site;

const PASSWORD: &str = "correct horse 7";
const WRONG: &str = "wrong horse 7";
const USER: &str = "walker";
const HOST: &str = "tm1";

#[test]
fn password_login_by_both_methods_and_wrong_password() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.sh(HOST, &format!("useradd -m -s /bin/sh {USER}; echo '{USER}:{PASSWORD}' | chpasswd"));
    let playbook = site.operator.file(
        "hello.yaml",
        "- name: hello\n  hosts: all\n  tasks:\n    - name: a file\n      copy: {content: hello, dest: /home/walker/hello}\n",
    );
    let playbook = playbook.to_string_lossy().into_owned();
    site.inventory.host(HOST, "ansible_user", json!(USER));
    site.inventory.host(HOST, "ansible_become", json!(false));
    let options = ["--limit", HOST, "--playbook", &playbook];

    for (password, interactive) in [("yes", "no"), ("no", "yes")] {
        let settings = format!(
            "PasswordAuthentication {password}\\nKbdInteractiveAuthentication {interactive}\\nUsePAM yes\\nPubkeyAuthentication no\\n"
        );
        let file = "/etc/ssh/sshd_config.d/00-passwords.conf";
        site.sh(
            HOST,
            &format!("printf '{settings}' > {file}; systemctl restart ssh; rm -f /home/{USER}/hello"),
        );
        site.inventory.host(HOST, "ansible_password", json!(PASSWORD));
        site.run("apply", &options).ended_with(0);
        let written = site.sh(HOST, &format!("cat /home/{USER}/hello; stat -c %U /home/{USER}/hello"));
        assert_eq!(written, format!("hello{USER}\n"));
        site.inventory.host(HOST, "ansible_password", json!(WRONG));
        let refused = site.run("apply", &options).ended_with(1);
        assert!(refused.text().contains("password"), "{}", refused.text());
        assert!(!refused.text().contains(WRONG), "{}", refused.text());
    }
}
