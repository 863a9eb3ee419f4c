//! What somebody edited on a host is put right, and restarts nothing as long as no server has read it.

use std::fs;

use rustix::process::Pid;

use super::Small;
use super::secrets::find;
use crate::changed;

fn servers(small: &Small) -> Vec<Pid> {
    let mark = small.host().root.join("opt/wso2").display().to_string();
    apim_tests::process::processes(|arguments| {
        arguments.contains("org.wso2.carbon.bootstrap.Bootstrap") && arguments.contains(&mark)
    })
}

#[test]
fn what_no_server_has_read_is_put_right_and_restarts_nothing() {
    let small = Small::new();
    small.apply().ended_with(0);
    let (toml, before) = (find(&small, "deployment.toml"), servers(&small));
    assert_eq!(before.len(), 1);
    let ours = fs::read_to_string(&toml).expect("the configuration");
    assert!(ours.contains("\noffset = ") || ours.contains("\nhostname = "), "{ours}");
    for edited in [
        ours.replace("[server]", "# a comment by hand\n[server]"),
        ours.replace("\nhostname = ", "\nhostname =   "),
        ours.replace("[server]\n", "[server]\nnode_ip = \"192.0.2.1\"\n"),
    ] {
        assert_ne!(edited, ours);
        fs::write(&toml, edited).expect("an edit");
        let inventory = small.inventory();
        let plan = small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]);
        let plan = plan.ended_with(3);
        assert!(!plan.text().contains("restart"), "{}", plan.text());
        let run = small.apply().ended_with(0);
        assert_eq!(changed(&run), 1, "the file is written, nothing else happens\n{}", run.text());
        assert!(!run.text().contains("restarted"), "{}", run.text());
        assert_eq!(fs::read_to_string(&toml).expect("the configuration"), ours);
        assert_eq!(servers(&small), before, "the very same server runs");
        assert_eq!(changed(&small.apply().ended_with(0)), 0);
    }
}
