//! `supercargo token`: who may use the API of a server.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use supercargo_engine::store::{NewToken, Role, Token, TokenId};
use supercargo_server::TokenText;

use super::integration::actor;
use super::list::{JsonArray, ListFormat, nothing, print_failed};
use crate::table::Table;
use crate::watch::args::DataArgs;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, data};

#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token. It is printed once, and kept as a hash
    Create(CreateArgs),
    /// List the tokens, with what each allows and when it was last used
    List(ListArgs),
    /// Revoke a token, for good
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
struct CreateArgs {
    /// What to call it
    #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: String,

    /// What it allows
    #[arg(long, value_enum, default_value_t = Allowed::Viewer, value_name = "ROLE")]
    role: Allowed,

    /// Good for this integration only. May be repeated [default: good for all]
    #[arg(long, value_name = "NAME")]
    integration: Vec<String>,

    #[command(flatten)]
    data: DataArgs,

    /// How it is printed: the token alone, or with what is known of it
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Those, too, that were revoked
    #[arg(long)]
    include_revoked: bool,

    #[command(flatten)]
    data: DataArgs,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    output: ListFormat,
}

#[derive(Args, Debug)]
struct RevokeArgs {
    /// Its name, or its number as the list has it
    #[arg(value_name = "TOKEN")]
    token: String,

    #[command(flatten)]
    data: DataArgs,
}

/// A role, as the command line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Allowed {
    /// To read
    Viewer,
    /// To change what is wanted of the connected registries
    Editor,
    /// To handle credentials and tokens
    Admin,
}

impl From<Allowed> for Role {
    fn from(role: Allowed) -> Self {
        match role {
            Allowed::Viewer => Self::Viewer,
            Allowed::Editor => Self::Editor,
            Allowed::Admin => Self::Admin,
        }
    }
}

pub(super) fn run(args: &TokenArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    match &args.command {
        TokenCommand::Create(args) => create(args, environment, output),
        TokenCommand::List(args) => list(args, environment, output),
        TokenCommand::Revoke(args) => revoke(args, environment, output),
    }
}

/// A token that was just made.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    token: &'a Token,
    /// Never shown again.
    text: &'a str,
}

fn create(args: &CreateArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::make(&directory).await?;
        for name in &args.integration {
            super::integration::find(&*store, name).await?;
        }
        let text = TokenText::generate().map_err(|error| Error::failed("make a token", error))?;
        let (name, role) = (args.name.clone(), args.role.into());
        let new = NewToken { name, role, scope: args.integration.clone(), hash: text.hash() };
        let token = store.create_token(new, &actor(environment)).await?;
        match args.output {
            ListFormat::Json => {
                let made = Made { token: &token, text: text.expose() };
                let json = serde_json::to_string_pretty(&made).map_err(|error| Error::failed("print", error))?;
                writeln!(output.out(), "{json}").map_err(print_failed)?;
            }
            ListFormat::Table => writeln!(output.out(), "{}", text.expose()).map_err(print_failed)?,
        }
        output.flush().map_err(print_failed)?;
        output.say(format_args!("token {} ({}): it is not shown again", token.name, token.role));
        Ok(Exit::Done)
    })
}

fn list(args: &ListArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let mut tokens = data::look(directory).await?.tokens().await?;
        tokens.retain(|token| args.include_revoked || token.revoked_at.is_none());
        match args.output {
            ListFormat::Json => {
                let mut array = JsonArray::default();
                tokens.iter().try_for_each(|token| array.item(output.out(), token))?;
                array.end(output.out())?;
            }
            ListFormat::Table if tokens.is_empty() => nothing(output, "`supercargo token create` makes one"),
            ListFormat::Table => {
                let mut table = Table::new(["ID", "NAME", "ROLE", "INTEGRATIONS", "CREATED", "LAST USED", "REVOKED"]);
                tokens.iter().for_each(|token| line(&mut table, token));
                table.print(output.out()).map_err(print_failed)?;
            }
        }
        Ok(Exit::Done)
    })
}

fn line(table: &mut Table, token: &Token) {
    let time = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M").to_string();
    let scope = if token.scope.is_empty() { "all".to_owned() } else { token.scope.join(", ") };
    table.row([
        &token.id.to_string(),
        &token.name,
        token.role.as_str(),
        &scope,
        &time(token.created_at),
        &token.used_at.map(time).unwrap_or_default(),
        &token.revoked_at.map(time).unwrap_or_default(),
    ]);
}

fn revoke(args: &RevokeArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let directory = args.data.directory(environment)?;
    cli::block_on(async {
        let store = data::look(directory).await?;
        let tokens = store.tokens().await?;
        let mut good = tokens.iter().filter(|token| token.revoked_at.is_none());
        // A name is given to one at a time; a number may be a name as well, and then the name counts.
        let found = good.clone().find(|token| token.name == args.token).or_else(|| {
            let id = args.token.parse().ok().map(TokenId)?;
            good.find(|token| token.id == id)
        });
        let token = found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("find the token {}", args.token))
                .with_hint("`supercargo token list` lists those that are good")
        })?;
        store.revoke_token(token.id, &actor(environment)).await?;
        output.say(format_args!("token {} is revoked", token.name));
        Ok(Exit::Done)
    })
}
