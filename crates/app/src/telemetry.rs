//! The log: to standard error, for people or for machines.

use std::fmt;
use std::io;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::flag::{self, Flag};
use crate::{Environment, Error, ErrorKind, Result};

/// The log's format and level.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// How the log is written to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Human, env = "SUPERCARGO_LOG_FORMAT", hide_env_values = true, value_name = "FORMAT", help_heading = "Log", global = true)]
    pub(crate) log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, or directives such as info,supercargo_engine=debug
    #[arg(
        long,
        env = "SUPERCARGO_LOG",
        hide_env_values = true,
        value_name = "FILTER",
        help_heading = "Log",
        global = true
    )]
    pub(crate) log: Option<String>,

    /// As --log debug
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = flag::parse, global = true)]
    pub(crate) debug: Flag,

    /// As --log trace
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = flag::parse, global = true)]
    pub(crate) verbose_debug: Flag,

    /// What is logged unless one of the above says otherwise.
    #[arg(skip = Level::INFO)]
    base: Level,
}

impl LogArgs {
    /// The same for commands that end soon: what they have to say, they print.
    pub(crate) fn quieter(&self) -> Self {
        Self { base: Level::WARN, ..self.clone() }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Human,
    /// One JSON object per line
    Json,
}

/// Starts the log. A process has one; a second call changes nothing.
pub(crate) fn start(args: &LogArgs, environment: &Environment, color: bool) -> Result<()> {
    let level = match (args.verbose_debug.is_set(), args.debug.is_set()) {
        (true, _) => Level::TRACE,
        (false, true) => Level::DEBUG,
        (false, false) => args.base,
    };
    let directives = match &args.log {
        Some(directives) => directives.clone(),
        // Libraries speak when someone looks for trouble, and not before. What AWS refuses comes back as an error, which is
        // told once, and not with every attempt.
        None => format!(
            "warn,aws_config=error,supercargo={level},supercargo_app={level},supercargo_engine={level},supercargo_index={level},\
            supercargo_registry={level},supercargo_server={level},supercargo_store={level}"
        ),
    };
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| Error::new(ErrorKind::Usage, format!("read the log filter {directives:?}: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_timer(Seconds)
        .with_ansi(color && environment.wants_color());
    // Only a second start fails, and then there is a log.
    let _ = match args.log_format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_ansi(false).try_init(),
    };
    Ok(())
}

/// RFC 3339, in whole seconds: what comes in between is in the order of the lines.
struct Seconds;

impl FormatTime for Seconds {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default())
    }
}
