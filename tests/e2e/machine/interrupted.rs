//! An apply that loses its orchestrator, an agent or a host's network: the next apply ends in the same
//! state as an undisturbed run. With systemd, sudo and several hosts.

use std::time::{Duration, Instant};

use apim_tests::machine::Topology;
use apim_tests::poll::until;
use apim_tests::tree;
use rustix::process::Signal;

use super::Site;

/// Longer than any step of the stand-ins takes.
const STEP: Duration = Duration::from_secs(60);

/// Longer than a run waits for a host that is off the network: keepalives and reconnecting.
const LOST: Duration = Duration::from_secs(240);

/// A network outage that TCP connections survive.
const SHORT_OUTAGE: Duration = Duration::from_secs(3);

/// The number of moments to try, unless set by `APIM_TEST_MOMENTS`. The process lab tries more.
const MOMENTS: u32 = 3;

/// What is lost, cyclically.
const LOSSES: [Loss; 3] = [Loss::Orchestrator, Loss::Agent, Loss::Network];

#[derive(Debug, Clone, Copy)]
enum Loss {
    /// The orchestrator is killed.
    Orchestrator,
    /// The agent of one host is killed.
    Agent,
    /// One host is off the network.
    Network,
}

#[test]
fn recovers_from_any_loss() {
    let Some(site) = Site::up(&Topology::single().expect("a topology")) else { return };
    let took = site.run("apply", &[]).ended_with(0).took;
    let expected = trees(&site);
    let nodes: Vec<_> = site.nodes().into_iter().map(|node| node.host).collect();

    // With APIM_TEST_MOMENTS hosts stay off the network until the run gives up, which takes minutes.
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
        let at = run.started_at() + took * percent / 100;
        until(STEP, || Instant::now() >= at || run.has_ended());
        match loss {
            Loss::Orchestrator => {
                run.signal(Signal::KILL);
                run.wait(STEP);
                let idle =
                    || nodes.iter().all(|host| site.sh(host, "pgrep -c apim-agent || true").trim() == "0");
                assert!(until(STEP, idle), "{what}: an agent is still running");
            }
            Loss::Agent => {
                site.sh("gw1", "pkill -KILL -x apim-agent || true");
                let run = run.wait(STEP);
                assert!(run.code == 0 || run.code == 1, "{what}\n{}", run.text());
            }
            Loss::Network => {
                site.lab.cut("gw1").expect("gw1 is cut");
                if thorough {
                    let run = run.wait(LOST);
                    assert!(run.code == 0 || run.code == 1, "{what}\n{}", run.text());
                    site.lab.heal("gw1").expect("gw1 is healed");
                } else {
                    // The duration of the outage.
                    std::thread::sleep(SHORT_OUTAGE);
                    site.lab.heal("gw1").expect("gw1 is healed");
                    run.wait(STEP).ended_with(0);
                }
            }
        }
        site.run("apply", &[]).ended_with(0);
        tree::assert_same(&expected, &trees(&site), &what);
        site.assert_up_to_date();
    }
}

/// The files of the hosts, without those that a running server writes.
fn trees(site: &Site) -> String {
    let nodes = site.nodes();
    let describe = |host: &str| {
        let folders = ["opt", "etc/hosts", "etc/systemd/system", "etc/passwd", "etc/group"];
        let tree = tree::describe(&site.lab.disk(host), &folders, &crate::varies);
        tree.lines().map(|line| format!("{host}: {line}\n")).collect::<String>()
    };
    nodes.iter().map(|node| describe(&node.host)).collect()
}
