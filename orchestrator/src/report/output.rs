//! Prints text. A closed pipe is not an error.

use std::io::{self, Write};

/// Prints `text` on standard output.
///
/// # Errors
/// Standard output cannot be written. A closed pipe is not an error.
pub fn say(text: &str) -> io::Result<()> {
    quietly(io::stdout().lock(), text)
}

/// Prints `text` on standard error; write errors are ignored.
pub fn remark(text: &str) {
    // An error on standard error cannot be reported.
    drop(quietly(io::stderr().lock(), text));
}

fn quietly(mut out: impl Write, text: &str) -> io::Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| {
        if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") }?;
        out.flush()
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
