//! The diagram as SVG: a column per layer, a box per vertex, curves between them; no scripts, no
//! embedded fonts.

use super::{Arrow, Graph, Kind, Layer, Vertex};

const NARROWEST: usize = 200;
/// The estimated width of a bold letter, rounded up.
const LETTER: usize = 8;
const GAP_ACROSS: usize = 130;
const GAP_DOWN: usize = 28;
const MARGIN: usize = 30;
const HEADER: usize = 26;
const LINE: usize = 16;
const LEGEND: usize = 44;
const LEGEND_STEP: usize = 150;

/// The position of a vertex.
struct Placed<'a> {
    vertex: &'a Vertex,
    column: usize,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Placed<'_> {
    const fn middle(&self) -> usize {
        self.y + self.height / 2
    }
}

/// Returns the SVG document.
pub(super) fn written(graph: &Graph) -> String {
    let mut layers: Vec<Layer> = graph.vertices.iter().map(|vertex| vertex.layer).collect();
    layers.dedup();
    let columns: Vec<Vec<&Vertex>> = layers
        .iter()
        .map(|layer| graph.vertices.iter().filter(|vertex| vertex.layer == *layer).collect())
        .collect();
    let longest = graph.vertices.iter().flat_map(|vertex| {
        let host = vertex.host.iter().map(|host| host.chars().count() + 5);
        host.chain(vertex.lines.iter().map(|line| line.chars().count())).chain([vertex.title.chars().count()])
    });
    let wide = longest.max().map_or(NARROWEST, |letters| NARROWEST.max(letters * LETTER + 20));
    let tallest = columns.iter().map(|column| column_height(column)).max().unwrap_or(0);
    let mut placed: Vec<Placed<'_>> = Vec::new();
    for (column, vertices) in columns.iter().enumerate() {
        let x = MARGIN + column * (wide + GAP_ACROSS);
        let mut y = MARGIN + (tallest - column_height(vertices)) / 2;
        for vertex in vertices {
            placed.push(Placed { vertex, column, x, y, width: wide, height: height(vertex) });
            y += height(vertex) + GAP_DOWN;
        }
    }
    let width = 2 * MARGIN + columns.len() * (wide + GAP_ACROSS) - GAP_ACROSS.min(columns.len() * GAP_ACROSS);
    let width = width.max(2 * MARGIN + Kind::ALL.len() * LEGEND_STEP);
    let total = tallest + 2 * MARGIN + LEGEND;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" width=\"{width}\" height=\"{total}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<defs>\n"
    );
    for kind in Kind::ALL {
        text.push_str(&format!(
            "<marker id=\"{0}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
             <path d=\"M0 0L8 4L0 8z\" fill=\"{1}\"/></marker>\n",
            mark(kind),
            colour(kind)
        ));
    }
    text.push_str("</defs>\n");
    for arrow in &graph.arrows {
        text.push_str(&curve(arrow, &placed));
    }
    for one in &placed {
        text.push_str(&boxed(one));
    }
    text.push_str(&legend(total - LEGEND / 2));
    text.push_str("</svg>\n");
    text
}

fn height(vertex: &Vertex) -> usize {
    HEADER + 8 + (vertex.lines.len() + usize::from(vertex.host.is_some())) * LINE
}

fn column_height(column: &[&Vertex]) -> usize {
    column.iter().map(|vertex| height(vertex) + GAP_DOWN).sum::<usize>().saturating_sub(GAP_DOWN)
}

fn boxed(one: &Placed<'_>) -> String {
    let Placed { vertex, x, y, width, height, .. } = one;
    let fill = match vertex.layer {
        Layer::Clients => "#f2f2f2",
        Layer::Balancer => "#e7e0f5",
        Layer::Edge => "#dcebf9",
        Layer::Core => "#fdebd8",
        Layer::Traffic => "#e6f2d9",
        Layer::Data => "#ececec",
    };
    let mut text = format!(
        "<g><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{fill}\" stroke=\"#444444\"/>\n\
         <text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\n",
        x + 10,
        y + 18,
        escaped(&vertex.title)
    );
    let host = vertex.host.iter().map(|host| format!("host {host}"));
    for (number, line) in host.chain(vertex.lines.iter().cloned()).enumerate() {
        text.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" fill=\"#333333\">{}</text>\n",
            x + 10,
            y + HEADER + 12 + number * LINE,
            escaped(&line)
        ));
    }
    text.push_str("</g>\n");
    text
}

/// Draws an arrow between the nearest sides of two boxes; within a column it curves to the right.
fn curve(arrow: &Arrow, placed: &[Placed<'_>]) -> String {
    let find = |id: &str| placed.iter().find(|one| one.vertex.id == id);
    let (Some(from), Some(to)) = (find(&arrow.from), find(&arrow.to)) else { return String::new() };
    // Several kinds between the same boxes are drawn in parallel.
    let lane = Kind::ALL.iter().position(|kind| *kind == arrow.kind).unwrap_or(0) * 7;
    let (start_y, end_y) = (from.middle() + lane, to.middle() + lane);
    let (start, end, first, second) = if from.column == to.column {
        let right = from.x + from.width;
        (right, right, right + 60, right + 60)
    } else if from.column < to.column {
        let (start, end) = (from.x + from.width, to.x);
        (start, end, start + GAP_ACROSS / 2, end - GAP_ACROSS / 2)
    } else {
        let (start, end) = (from.x, to.x + to.width);
        (start, end, start.saturating_sub(GAP_ACROSS / 2), end + GAP_ACROSS / 2)
    };
    let dashes = match arrow.kind {
        Kind::Events => " stroke-dasharray=\"6 3\"",
        Kind::Throttling => " stroke-dasharray=\"2 3\"",
        Kind::Http | Kind::Sql => "",
    };
    format!(
        "<path d=\"M{start} {start_y}C{first} {start_y} {second} {end_y} {end} {end_y}\" fill=\"none\" stroke=\"{}\" \
         stroke-width=\"1.3\" opacity=\"0.75\"{dashes} marker-end=\"url(#{})\"><title>{} to {}: {} {arrow}</title></path>\n",
        colour(arrow.kind),
        mark(arrow.kind),
        escaped(&from.vertex.title),
        escaped(&to.vertex.title),
        arrow.kind.words()
    )
}

fn legend(y: usize) -> String {
    let mut text = String::new();
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let x = MARGIN + number * LEGEND_STEP;
        text.push_str(&format!(
            "<path d=\"M{x} {y}h24\" stroke=\"{}\" stroke-width=\"2\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
            colour(kind),
            x + 30,
            y + 4,
            kind.words()
        ));
    }
    text
}

const fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "#1f5fa8",
        Kind::Events => "#b3541e",
        Kind::Throttling => "#6b8e23",
        Kind::Sql => "#777777",
    }
}

const fn mark(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => "http",
        Kind::Events => "events",
        Kind::Throttling => "throttling",
        Kind::Sql => "sql",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
