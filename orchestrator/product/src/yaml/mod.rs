//! YAML parsing with source positions: every value knows its file, line and column, and every error
//! shows them.
//!
//! `bounded` reads files and `parse` parses their text. `MapReader` extracts typed values and
//! collects all errors. `show` and `hide` print errors without revealing secrets. `value` is the
//! untyped model that templates use and that is written back as YAML.

mod bounded;
mod build;
mod hide;
mod mistake;
mod node;
mod reader;
mod scalar;
mod show;
mod syntax;
mod value;

pub use bounded::{ReadError, read_bounded, read_text, take};
pub use build::{FILE_BYTES, parse};
pub use hide::sounds_secret;
pub use mistake::{Mistake, Mistakes, nearest};
pub use node::{Key, Kind, Node, Open, Sealed, SourceFile, Span};
pub use reader::MapReader;
pub use scalar::{looks_templated, resolve};
pub use show::Colours;
pub use value::{Value, from_value, to_value, write};

#[cfg(test)]
mod tests;
