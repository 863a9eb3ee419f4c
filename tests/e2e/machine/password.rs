//! Hosts that take passwords only: by the method of that name, and by questions that PAM asks; and what is said of a wrong one.

use apim_tests::machine::Topology;
use serde_json::json;

use super::Site;

const PASSWORD: &str = "correct horse 7";
const WRONG: &str = "wrong horse 7";
const USER: &str = "walker";
const HOST: &str = "tm1";

#[test]
fn a_password_opens_a_host_by_either_method_and_a_wrong_one_is_told() {
    let Some(mut site) = Site::up(&Topology::single().expect("a topology")) else { return };
    site.sh(HOST, &format!("useradd -m -s /bin/sh {USER}; echo '{USER}:{PASSWORD}' | chpasswd"));
    let playbook = site.operator.file(
        "look.yaml",
        "- name: look\n  hosts: all\n  tasks:\n    - name: a file of mine\n      copy: {content: hello, dest: /home/walker/hello}\n",
    );
    let playbook = playbook.to_string_lossy().into_owned();
    site.inventory.host(HOST, "ansible_user", json!(USER));
    site.inventory.host(HOST, "ansible_become", json!(false));
    let options = ["--limit", HOST, "--playbook", &playbook];

    for (by_password, by_questions) in [("yes", "no"), ("no", "yes")] {
        let settings = format!(
            "PasswordAuthentication {by_password}\\nKbdInteractiveAuthentication {by_questions}\\nUsePAM yes\\nPubkeyAuthentication no\\n"
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
