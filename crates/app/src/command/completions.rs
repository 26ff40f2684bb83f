//! `supercargo completions`.

use clap::{Args, ValueEnum};
use clap_complete::{Shell, generate};

use crate::{Error, Exit, Output, Result};

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,

    /// The program
    #[arg(long, value_enum, default_value_t = Program::Supercargo, value_name = "PROGRAM")]
    program: Program,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Program {
    Supercargo,
    SupercargoWatch,
    SupercargoServer,
}

pub(super) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<Exit> {
    let mut definitions = super::definitions();
    let mut command = definitions.swap_remove(args.program as usize);
    let name = command.get_name().to_owned();
    // `generate` panics if the writer fails, and a reader that goes away is no defect.
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    output.out().write_all(&script).map_err(|error| Error::io("print", error))?;
    Ok(Exit::Done)
}
