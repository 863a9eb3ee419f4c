//! What each task means in operations: one file per task.

mod draft;

pub use draft::Draft;
