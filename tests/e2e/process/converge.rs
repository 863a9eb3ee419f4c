//! Plan, apply, plan, apply: the plan predicts the apply, and the second apply changes nothing.

use apim_tests::tree;

use super::Small;
use crate::{assert_nothing_changed, changed};

#[test]
fn plan_apply_plan_apply() {
    let small = Small::new();
    let inventory = small.inventory();
    let before = small.tree();

    let plan =
        small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]).ended_with(3);
    assert!(plan.stdout.contains("am1"), "{}", plan.stdout);
    tree::assert_same(&before, &small.tree(), "after a plan");

    let first = small.apply_json().ended_with(0);
    assert!(changed(&first) > 10, "{}", first.text());
    let applied = small.tree();
    assert!(applied.contains("deployment.toml"), "{applied}");

    small.operator.run(["plan".as_ref(), inventory.as_os_str(), "--exit-code".as_ref()]).ended_with(0);
    let traffic = small.host().traffic();
    assert_nothing_changed(small.apply_json());
    tree::assert_same(&applied, &small.tree(), "after a second apply");
    assert_eq!(small.host().traffic().connections - traffic.connections, 1, "one login per host and run");

    small.operator.run(["status".as_ref(), inventory.as_os_str()]).ended_with(0);
}
