//! `supercargo enroll`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, sinks};

#[derive(Args, Debug)]
#[command(
    after_help = "Signs in with DOCKER_SCOUT_HUB_USER and DOCKER_SCOUT_HUB_PASSWORD, else with what `docker login` \
    left. Docker publishes no reference of Scout's API; docs/scout-api.md says what this call is known from."
)]
pub(super) struct EnrollArgs {
    /// The organization
    #[arg(value_name = "ORG", value_parser = NonEmptyStringValueParser::new())]
    organization: String,
}

pub(super) fn run(args: &EnrollArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let client = sinks::scout_client(&args.organization, environment)
        .map_err(|problem| Error::new(ErrorKind::Usage, format!("sign in at Docker Scout: {problem}")))?;
    cli::block_on(async {
        let operation = format!("enroll {} at Docker Scout", args.organization);
        client.enroll().await.map_err(|error| {
            let (retryable, after) = (error.is_retryable(), error.retry_after());
            Error::failed(operation, error).with_retry(retryable, after)
        })?;
        output.say(format_args!("✓ Successfully enrolled organization {}", crate::text::printable(&args.organization)));
        Ok(Exit::Done)
    })
}
