//! How a process ends.

use std::process::ExitCode;

/// How a command ended, as its exit code says it. Scripts depend on the numbers: they do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for is done.
    Done = 0,
    /// It failed. Standard error says why.
    Failed = 1,
    /// The command line or the configuration makes no sense, or asks for what is not there yet.
    Usage = 2,
    /// A part of it is done and a part failed.
    Partial = 3,
    /// Stopped by a second interrupt, before the work under way was given back.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
