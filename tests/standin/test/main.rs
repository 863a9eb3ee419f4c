//! Tests of the stand-in distributions: their behaviour is the known behaviour of the product. Each node has
//! its own loopback address, so that tests use default ports and run in parallel.

mod archive;
mod cluster;
mod faults;
mod node;
mod scripts;
