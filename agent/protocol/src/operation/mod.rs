//! Operations: parts of the desired state of a host, and what the orchestrator must know of each.
//!
//! One file per operation. A new one is a file here with its [`Describe`], a line in `operations!` below, and a file with its
//! `Converge` in the agent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::value::Content;
use describe::Describe;

pub mod absent;
pub mod account;
pub mod archive;
pub mod block;
pub mod bundle;
pub mod command;
pub mod describe;
pub mod directory;
pub mod download;
pub mod execute;
pub mod file;
pub mod group;
pub mod line;
pub mod link;
pub mod prune;
pub mod remove_account;
pub mod revert;
pub mod sysctl;
pub mod uninstall_releases;
pub mod unit;
pub mod version;
pub mod wait;

/// No operation may take longer than this without a sign of progress.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident($data:ty),)+) => {
        /// One typed, idempotent part of the desired state of a host.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Operation {
            $($(#[$doc])* $variant($data),)+
        }

        impl Operation {
            fn data(&self) -> &dyn Describe {
                match self {
                    $(Self::$variant(data) => data,)+
                }
            }
        }
    };
}

operations! {
    /// A folder exists, with this mode and owner.
    Directory(directory::Directory),
    /// A file contains these bytes.
    File(file::File),
    /// A symbolic link has this target.
    Link(link::Link),
    /// A path does not exist.
    Absent(absent::Absent),
    /// An archive is unpacked at this folder.
    Archive(archive::Archive),
    /// Of the archives unpacked in a folder, only the newest are kept.
    Prune(prune::Prune),
    /// Unpacked archives in a folder are removed for good, with the managed files around it.
    UninstallReleases(uninstall_releases::UninstallReleases),
    /// A file was fetched from a URL.
    Download(download::Download),
    /// The files of one service are up to date, and it has loaded them.
    Bundle(bundle::Bundle),
    /// A file contains managed lines between markers.
    Block(block::Block),
    /// A file contains one line.
    Line(line::Line),
    /// A group exists.
    Group(group::Group),
    /// An account exists.
    Account(account::Account),
    /// An account that apim-deploy created is removed.
    RemoveAccount(remove_account::RemoveAccount),
    /// A command was run.
    Command(command::Command),
    /// A service is installed and in the desired state.
    Unit(Box<unit::Unit>),
    /// A service runs from a release that it ran from before.
    Revert(Box<revert::Revert>),
    /// Some conditions hold, within a deadline.
    Wait(Box<wait::Wait>),
    /// The kernel has these values.
    Sysctl(sysctl::Sysctl),
    /// A program was run once, and its output returned.
    Execute(execute::Execute),
}

impl Operation {
    /// See [`Describe::contents`].
    #[must_use]
    pub fn contents(&self) -> Vec<Content> {
        self.data().contents()
    }

    /// See [`Describe::is_host_local`].
    #[must_use]
    pub fn is_host_local(&self) -> bool {
        self.data().is_host_local()
    }

    /// See [`Describe::own_deadline`]; at most a day.
    #[must_use]
    pub fn own_deadline(&self) -> Duration {
        self.data().own_deadline().min(LONGEST)
    }

    /// See [`Describe::file`].
    #[must_use]
    pub fn file(&self) -> Option<String> {
        self.data().file()
    }
}

/// Whether changes may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Report what would change.
    Check,
    /// Change what differs.
    Apply,
}
