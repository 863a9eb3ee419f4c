//! `standin build`: builds the stand-in distributions.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use apim_tests::standin::{self, Build, Component, Version};
use clap::{Parser, Subcommand};

/// Stand-in distributions of WSO2 API Manager for tests
#[derive(Debug, Parser)]
#[command(name = "standin")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the zips, a JDK and a JDBC driver stand-in, and SHA256SUMS
    Build {
        /// The output folder
        #[arg(long)]
        out: PathBuf,
        /// Versions to build
        #[arg(long, value_delimiter = ',', default_values = ["4.5.0", "4.6.0"])]
        versions: Vec<Version>,
        /// Components to build: acp, gw, tm, aio
        #[arg(long, value_delimiter = ',', default_values = ["acp", "gw", "tm", "aio"])]
        components: Vec<Component>,
        /// Pad each zip to this size with incompressible data, such as 400M
        #[arg(long, value_parser = parse_size)]
        size: Option<u64>,
        /// The server program [default: next to this program]
        #[arg(long)]
        server: Option<PathBuf>,
    },
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        other => return Err(format!("`{other}` is not one of K, M, G")),
    };
    digits.parse::<u64>().map(|number| number * factor).map_err(|error| error.to_string())
}

fn run(arguments: Arguments) -> io::Result<()> {
    let Verb::Build { out, versions, components, size, server } = arguments.verb;
    let server = match server {
        Some(path) => path,
        None => standin::server_beside()?,
    };
    for built in standin::build(&Build { out, versions, components, size, server })? {
        println!("{}  {}", built.sha256, built.path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("standin: {error}");
            ExitCode::FAILURE
        }
    }
}
