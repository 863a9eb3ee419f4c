//! The `lab` command: starts and stops the machine lab, and injects faults into its hosts.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool for people")]

use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use apim_tests::cli::program;
use apim_tests::distributions::Distributions;
use apim_tests::files::{FileServer, Trouble};
use apim_tests::machine::{self, Kind, LabError, Machines, Owner, Topology};
use apim_tests::rehearsal::{self, Rehearsal};
use clap::{Parser, Subcommand, ValueEnum};

/// Hosts on this machine with systemd, OpenSSH and their own addresses
#[derive(Debug, Parser)]
#[command(name = "lab")]
struct Lab {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a lab: bare hosts, or a topology
    Up {
        /// The number of bare hosts (h1, h2 ...)
        count: Option<usize>,
        /// A cluster with a database host instead
        #[arg(long, conflicts_with = "count")]
        topology: Option<Shape>,
        /// The database server; by default MariaDB with databases and accounts
        #[arg(long, conflicts_with = "count")]
        database: Option<Database>,
    },
    /// Without root: run the cluster as processes on loopback addresses, apply twice, and stop it
    Rehearse,
    /// Stop the lab and remove its files
    Down,
    /// Check whether this machine can run a lab
    Check,
    /// Install the Debian packages that a lab needs
    Install,
    /// Show the hosts
    Status,
    /// Serve a folder to the hosts over HTTP until interrupted
    Serve {
        /// The folder
        folder: PathBuf,
        /// The port
        #[arg(long, default_value_t = 8000)]
        port: u16,
        /// Close the connection after this many bytes of the first answer
        #[arg(long)]
        cut: Option<u64>,
        /// Stop sending after this many bytes of every answer
        #[arg(long, conflicts_with = "cut")]
        stall: Option<u64>,
    },
    /// Run a command on a host as root, without its network
    Exec {
        /// The host
        host: String,
        /// The command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Log in to a host with ssh
    Ssh {
        /// The host
        host: String,
        /// A command instead of a shell
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Disconnect a host from the network
    Cut {
        /// The host
        host: String,
    },
    /// Reconnect a host to the network
    Heal {
        /// The host
        host: String,
    },
    /// Kill all processes of a host at once, like a power failure
    Kill {
        /// The host
        host: String,
    },
    /// Boot a killed host
    Boot {
        /// The host
        host: String,
    },
    /// Reset hosts to new machines
    Reset {
        /// The hosts
        #[arg(required = true)]
        hosts: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shape {
    /// Two of each role, one database
    Ha,
    /// One of each role, one database
    Single,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Database {
    /// MariaDB with databases and accounts
    Mariadb,
    /// MariaDB with only an administrator
    EmptyMariadb,
    /// PostgreSQL with only an administrator
    EmptyPostgresql,
}

fn main() -> ExitCode {
    match run(Lab::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error}");
            let mut cause = error.source();
            while let Some(next) = cause {
                eprintln!("  because: {next}");
                cause = next.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode, LabError> {
    match verb {
        Verb::Up { count, topology, database } => up(count, topology, database)?,
        Verb::Rehearse => return Ok(rehearse()),
        Verb::Down => machine::sweep()?,
        Verb::Check => machine::can_run()?,
        Verb::Install => machine::install_missing()?,
        Verb::Status => status(&Machines::open()?),
        Verb::Serve { folder, port, cut, stall } => serve(&folder, port, cut, stall)?,
        Verb::Exec { host, command } => {
            let argv: Vec<&str> = command.iter().map(String::as_str).collect();
            return Ok(code(Machines::open()?.attach(&host, &argv)?));
        }
        Verb::Ssh { host, command } => return Ok(code(Machines::open()?.ssh(&host, &command)?)),
        Verb::Cut { host } => Machines::open()?.cut(&host)?,
        Verb::Heal { host } => Machines::open()?.heal(&host)?,
        Verb::Kill { host } => Machines::open()?.kill(&host)?,
        Verb::Boot { host } => Machines::open()?.boot(&host)?,
        Verb::Reset { hosts } => {
            Machines::open()?.reset(&hosts.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn up(count: Option<usize>, shape: Option<Shape>, database: Option<Database>) -> Result<(), LabError> {
    let topology = match (count, shape) {
        (Some(count), _) => Topology::bare(count)?,
        (None, Some(Shape::Single)) => Topology::single()?,
        (None, Some(Shape::Ha) | None) => Topology::ha()?,
    };
    let topology = match database {
        Some(Database::EmptyMariadb) => topology.on(Kind::EmptyDatabase),
        Some(Database::EmptyPostgresql) => topology.on(Kind::EmptyPostgresql),
        Some(Database::Mariadb) | None => topology,
    };
    let begun = std::time::Instant::now();
    let machines = Machines::up(&topology, Owner::Person)?;
    println!("{} hosts are up after {:.1} s", machines.hosts().len(), begun.elapsed().as_secs_f64());
    status(&machines);
    println!("\nssh -F {} HOST", machines.ssh_config().display());
    println!("inventory of the bare hosts: {}", machines.inventory().display());
    Ok(())
}

fn rehearse() -> ExitCode {
    let distributions = Distributions::ready();
    let rehearsal = match Rehearsal::up(rehearsal::NODES, &distributions) {
        Ok(rehearsal) => rehearsal,
        Err(error) => {
            eprintln!("lab: {error}");
            return ExitCode::FAILURE;
        }
    };
    let inventory = rehearsal.write();
    for (what, verb) in [
        ("first apply: from bare hosts to a healthy cluster", "apply"),
        ("status of the cluster", "status"),
        ("second apply: nothing to change", "apply"),
    ] {
        println!("\n== {what}\n\n$ apim-deploy {verb} {}", inventory.display());
        let ended = std::process::Command::new(program("apim-deploy")).arg(verb).arg(&inventory).status();
        match ended {
            Ok(status) if status.success() => {}
            Ok(status) => return code(status),
            Err(error) => {
                eprintln!("lab: cannot start apim-deploy: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "\nThe hosts were part of this process and end with it. As root, `make demo` leaves nine machines running."
    );
    ExitCode::SUCCESS
}

fn serve(folder: &Path, port: u16, cut: Option<u64>, stall: Option<u64>) -> Result<(), LabError> {
    let server = FileServer::start(folder, (machine::BRIDGE_ADDRESS, port))
        .map_err(|source| LabError::File { what: "serve", path: folder.to_owned(), source })?;
    server.trouble(match (cut, stall) {
        (Some(count), _) => Trouble::CutOnce(count),
        (None, Some(count)) => Trouble::Stall(count),
        (None, None) => Trouble::None,
    });
    println!("{} at {}", folder.display(), server.url());
    server.wait();
    Ok(())
}

fn status(machines: &Machines) {
    for host in machines.hosts() {
        let power = if machines.is_on(&host.name) { "on" } else { "off" };
        let ssh = if machines.answers(&host.name) { "answers" } else { "silent" };
        println!("{:<10} {:<12} {:<16} {power:<4} ssh {ssh}", host.name, host.address, host.group);
    }
}

fn code(status: std::process::ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(1));
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
