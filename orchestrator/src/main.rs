//! apim-deploy, the program.

fn main() {}
