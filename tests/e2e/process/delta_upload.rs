//! If the previous release is on the host, only differing files are sent; bytes are counted on the
//! wire.

use std::fs;
use std::path::Path;

use apim_tests::tree;

use super::Small;

/// The bytes of a zip.
fn size(zip: &Path) -> u64 {
    fs::metadata(zip).expect("the zip").len()
}

/// The files of the release whose folder name starts with `name`.
fn release(small: &Small, name: &str) -> String {
    let releases = small.host().root.join("opt/wso2/all-in-one/releases");
    let found = fs::read_dir(&releases).expect("releases").flatten().map(|entry| entry.path());
    let path = found
        .into_iter()
        .find(|path| path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name)))
        .unwrap_or_else(|| panic!("no release {name} in {}", releases.display()));
    tree::describe(&path, &["."], &super::super::varies)
}

#[test]
fn upgrade_sends_only_new_files_and_equals_full_upload() {
    let distributions = apim_tests::distributions::Distributions::ready();
    let mut small = Small::with(&distributions);
    small.rehearsal.inventory.release("4.6.0");
    small.apply().ended_with(0);
    let whole = release(&small, "4.6.0");
    let whole_traffic = small.host().traffic().received;
    small.rehearsal.reset().expect("a new machine");

    small.rehearsal.inventory.release("4.5.0");
    small.apply().ended_with(0);
    // Edits in the previous release must not be copied.
    let before = small.host().root.join("opt/wso2/all-in-one/releases");
    let before = fs::read_dir(before).expect("releases").flatten().next().expect("a release").path();
    let edited = before.join("bin/api-manager.sh");
    let text = fs::read_to_string(&edited).expect("the start script");
    fs::write(&edited, text.replacen('e', "E", 1)).expect("an edit");

    let traffic = small.host().traffic().received;
    small.rehearsal.inventory.release("4.6.0");
    let inventory = small.inventory();
    let run = small
        .operator
        .run(["apply".as_ref(), inventory.as_os_str(), "-o".as_ref(), "json".as_ref()])
        .ended_with(0);
    let sent = small.host().traffic().received - traffic;
    let zip = size(&distributions.folder().join("wso2am-4.6.0.zip"));
    assert!(run.stdout.contains(" taken from 4.5.0"), "{}", run.stdout);
    assert!(sent < zip / 5, "{sent} bytes were sent, and the zip has {zip}");
    assert!(sent < whole_traffic / 5, "{sent} bytes were sent, and {whole_traffic} to a new machine");
    tree::assert_same(&whole, &release(&small, "4.6.0"), "created from the previous release");
}
