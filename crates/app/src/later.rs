//! Programs whose time has not come.

use crate::{Exit, Output};

/// Says that `program` does nothing yet, and what to use until it does.
pub fn not_yet(program: &str, output: &mut Output) -> Exit {
    output.say(format_args!("error: {program} is not there yet: this build can only say so"));
    output.say("hint: supercargo-server receives events and indexes images on a machine of your own");
    Exit::Usage
}
