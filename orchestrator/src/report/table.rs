//! Tables without borders, with optional colours.

use comfy_table::{Cell, CellAlignment, Color, presets};

use super::style::{Style, harmless};

/// Meaning of a cell; selects its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Neutral.
    Plain,
    /// Success.
    Good,
    /// A change, pending or applied.
    Change,
    /// A failure.
    Bad,
}

/// A table builder.
pub struct Table {
    table: comfy_table::Table,
    style: Style,
}

impl Table {
    /// Returns a table with these headers; a leading `>` right-aligns the column.
    #[must_use]
    pub fn new(style: Style, heads: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(heads.iter().map(|head| head.trim_start_matches('>')));
        for (column, head) in table.column_iter_mut().zip(heads) {
            if head.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if style.is_coloured() {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        Self { table, style }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = (String, Paint)>) {
        let coloured = self.style.is_coloured();
        self.table.add_row(cells.into_iter().map(|(text, paint)| {
            let cell = Cell::new(harmless(&text));
            match paint {
                Paint::Good if coloured => cell.fg(Color::DarkGreen),
                Paint::Change if coloured => cell.fg(Color::DarkYellow),
                Paint::Bad if coloured => cell.fg(Color::DarkRed),
                Paint::Plain | Paint::Good | Paint::Change | Paint::Bad => cell,
            }
        }));
    }

    /// Renders the table without trailing spaces.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<String> =
            self.table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n") + "\n"
    }
}
