//! Keys of the file that are flags.

use clap::{Arg, Command};

use super::Origin;

/// A key of the file and the flag that it stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// As the file has it, with the table before it.
    pub(crate) key: &'static str,
    /// The flag's identifier.
    pub(crate) arg: &'static str,
    pub(crate) shape: Shape,
}

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A text, a number, or a truth: the flag decides.
    One,
    /// The path of a file or a folder.
    Path,
    /// A list.
    List,
}

const fn known(key: &'static str, arg: &'static str, shape: Shape) -> Known {
    Known { key, arg, shape }
}

/// All of them. A program that has no such flag passes over the key: one file serves both.
pub(crate) const KNOWN: &[Known] = &[
    known("data", "data", Shape::Path),
    known("key-file", "key_file", Shape::Path),
    known("interval", "interval", Shape::One),
    known("tag-sweep", "tag_sweep", Shape::One),
    known("event-patience", "event_patience", Shape::One),
    known("workers", "workers", Shape::One),
    known("all-images", "all_images", Shape::One),
    known("refresh-registry", "refresh_registry", Shape::One),
    known("repositories", "repository", Shape::List),
    known("tags", "tag", Shape::List),
    known("organization", "org", Shape::One),
    known("sbom", "sbom", Shape::One),
    known("dry-run", "dry_run", Shape::One),
    known("send-env-values", "send_env_values", Shape::One),
    known("server.listen", "listen", Shape::One),
    known("server.public-url", "public_url", Shape::One),
    known("server.tls-certificate", "tls_certificate", Shape::Path),
    known("server.tls-key", "tls_key", Shape::Path),
    known("server.event-secret-file", "event_secret_file", Shape::Path),
    known("server.event-header", "event_header", Shape::One),
    known("server.api-token-file", "api_token_file", Shape::Path),
    known("server.insecure-open-api", "insecure_open_api", Shape::One),
    known("log.filter", "log", Shape::One),
    known("log.format", "log_format", Shape::One),
];

/// A value of the file for a flag.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) arg: &'static str,
    pub(crate) values: Vec<String>,
    pub(crate) at: Origin,
}

impl Setting {
    fn has_flag(&self, command: &Command) -> bool {
        command.get_arguments().any(|arg| arg.get_id() == self.arg)
    }

    fn apply(&self, command: Command) -> Command {
        if !self.has_flag(&command) {
            return command;
        }
        let values = self.values.clone();
        command.mut_arg(self.arg, |arg: Arg| arg.default_values(values))
    }
}

/// The command with the file's values as its flags' defaults.
///
/// # Errors
///
/// What the flags think of the values, each with its line and key.
pub(crate) fn apply(command: &Command, settings: &[Setting]) -> Result<Command, Vec<String>> {
    let mut problems = Vec::new();
    for setting in settings {
        // One at a time, since a parser stops at the first that is wrong.
        let alone = setting.apply(command.clone()).try_get_matches_from([command.get_name()]);
        if let Err(error) = alone {
            problems.push(format!("{}: {}: {}", setting.at, setting.key, brief(&error)));
        }
    }
    if problems.is_empty() {
        Ok(settings.iter().fold(command.clone(), |command, setting| setting.apply(command)))
    } else {
        Err(problems)
    }
}

/// The first sentence of what a parser has to say, without what only makes sense on a command line.
fn brief(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
