//! The end-to-end tests: the workspace and the real binaries, seen from outside.

mod dependencies;
