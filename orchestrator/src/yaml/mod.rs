//! Reading YAML with places: every value knows its file, line and column, and every mistake shows them.
//!
//! `parse` reads a file's text; `MapReader` takes typed values out of it and collects all mistakes; `mistake` shows them.

mod mistake;
mod node;
mod reader;

pub use mistake::{Mistake, Mistakes, nearest};
pub use node::{Key, Kind, Node, SourceFile, Span};
pub use reader::MapReader;
