//! Distributions with a wrong digest are refused; hosts stay unchanged.

use std::fs;

use apim_tests::distributions::Distributions;
use apim_tests::tree;

use super::Small;

#[test]
fn flipped_bit_is_refused_before_unpacking() {
    let folder = tempfile::tempdir().expect("a folder");
    let distributions = Distributions::ready().copied_to(&folder.path().join("damaged"));
    let small = Small::with(&distributions);
    let inventory = small.inventory();
    let zip = distributions.folder().join("wso2am-4.6.0.zip");
    let whole = fs::read(&zip).expect("the zip");
    let before = small.tree();
    for place in [0, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(&zip, &damaged).expect("a damaged zip");
        let run = small.operator.run(["apply".as_ref(), inventory.as_os_str()]).ended_with(2);
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
