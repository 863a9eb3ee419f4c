//! The second process of a node. Ends on TERM. As in the product, it continues if its script is killed, but
//! here only until its home folder is deleted.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::launch::Launch;

/// The polling interval.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs until it is killed or its home folder is deleted.
pub(crate) fn run(launch: &Launch) -> io::Result<()> {
    let home = launch.properties.get("app.home").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let logs = home.join("logs");
    fs::create_dir_all(&logs)?;
    fs::write(
        logs.join("diagnostics.log"),
        format!("[{}]  INFO - DiagnosticsApp Diagnostics tool started\n", crate::log::now()),
    )?;
    while home.is_dir() {
        thread::sleep(INTERVAL);
    }
    Ok(())
}
