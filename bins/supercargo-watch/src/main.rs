//! supercargo-watch
fn main() {}
