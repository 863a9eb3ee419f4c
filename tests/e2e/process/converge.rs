//! Plan, apply, plan, apply: the plan says what the apply does, and afterwards there is nothing to do.

use apim_tests::tree;

use super::Small;
use crate::changed;

#[test]
fn four_beats() {
    let small = Small::new();
    let inventory = small.inventory();
    let before = small.tree();

    let plan =
        small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]).ended_with(3);
    assert!(plan.stdout.contains("am1"), "{}", plan.stdout);
    tree::assert_same(&before, &small.tree(), "after a plan");

    let first = small.operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    let applied = small.tree();
    assert!(applied.contains("deployment.toml"), "{applied}");

    small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]).ended_with(0);
    let traffic = small.host().traffic();
    let second = small.operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
    assert_eq!(changed(&second), 0, "{}", second.text());
    tree::assert_same(&applied, &small.tree(), "after a second apply");
    assert_eq!(small.host().traffic().connections - traffic.connections, 1, "one login per host and run");

    small.operator.run(["status".as_ref(), inventory.as_os_str()]).ended_with(0);
}
