//! From a command line to an exit code.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};

use clap::{Command, Parser};

use crate::config::{Config, settings};
use crate::{Error, Exit, Output, Result};

/// Parses `args`, runs `command`, and tells what went wrong.
pub(crate) fn run<A: Parser>(
    args: impl IntoIterator<Item = OsString>,
    output: &mut Output,
    command: impl FnOnce(A, &mut Output) -> Result<Exit>,
) -> Exit {
    let args = match A::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return refuse(&error, output),
    };
    finish(command(args, output), output)
}

/// Tells what went wrong.
fn finish(result: Result<Exit>, output: &mut Output) -> Exit {
    let result = result.and_then(|exit| {
        output.flush().map_err(|error| Error::io("print", error))?;
        Ok(exit)
    });
    match result {
        Ok(exit) => exit,
        // Whoever read the output has seen enough, as `head` does.
        Err(error) if error.is_broken_pipe() => Exit::Done,
        Err(error) => {
            let _ = output.flush();
            error.report(output);
            error.exit()
        }
    }
}

/// The same for programs with a configuration file: what it says are the defaults of their flags.
pub(crate) fn run_configured<A: Parser>(
    args: impl IntoIterator<Item = OsString>,
    output: &mut Output,
    command: impl FnOnce(A, Config, &mut Output) -> Result<Exit>,
) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let definition = A::command();
    let config = match definition.clone().try_get_matches_from(&args) {
        Ok(matches) => match matches.get_one::<PathBuf>("config") {
            Some(path) => configure(&definition, path),
            None => Ok((definition, Config::default())),
        },
        Err(error) => return refuse(&error, output),
    };
    let (definition, config) = match config {
        Ok(configured) => configured,
        Err(problems) => {
            let error = Error::usage(problems);
            error.report(output);
            return error.exit();
        }
    };
    let parsed = definition.try_get_matches_from(&args).and_then(|matches| A::from_arg_matches(&matches));
    match parsed {
        Ok(args) => finish(command(args, config, output), output),
        Err(error) => refuse(&error, output),
    }
}

/// The definition with a file's values as its defaults.
///
/// # Errors
///
/// Everything that is wrong with the file.
pub(crate) fn configure(definition: &Command, path: &Path) -> Result<(Command, Config), Vec<String>> {
    let config = Config::read(path)?;
    Ok((settings::apply(definition, &config.settings)?, config))
}

/// Help and version were asked for; anything else is a mistake.
fn refuse(error: &clap::Error, output: &mut Output) -> Exit {
    if error.use_stderr() {
        output.say(error.render().to_string().trim_end());
        return Exit::Usage;
    }
    // `supercargo --help | head` closes early; there is nobody to tell.
    let _ = write!(output.out(), "{}", error.render());
    let _ = output.flush();
    Exit::Done
}

/// Runs a future on a runtime of its own.
///
/// # Errors
///
/// Those of the future; or that the runtime cannot be made.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io("start the runtime", error))?;
    let result = runtime.block_on(future);
    // A layer that is being read on a blocking thread would otherwise be read to its end first.
    runtime.shutdown_background();
    result
}
