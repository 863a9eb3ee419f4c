//! What is refused, and leaves the hosts as they were.

use std::fs;

use apim_tests::distributions::Distributions;
use apim_tests::tree;

use super::Small;

#[test]
fn a_distribution_with_one_bit_flipped_is_refused_before_anything_is_unpacked() {
    let folder = tempfile::tempdir().expect("a folder");
    let distributions = Distributions::ready().copied_to(&folder.path().join("spoilt"));
    let small = Small::with(&distributions);
    let inventory = small.inventory();
    let zip = distributions.folder().join("wso2am-4.6.0.zip");
    let whole = fs::read(&zip).expect("the zip");
    let before = small.tree();
    for place in [0, whole.len() / 2, whole.len() - 1] {
        let mut spoilt = whole.clone();
        spoilt[place] ^= 0x10;
        fs::write(&zip, &spoilt).expect("a spoilt zip");
        let run = small.operator.run(["apply".as_ref(), inventory.as_os_str()]);
        assert!(run.code == 1 || run.code == 2, "bit {place}: ended with {}\n{}", run.code, run.text());
        assert!(
            run.text().contains(distributions.digest("wso2am-4.6.0.zip").get(..12).unwrap_or_default()),
            "{}",
            run.text()
        );
        tree::assert_same(&before, &small.tree(), "after a refused distribution");
    }
    fs::write(&zip, &whole).expect("the zip");
    small.operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(0);
}
