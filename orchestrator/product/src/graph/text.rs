//! The diagram for Graphviz and Mermaid. Names come from the inventory and are escaped for each
//! language.

use super::{Arrow, Graph, Kind, Layer, Vertex};

/// Returns the graph in Graphviz's language.
pub(super) fn dot(graph: &Graph) -> String {
    let mut text = "digraph cluster {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"];\n  \
                    edge [fontname=\"sans-serif\", fontsize=10];\n"
        .to_owned();
    for (host, vertices) in by_host(graph) {
        let indent = if let Some(host) = host {
            text.push_str(&format!("  subgraph \"cluster_{0}\" {{\n    label=\"{0}\";\n", quoted(host)));
            "    "
        } else {
            "  "
        };
        for vertex in vertices {
            let mut lines = vec![vertex.title.as_str()];
            lines.extend(vertex.lines.iter().map(String::as_str));
            let label: Vec<String> = lines.into_iter().map(quoted).collect();
            text.push_str(&format!("{indent}{} [label=\"{}\"];\n", vertex.id, label.join("\\n")));
        }
        if host.is_some() {
            text.push_str("  }\n");
        }
    }
    for layer in layers(graph) {
        let ids: Vec<&str> = graph
            .vertices
            .iter()
            .filter(|vertex| vertex.layer == layer)
            .map(|vertex| vertex.id.as_str())
            .collect();
        // Graphviz does not rank nodes across clusters (the host boxes), so invisible edges order
        // the layers.
        if let (Some(first), Some(next)) = (ids.first(), next_of(graph, layer)) {
            text.push_str(&format!("  {first} -> {next} [style=invis];\n"));
        }
    }
    for arrow in &graph.arrows {
        let style = match arrow.kind {
            Kind::Http => "color=\"#1f5fa8\"",
            Kind::Events => "color=\"#b3541e\", style=dashed",
            Kind::Throttling => "color=\"#6b8e23\", style=dotted",
            Kind::Sql => "color=\"#777777\"",
        };
        text.push_str(&format!("  {} -> {} [label=\"{arrow}\", {style}];\n", arrow.from, arrow.to));
    }
    text.push_str("}\n");
    text
}

/// Returns the graph in Mermaid's language.
pub(super) fn mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (number, (host, vertices)) in by_host(graph).into_iter().enumerate() {
        if let Some(host) = host {
            text.push_str(&format!("  subgraph host_{number}[\"{}\"]\n", entities(host)));
        }
        for vertex in vertices {
            let mut lines = vec![entities(&vertex.title)];
            lines.extend(vertex.lines.iter().map(|line| entities(line)));
            text.push_str(&format!("    {}[\"{}\"]\n", vertex.id, lines.join("<br/>")));
        }
        if host.is_some() {
            text.push_str("  end\n");
        }
    }
    for arrow in &graph.arrows {
        let line = match arrow.kind {
            Kind::Http => "-->",
            Kind::Events => "-.->",
            Kind::Throttling => "-.-o",
            Kind::Sql => "==>",
        };
        text.push_str(&format!("  {} {line}|\"{}\"| {}\n", arrow.from, words(arrow), arrow.to));
    }
    text
}

fn words(arrow: &Arrow) -> String {
    format!("{} {arrow}", arrow.kind.words())
}

/// Groups vertices by host, in order. Vertices without a host form one group each.
fn by_host(graph: &Graph) -> Vec<(Option<&str>, Vec<&Vertex>)> {
    let mut groups: Vec<(Option<&str>, Vec<&Vertex>)> = Vec::new();
    for vertex in &graph.vertices {
        let host = vertex.host.as_deref();
        match groups.iter_mut().find(|(known, _)| host.is_some() && *known == host) {
            Some((_, vertices)) => vertices.push(vertex),
            None => groups.push((host, vec![vertex])),
        }
    }
    groups
}

fn layers(graph: &Graph) -> Vec<Layer> {
    let mut layers: Vec<Layer> = graph.vertices.iter().map(|vertex| vertex.layer).collect();
    layers.dedup();
    layers
}

/// The first vertex of the next layer.
fn next_of(graph: &Graph, layer: Layer) -> Option<&str> {
    graph.vertices.iter().find(|vertex| vertex.layer > layer).map(|vertex| vertex.id.as_str())
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Mermaid supports HTML entities, with `#` instead of `&`.
fn entities(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || " .,:-/()_".contains(c) {
            out.push(c);
        } else {
            out.push_str(&format!("#{};", u32::from(c)));
        }
    }
    out
}
