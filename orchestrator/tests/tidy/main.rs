//! The rules of ARCHITECTURE.md and docs/style.md that the compiler does not know: no circles between files, sizes of files and
//! functions, one home per outside crate, an agent without a product word, plain words in texts.

mod circles;
mod homes;
mod sizes;
mod sources;
mod words;
