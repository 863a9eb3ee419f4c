//! The plan: everything that is to be done, as a value. Pure: building one touches nothing but the named files.

pub mod model;
