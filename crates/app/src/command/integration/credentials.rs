//! `supercargo integration credentials`.

use clap::Args;
use supercargo_engine::integration::Credentials;

use super::find;
use super::given::LoginArgs;
use super::list::Item;
use super::open::actor;
use crate::command::list::{ListFormat, print_failed};
use crate::integrations::KeyArgs;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, Exit, Output, Result, cli};

#[derive(Args, Debug)]
pub(super) struct CredentialsArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,

    #[command(flatten)]
    login: LoginArgs,

    /// Forget those of the registry, of its API and of the queue: those of the machine are used
    #[arg(long, conflicts_with_all = ["user", "token_file", "api_user", "api_token_file", "queue_secret_file"])]
    forget: bool,

    /// Make a new secret for the events. The one before stays good until the next is made: set up the registry's side again (integration template), then make another
    #[arg(long)]
    new_event_secret: bool,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    data: DataArgs,

    /// How the integration is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

pub(super) fn run(args: &CredentialsArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    if !args.login.is_given() && !args.forget && !args.new_event_secret {
        let problem = "name what is to be replaced: --user with --password-file, --token-file, --queue-secret-file, --new-event-secret, --forget";
        return Err(Error::usage(vec![problem.to_owned()]));
    }
    let logins = args.login.read()?;
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = crate::data::look(directory.clone()).await?;
        find(&*store, &args.name).await?;
        let integrations = crate::integrations::to_change(store, &directory, &args.key, environment)?;
        // It is made outside, where it may fail.
        let fresh = match args.new_event_secret {
            true => Credentials::default().with_event_secret()?.event_secrets,
            false => Vec::new(),
        };
        let (forget, login) = (args.forget, args.login.is_given());
        let change = move |credentials: &mut Credentials| {
            if forget {
                (credentials.registry, credentials.api, credentials.queue) = (None, None, None);
            }
            if login {
                logins.apply(credentials);
            }
            // After it the one before: deliveries go on to be taken until the registry's side has the new one.
            credentials.event_secrets.splice(0..0, fresh);
            credentials.event_secrets.truncate(2);
        };
        let replaced = integrations.replace_credentials(&args.name, change, &actor(environment)).await?;
        if args.output == ListFormat::Json {
            let item = Item::of(&replaced);
            let text = serde_json::to_string_pretty(&item).map_err(|error| Error::failed("print", error))?;
            writeln!(output.out(), "{text}").map_err(print_failed)?;
        }
        output.flush().map_err(print_failed)?;
        output.say(format_args!("the credentials of {} are replaced; a running server tests them now", replaced.name));
        if args.new_event_secret {
            output.say(format_args!(
                "the secret of its events is new: set up the registry's side again (supercargo integration template {})",
                replaced.name
            ));
        }
        Ok(Exit::Done)
    })
}
