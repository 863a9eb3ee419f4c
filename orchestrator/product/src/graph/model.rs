//! The diagram as data.

use std::fmt;

/// A column of the diagram, in request direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Clients.
    Clients,
    /// Load balancers.
    Balancer,
    /// Gateways.
    Edge,
    /// Control planes, key managers, all-in-one nodes.
    Core,
    /// Traffic managers.
    Traffic,
    /// Databases.
    Data,
}

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// API calls, portals, services: HTTP.
    Http,
    /// Events through a broker.
    Events,
    /// Throttling data.
    Throttling,
    /// SQL.
    Sql,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Http, Self::Events, Self::Throttling, Self::Sql];

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Http => "HTTP(S)",
            Self::Events => "events (broker)",
            Self::Throttling => "throttling data",
            Self::Sql => "SQL",
        }
    }
}

/// A node, a load balancer, a database server, or the clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// A unique identifier of letters, digits and `_`.
    pub id: String,
    /// The column.
    pub layer: Layer,
    /// Its host, if that is in the inventory.
    pub host: Option<String>,
    /// The display name.
    pub title: String,
    /// More lines: its address, its release, its ports.
    pub lines: Vec<String>,
}

/// A connection, in the direction in which it is opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The id of the source vertex.
    pub from: String,
    /// The id of the target vertex.
    pub to: String,
    /// What it carries.
    pub kind: Kind,
    /// The target ports.
    pub ports: Vec<u16>,
}

/// The diagram as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The vertices, layer by layer.
    pub vertices: Vec<Vertex>,
    /// The connections.
    pub arrows: Vec<Arrow>,
}

impl Graph {
    /// Adds a connection, or its ports to the existing one of this kind.
    pub(super) fn arrow(&mut self, from: &str, to: &str, kind: Kind, ports: &[u16]) {
        if from == to {
            return;
        }
        match self.arrows.iter_mut().find(|arrow| arrow.from == from && arrow.to == to && arrow.kind == kind)
        {
            Some(arrow) => {
                arrow.ports.extend(ports);
                arrow.ports.sort_unstable();
                arrow.ports.dedup();
            }
            None => self.arrows.push(Arrow {
                from: from.to_owned(),
                to: to.to_owned(),
                kind,
                ports: ports.to_vec(),
            }),
        }
    }
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        f.write_str(&ports.join(", "))
    }
}
