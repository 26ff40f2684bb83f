//! supercargo-azure-function
fn main() {}
