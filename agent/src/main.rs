//! The agent's entry: frames on standard input and output, short log lines on standard error. All work is in the library.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use apim_agent::serve;
use apim_agent::system::System;

const USAGE: &str = "usage: apim-agent serve [--root DIR] [--state DIR] | apim-agent --version";

enum Verb {
    Serve { root: Option<PathBuf>, state: Option<PathBuf> },
    Version,
}

fn verb(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<Verb> {
    let verb = arguments.next()?;
    if verb == "--version" {
        return arguments.next().is_none().then_some(Verb::Version);
    }
    if verb != "serve" {
        return None;
    }
    let (mut root, mut state) = (None, None);
    while let Some(option) = arguments.next() {
        let slot = match option.to_str()? {
            "--root" => &mut root,
            "--state" => &mut state,
            _ => return None,
        };
        *slot = Some(PathBuf::from(arguments.next()?));
    }
    Some(Verb::Serve { root, state })
}

fn main() -> ExitCode {
    match verb(std::env::args_os().skip(1)) {
        Some(Verb::Serve { root, state }) => serve_host(root, state),
        Some(Verb::Version) => {
            let build = serve::own_build().unwrap_or_else(|error| format!("unknown ({error})"));
            let line = format!("apim-agent {} {build}\n", env!("CARGO_PKG_VERSION"));
            // There is no other place to report that even this cannot be written.
            if std::io::stdout().write_all(line.as_bytes()).is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        None => fail(USAGE, 2),
    }
}

fn serve_host(root: Option<PathBuf>, state: Option<PathBuf>) -> ExitCode {
    serve::prepare_process();
    let started = System::new(root, state)
        .map_err(|error| serve::sentence(&error))
        .and_then(|system| Ok((system, serve::own_build().map_err(|error| error.to_string())?)));
    match started {
        Err(why) => fail(&why, 1),
        Ok((system, build)) => {
            match serve::serve(
                std::io::stdin(),
                std::io::stdout(),
                &system,
                &serve::Identity { build, signals: true },
            ) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&serve::sentence(&error), 1),
            }
        }
    }
}

fn fail(why: &str, code: u8) -> ExitCode {
    // Standard error may be closed; there is no other place to report to.
    writeln!(std::io::stderr(), "apim-agent: {why}").ok();
    ExitCode::from(code)
}
