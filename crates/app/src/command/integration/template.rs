//! `supercargo integration template`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use supercargo_engine::store::Integration;

use super::given::PublicUrlArgs;
use super::show::tell_next;
use super::webhook::{self, ApplyArgs};
use super::{find, open};
use crate::command::list::{ListFormat, print_failed};
use crate::integrations::KeyArgs;
use crate::setup::{Choices, EventWay, Setup, Template};
use crate::watch::args::DataArgs;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli};

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
    #[arg(long, value_name = "ARN", value_parser = principal)]
    principal: Option<String>,

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

fn principal(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let is_arn = matches!(parts[..], ["arn", partition, "iam" | "sts", "", account, who]
        if partition.starts_with("aws") && account.len() == 12 && !who.is_empty());
    match is_account || is_arn {
        true => Ok(text.to_owned()),
        false => Err("expected an ARN such as arn:aws:iam::123456789012:role/supercargo, or an account".to_owned()),
    }
}

/// A template within JSON.
#[derive(Serialize)]
struct Printed<'a> {
    template: &'a str,
    about: &'a str,
    file: &'a str,
    costs: &'a [&'a str],
    next: &'a [String],
    text: &'a str,
}

pub(super) fn run(args: &TemplateArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory.clone()).await?;
        let integration = find(&*store, &args.name).await?;
        let integrations = crate::integrations::to_change(store, &directory, &args.key, environment)?;
        let credentials = integrations.credentials(&integration).await?;
        let secret = credentials.event_secrets.first().map(|secret| secret.expose());
        let setup = open::setup(&integration, secret, args.public_url.given(), args.principal.as_deref())?;
        if args.apply.is_given() {
            webhook::apply(&args.apply, &setup, &credentials, environment, output).await?;
            return Ok(Exit::Done);
        }
        let template = choose(args, &integration, &setup)?;
        let choices = Choices { dead_letter_queue: args.dead_letter_queue, pull_only: args.pull_only };
        for (flag, given, option) in [
            ("--dead-letter-queue", args.dead_letter_queue, "dead-letter-queue"),
            ("--pull-only", args.pull_only, "pull-only"),
        ] {
            if given && !template.has(option) {
                return Err(Error::usage(vec![format!("{flag}: {} has no such choice", template.about)]));
            }
        }
        let text = template.fill(&setup, choices)?;
        print(args, template, &setup, &text, output)?;
        Ok(Exit::Done)
    })
}

fn choose(args: &TemplateArgs, integration: &Integration, setup: &Setup<'_>) -> Result<&'static Template> {
    let events = setup.events();
    let mut known = Template::of(setup.kind, events).peekable();
    if known.peek().is_none() {
        let why = match events {
            EventWay::None => "its events are set to none, and nothing has to be set up for polling",
            _ => "there is none for it",
        };
        return Err(Error::new(ErrorKind::NotFound, format!("find a template for {}: {why}", integration.name)));
    }
    let Some(form) = &args.form else {
        return known.next().ok_or_else(|| Error::new(ErrorKind::NotFound, "find a template"));
    };
    let names: Vec<&str> = Template::of(setup.kind, events).map(|template| template.name).collect();
    known.find(|template| template.name == form).ok_or_else(|| {
        Error::usage(vec![format!("--as: {form:?} is none of those for {}: {}", integration.name, names.join(", "))])
    })
}

fn print(args: &TemplateArgs, template: &Template, setup: &Setup<'_>, text: &str, output: &mut Output) -> Result<()> {
    let file = args.write.as_ref().map_or_else(|| template.file.to_owned(), |path| path.display().to_string());
    let next = template.next(setup, &file);
    if let Some(path) = &args.write {
        write_secretly(path, text).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
        output.say(format_args!("{}: {}", path.display(), template.about));
    }
    match args.output {
        ListFormat::Json => {
            let Template { name, about, costs, .. } = *template;
            let printed = Printed { template: name, about, file: &file, costs, next: &next, text };
            let json = serde_json::to_string_pretty(&printed).map_err(|error| Error::failed("print", error))?;
            writeln!(output.out(), "{json}").map_err(print_failed)?;
        }
        ListFormat::Table if args.write.is_none() => {
            output.out().write_all(text.as_bytes()).map_err(print_failed)?;
        }
        ListFormat::Table => {}
    }
    output.flush().map_err(print_failed)?;
    output.say("costs:");
    for cost in template.costs {
        output.say(format_args!("  {cost}"));
    }
    tell_next(&next, output);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_assume_the_role() {
        for fits in
            ["123456789012", "arn:aws:iam::123456789012:role/a", "arn:aws-cn:sts::123456789012:assumed-role/a/b"]
        {
            assert!(principal(fits).is_ok(), "{fits}");
        }
        for bad in
            ["", "*", "12345678901", "arn:aws:iam::123:role/a", "arn:aws:s3:::bucket", "arn:aws:iam::123456789012:"]
        {
            assert!(principal(bad).is_err(), "{bad}");
        }
    }
}
