//! The table of programs.
//!
//! To add a program: find what its own `--version` prints in its file (`strings -t x FILE`), see what stands around
//! it in several versions and on several architectures, and write a row with an example beside each sign. Prefer what
//! the program's own source puts there (`nginx version: nginx/`) to what compilers happen to place next to it. The
//! CPE names are those of <https://nvd.nist.gov/products/cpe/search>; none is better than a guess.

mod databases;
mod java;
mod languages;
mod servers;
mod tools;

use super::program::Program;

/// Every row, in the order in which they are tried.
pub(super) const ALL: &[&[Program]] =
    &[languages::PROGRAMS, java::PROGRAMS, databases::PROGRAMS, servers::PROGRAMS, tools::PROGRAMS];
