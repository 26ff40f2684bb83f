//! supercargo-lambda
fn main() {}
