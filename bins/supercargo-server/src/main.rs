//! supercargo-server
fn main() {}
