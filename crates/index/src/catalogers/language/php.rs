//! PHP: what Composer and PEAR installed, the interpreter and its extensions.

mod composer;
mod interpreter;
mod module_entry;
mod pear;
mod serialized;

pub(super) use composer::ComposerInstalled;
pub(in crate::catalogers) use composer::{LONGEST_DOCUMENT, Packages};
pub(super) use interpreter::PhpInterpreter;
pub(super) use pear::Pear;
