//! `init`: create an inventory, interactively or from flags. The result is validated.

use std::path::PathBuf;

use super::command::Command;
use crate::app::exit::{Exit, Kind};
use crate::app::init::{self, InitRequest};
use apim_product::inventory_template::{Database, Shape};
use apim_product::release::Version;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Inventory file to create
    #[arg(default_value = "inventory.yaml")]
    file: PathBuf,
    /// Set the shape of the cluster: single, ha, production-sandbox, multi-region, all-in-one
    /// [default: interactive prompts]
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    shape: Option<Shape>,
    /// Set the version of API Manager [default: 4.6.0]
    #[arg(long = "api-manager", value_name = "VERSION", value_parser = Version::parse)]
    version: Option<Version>,
    /// Set the domain of the hosts and of the public endpoints [default: example.com]
    #[arg(long)]
    domain: Option<String>,
    /// Set the login account on the hosts [default: deploy]
    #[arg(long)]
    user: Option<String>,
    /// Set the location of the zips: a URL, or a folder relative to the inventory [default:
    /// distributions]
    #[arg(long, value_name = "FOLDER|URL")]
    source: Option<String>,
    /// Set the JDK folder on the hosts [default: /opt/java/jdk-21]
    #[arg(long, value_name = "FOLDER")]
    java_home: Option<String>,
    /// Set the database: mysql, postgresql, h2 [default: mysql; h2 for all-in-one]
    #[arg(long, value_parser = database)]
    database: Option<Database>,
    /// Set the name or address of the database server [default: db.DOMAIN]
    #[arg(long, value_name = "HOST")]
    database_host: Option<String>,
    /// Set the IPv4 addresses of the hosts, in this order: key managers, gateways, control planes,
    /// traffic managers, load balancer
    #[arg(long, value_delimiter = ',', value_name = "ADDRESSES")]
    addresses: Vec<std::net::Ipv4Addr>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

impl Command for Args {
    fn is_json(&self) -> bool {
        false
    }

    fn run(self: Box<Self>) -> Result<Kind, Exit> {
        let Self {
            file,
            shape,
            version,
            domain,
            user,
            source,
            java_home,
            database,
            database_host,
            addresses,
            force,
        } = *self;
        init::run(&InitRequest {
            file,
            shape,
            version,
            domain,
            user,
            source,
            java_home,
            database,
            database_host,
            addresses,
            force,
        })
    }
}

/// A word that is not one of the known ones.
#[derive(Debug, thiserror::Error)]
#[error("must be one of {0}")]
struct NotOneOf(String);

fn shape(text: &str) -> Result<Shape, NotOneOf> {
    one_of(text, &Shape::WORDS)
}

fn database(text: &str) -> Result<Database, NotOneOf> {
    one_of(text, &Database::WORDS)
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, NotOneOf> {
    let known = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    known.ok_or_else(|| NotOneOf(words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")))
}
