//! With systemd, sudo and several hosts: an apply that loses its orchestrator, an agent, or a host's network ends where an undisturbed one does.

use std::time::{Duration, Instant};

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use apim_tests::tree;
use rustix::process::Signal;

use super::Site;
use crate::changed;

/// Longer than any step of the stand-ins takes, and the agent's last.
const STEP: Duration = Duration::from_secs(60);

/// Longer than a run holds on to a host that is off the network: keepalives, and the try to reach it again.
const GIVEN_UP: Duration = Duration::from_secs(240);

/// What TCP outlives.
const BLINK: Duration = Duration::from_secs(3);

/// How many moments are tried, unless `APIM_TEST_MOMENTS` says otherwise: the process lab tries many more, quicker.
const MOMENTS: u32 = 3;

/// What is lost, in turn.
const LOSSES: [Loss; 3] = [Loss::Orchestrator, Loss::Agent, Loss::Network];

#[derive(Debug, Clone, Copy)]
enum Loss {
    /// The control machine's process is killed.
    Orchestrator,
    /// The agent of one host is killed.
    Agent,
    /// One host is off the network.
    Network,
}

#[test]
fn whatever_is_lost_on_the_way_the_next_apply_ends_in_the_same_state() {
    let Some(site) = Site::up(&Topology::single().expect("a topology")) else { return };
    let took = site.run("apply", &[]).ended_with(0).took;
    let expected = trees(&site);
    let nodes: Vec<_> = site.nodes().into_iter().map(|node| node.host).collect();

    // Whoever asks for more moments has more time: hosts are then off the network for good, which a run is long in giving up.
    let thorough = std::env::var_os("APIM_TEST_MOMENTS").is_some();
    let moments =
        std::env::var("APIM_TEST_MOMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MOMENTS);
    for moment in 0..moments {
        let loss = LOSSES[moment as usize % LOSSES.len()];
        let percent = (2 * moment + 1) * 100 / (2 * moments);
        let what = format!("{loss:?} lost at {percent} %");
        eprintln!("-- {what}");
        site.lab.reset(&nodes.iter().map(String::as_str).collect::<Vec<_>>()).expect("new machines");
        let inventory = site.operator.file("inventory.yaml", &site.inventory.text());
        let mut run = site.operator.start(["apply".as_ref(), inventory.as_os_str()]);
        let at = run.since() + took * percent / 100;
        until(STEP, || Instant::now() >= at || run.has_ended());
        match loss {
            Loss::Orchestrator => {
                run.signal(Signal::KILL);
                run.wait(STEP);
                let idle =
                    || nodes.iter().all(|host| site.sh(host, "pgrep -c apim-agent || true").trim() == "0");
                assert!(until(STEP, idle), "{what}: an agent is still there");
            }
            Loss::Agent => {
                site.sh("gw1", "pkill -KILL -x apim-agent || true");
                let run = run.wait(STEP);
                assert!(run.code == 0 || run.code == 1, "{what}\n{}", run.text());
            }
            Loss::Network => {
                site.lab.cut("gw1").expect("gw1 is cut");
                if thorough {
                    let run = run.wait(GIVEN_UP);
                    assert!(run.code == 0 || run.code == 1, "{what}\n{}", run.text());
                    site.lab.heal("gw1").expect("gw1 is healed");
                } else {
                    let back = Instant::now() + BLINK;
                    until(STEP, || Instant::now() >= back);
                    site.lab.heal("gw1").expect("gw1 is healed");
                    run.wait(STEP).ended_with(0);
                }
            }
        }
        site.run("apply", &[]).ended_with(0);
        tree::assert_same(&expected, &trees(&site), &what);
        assert_eq!(changed(&site.run("apply", &[]).ended_with(0)), 0, "{what}");
    }
}

/// What the hosts hold, but for what differs between two runs of a server.
fn trees(site: &Site) -> String {
    let nodes = site.nodes();
    let describe = |host: &str| {
        let folders = ["opt", "etc/hosts", "etc/systemd/system", "etc/passwd", "etc/group"];
        let tree = tree::describe(&site.lab.disk(host), &folders, &crate::varies);
        tree.lines().map(|line| format!("{host}: {line}\n")).collect::<String>()
    };
    nodes.iter().map(|node| describe(&node.host)).collect()
}
