//! The command line: clap structs, one file per verb. A verb parses its flags, builds a plain
//! request and calls its use case in `app`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apply;
mod audit;
mod certs;
mod command;
mod databases;
mod diff;
mod drain;
mod exec;
mod facts;
mod graph;
mod history;
mod init;
mod inventory;
mod logs;
mod node_args;
mod options;
mod plan;
mod preflight;
mod probe;
mod remove;
mod render;
mod restart;
mod rollback;
mod start;
mod status;
mod stop;
mod time_args;
mod undrain;
mod upgrade;
mod validate;

use crate::app::exit::{self, Kind};
use crate::report::{remark, say};
use command::Command;

/// Deploy and operate WSO2 API Manager 4.5+ clusters over SSH.
#[derive(Debug, Parser)]
#[command(name = "apim-deploy", version, max_term_width = 110, infer_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// Defines the verbs and how a parsed verb becomes a [`Command`].
macro_rules! verbs {
    ($($(#[$help:meta])* $verb:ident($args:ty),)*) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($(#[$help])* $verb($args),)*
        }

        impl Verb {
            /// Returns the flags of the verb.
            fn command(self) -> Box<dyn Command> {
                match self {
                    $(Self::$verb(args) => Box::new(args),)*
                }
            }
        }
    };
}

// To add a verb, write its file, declare the module above, and add its line here.
verbs! {
    /// Apply the inventory; idempotent
    Apply(apply::Args),
    /// Show what apply would change on each host; changes nothing
    Plan(plan::Args),
    /// Upgrade nodes one at a time
    Upgrade(upgrade::Args),
    /// Roll nodes back to their previous release and its configuration
    Rollback(rollback::Args),
    /// Check inventory and playbook; contacts no host
    Validate(validate::Args),
    /// Check host prerequisites
    Preflight(preflight::Args),
    /// Audit production readiness
    Audit(audit::Args),
    /// Remove a host from the cluster and uninstall its nodes
    Remove(remove::Args),
    /// Write the files that apply would deploy to a local folder
    Render(render::Args),
    /// Show hosts, groups and variables in the format of ansible-inventory
    Inventory(inventory::Args),
    /// Show the status of each node: release, unit, health, drift
    Status(status::Args),
    /// Restart nodes, one node of a role at a time
    Restart(restart::Args),
    /// Stop nodes; stopping all nodes of a role requires --allow-outage
    Stop(stop::Args),
    /// Start stopped nodes in dependency order
    Start(start::Args),
    /// Compare the files on the hosts with the files that apply would write
    Diff(diff::Args),
    /// Show host facts: system, memory, disks, JDKs, clock, addresses, releases
    Facts(facts::Args),
    /// Show merged node logs; --follow to stream
    Logs(logs::Args),
    /// Run a command on hosts; identical output is grouped
    Exec(exec::Args),
    /// Show the runs started from this machine; verify their records
    History(history::Args),
    /// Take nodes out of rotation until `undrain` or the next apply
    Drain(drain::Args),
    /// Put nodes back in rotation
    Undrain(undrain::Args),
    /// Draw the topology: hosts, nodes, ports and connections
    Graph(graph::Args),
    /// Create an inventory, interactively or from flags
    Init(init::Args),
    /// List certificates and expiry; --issue creates missing ones
    Certs(certs::Args),
    /// Show database status; --print-sql prints the setup statements
    Databases(databases::Args),
}

/// Parses the command line, runs the verb and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    exit::catch_bugs();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.verb.command(),
        Err(error) => return usage(&error),
    };
    let json = command.is_json();
    exit::code(command.run(), json)
}

/// Prints clap's message: help and version on standard output, errors on standard error.
fn usage(error: &clap::Error) -> ExitCode {
    let text = if exit::style().is_coloured() {
        error.render().ansi().to_string()
    } else {
        error.render().to_string()
    };
    if error.use_stderr() {
        remark(&text);
        ExitCode::from(Kind::Usage.code())
    } else {
        match say(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(Kind::Failed.code()),
        }
    }
}

#[cfg(test)]
mod tests;
