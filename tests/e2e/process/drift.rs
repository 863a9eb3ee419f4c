//! Manual edits on a host are overwritten; no restart if no server has read the edited file.

use std::fs;

use rustix::process::Pid;

use super::Small;
use super::secrets::find;
use crate::changed_steps;

fn servers(small: &Small) -> Vec<Pid> {
    let mark = small.host().root.join("opt/wso2").display().to_string();
    apim_tests::process::processes(|arguments| {
        arguments.contains("org.wso2.carbon.bootstrap.Bootstrap") && arguments.contains(&mark)
    })
}

#[test]
fn unread_edits_are_overwritten_without_restart() {
    let small = Small::new();
    small.apply().ended_with(0);
    let (toml, before) = (find(&small, "deployment.toml"), servers(&small));
    assert_eq!(before.len(), 1);
    let managed = fs::read_to_string(&toml).expect("the configuration");
    assert!(managed.contains("[server]\n") && managed.contains("\nhostname = "), "{managed}");
    for edited in [
        managed.replace("[server]", "# a comment by hand\n[server]"),
        managed.replace("\nhostname = ", "\nhostname =   "),
        managed.replace("[server]\n", "[server]\nnode_ip = \"192.0.2.1\"\n"),
    ] {
        assert_ne!(edited, managed);
        fs::write(&toml, edited).expect("an edit");
        let inventory = small.inventory();
        let plan = small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]);
        let plan = plan.ended_with(3);
        assert!(!plan.text().contains("restart"), "{}", plan.text());
        let run = small.apply_json().ended_with(0);
        let changed = changed_steps(&run);
        assert_eq!(changed.len(), 1, "only the file is written: {changed:?}\n{}", run.text());
        assert!(changed[0].contains("deployment.toml"), "{changed:?}");
        assert_eq!(fs::read_to_string(&toml).expect("the configuration"), managed);
        assert_eq!(servers(&small), before, "the server was restarted");
        small.assert_up_to_date();
    }
}
