//! The second process of a node: it lives, watches, and ends on TERM. It stays behind when its script is killed, as the
//! product's does, but not longer than its home folder.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::launch::Launch;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until it is killed or its home is gone.
pub(crate) fn run(launch: &Launch) -> io::Result<()> {
    let home = launch.properties.get("app.home").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let logs = home.join("logs");
    fs::create_dir_all(&logs)?;
    fs::write(
        logs.join("diagnostics.log"),
        format!("[{}]  INFO - DiagnosticsApp Diagnostics tool started\n", crate::log::now()),
    )?;
    while home.is_dir() {
        thread::sleep(LOOK);
    }
    Ok(())
}
