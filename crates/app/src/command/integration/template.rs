//! `supercargo integration template`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use supercargo_engine::setup::{Ask, Choice, Filled, Principal, Setup};
use supercargo_engine::store::NewAuditEntry;

use super::find;
use super::given::PublicUrlArgs;
use super::open::actor;
use super::show::tell_next;
use super::webhook::{self, ApplyArgs, Side};
use crate::command::list::{ListFormat, print_failed};
use crate::integrations::KeyArgs;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

#[derive(Args, Debug)]
pub(super) struct TemplateArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    /// Which template: cloudformation, terraform, arm, curl, … [default: the usual one of the registry]
    #[arg(long = "as", value_name = "TEMPLATE")]
    form: Option<String>,

    /// Keep what could not be delivered: a queue beside the others (Amazon ECR)
    #[arg(long)]
    dead_letter_queue: bool,

    /// Give the token the right to pull and not to list: repositories are then named by hand (Azure)
    #[arg(long)]
    pull_only: bool,

    /// Who may assume the role, and read the queue: the ARN of what supercargo runs as, or the number of its account [default: the registry's own account] (Amazon ECR)
    #[arg(long, value_name = "ARN")]
    principal: Option<Principal>,

    /// Write it to this file, which nobody else may read, and not to standard output: it holds the secret of the events
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    write: Option<PathBuf>,

    #[command(flatten)]
    apply: ApplyArgs,

    #[command(flatten)]
    public_url: PublicUrlArgs,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How it is printed: as it is, or within JSON
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &TemplateArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory.clone()).await?;
        let integration = find(&*store, &args.name).await?;
        let integrations = crate::integrations::to_change(store.clone(), &directory, &args.key, environment)?;
        let integration = match args.public_url.given() {
            Some(url) => integrations.keep_public_url(&args.name, url, &actor(environment)).await?,
            None => integration,
        };
        let credentials = integrations.credentials(&integration).await?;
        let setup = Setup {
            secret: credentials.event_secrets.first().map(|secret| secret.expose()),
            public_url: args.public_url.given(),
            principal: args.principal.as_ref(),
            ..Setup::of(&integration)?
        };
        // The registry's side is told the secret of the events.
        let told = NewAuditEntry::new(&actor(environment), "integration.template", &integration.name);
        if args.apply.is_given() {
            let side = Side { integration: &integration, setup: &setup, credentials: &credentials, environment };
            webhook::apply(&args.apply, &side, output).await?;
            store.record(told).await?;
            return Ok(Exit::Done);
        }
        let chosen = [(args.dead_letter_queue, Choice::DeadLetterQueue), (args.pull_only, Choice::PullOnly)];
        let choices: Vec<Choice> = chosen.into_iter().filter_map(|(given, choice)| given.then_some(choice)).collect();
        let file = args.write.as_ref().map(|path| path.display().to_string());
        let ask = Ask { form: args.form.as_deref(), choices: &choices, file: file.as_deref() };
        let filled = setup.template(&ask)?;
        store.record(told).await?;
        print(args, &filled, output)?;
        Ok(Exit::Done)
    })
}

fn print(args: &TemplateArgs, filled: &Filled, output: &mut Output) -> Result<()> {
    if let Some(path) = &args.write {
        write_secretly(path, &filled.text).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
        output.say(format_args!("{}: {}", path.display(), filled.about));
    }
    match args.output {
        ListFormat::Json => {
            let json = serde_json::to_string_pretty(filled).map_err(|error| Error::failed("print", error))?;
            writeln!(output.out(), "{json}").map_err(print_failed)?;
        }
        ListFormat::Table if args.write.is_none() => {
            output.out().write_all(filled.text.as_bytes()).map_err(print_failed)?;
        }
        ListFormat::Table => {}
    }
    output.flush().map_err(print_failed)?;
    output.say("costs:");
    for cost in &filled.costs {
        output.say(format_args!("  {}", cost.text));
    }
    tell_next(&filled.next, output);
    Ok(())
}

/// Writes a file that its owner alone may read, whole or not at all.
fn write_secretly(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".supercargo-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
