//! Flags of the long-running programs.
//!
//! Those of `docker scout watch` have its names, its defaults and its way of writing values, so that
//! `docker scout watch …` becomes `supercargo-watch …` and nothing else changes.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser};

use crate::flag::{self, Flag, Values};
use crate::integrations::KeyArgs;
use crate::sinks::SinkArgs;
use crate::telemetry::LogArgs;

/// Flags of `supercargo-watch`.
#[derive(Debug, Parser)]
#[command(
    name = "supercargo-watch",
    version,
    about = "Watch container registries and index every image that is pushed to them",
    after_help = "Every flag that names an environment variable can be set by it; the flag wins. Credentials come from \
        DOCKER_SCOUT_REGISTRY_USER and DOCKER_SCOUT_REGISTRY_PASSWORD (or DOCKER_SCOUT_REGISTRY_TOKEN), else from \
        docker's config.json (DOCKER_CONFIG) with its credential helpers.\n\n\
        Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage, 3 with --once: something could not be indexed.",
    args_override_self = true
)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,

    /// Seconds between checks of the registries
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=604_800), env = "SUPERCARGO_INTERVAL", hide_env_values = true, value_name = "SECONDS")]
    pub(crate) interval: u64,

    /// Organization at Docker Scout that metadata is uploaded to [default: `supercargo config organization`]. By what is publicly known of its API
    #[arg(long, value_name = "NAME", env = "SUPERCARGO_ORG", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) org: Option<String>,

    /// Upload packages, too, and not only what the image itself is. Images are indexed either way
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_parser = flag::parse, value_name = "BOOL")]
    pub(crate) sbom: Flag,

    /// Watch and index, and say what would be delivered instead of delivering it
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = flag::parse, value_name = "BOOL")]
    pub(crate) dry_run: Flag,

    /// Check the registries once, index what there is to do, and exit
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) sinks: SinkArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    /// Address to listen on for webhooks and the API, such as 127.0.0.1:8080. Not listening unless set
    #[arg(long, value_name = "ADDR", env = "SUPERCARGO_LISTEN", hide_env_values = true, help_heading = "Server")]
    pub(crate) listen: Option<String>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Flags of `supercargo-server`.
#[derive(Debug, Parser)]
#[command(
    name = "supercargo-server",
    version,
    about = "Receive the webhooks of container registries, index what was pushed, and serve the API",
    after_help = "Every flag that names an environment variable can be set by it; the flag wins. Credentials come from \
        DOCKER_SCOUT_REGISTRY_USER and DOCKER_SCOUT_REGISTRY_PASSWORD (or DOCKER_SCOUT_REGISTRY_TOKEN), else from \
        docker's config.json (DOCKER_CONFIG) with its credential helpers.\n\n\
        Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage.",
    args_override_self = true
)]
pub(crate) struct ServerCommand {
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,

    /// Seconds between checks for what events missed
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=604_800), env = "SUPERCARGO_INTERVAL", hide_env_values = true, value_name = "SECONDS")]
    pub(crate) interval: u64,

    #[command(flatten)]
    pub(crate) sinks: SinkArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    /// Address to listen on for webhooks and the API
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        env = "SUPERCARGO_LISTEN",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) listen: String,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Print the address and the secret of every event source, ready to paste, and exit. Secrets that are missing are made and kept in the data directory
    #[arg(long, help_heading = "Server")]
    pub(crate) print_endpoints: bool,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// What is watched, and how hard.
#[derive(Args, Clone, Debug)]
pub(crate) struct ScopeArgs {
    /// Registry to watch: its host, or key=value fields such as "type=oci,registry=registry.example.com,include=*/frontend*". May be repeated
    #[arg(long, value_name = "REGISTRY", env = "SUPERCARGO_REGISTRY", hide_env_values = true)]
    pub(crate) registry: Vec<String>,

    /// Repositories to watch instead of all; with another host before them, of that registry. May be repeated
    #[arg(long, value_name = "REPOSITORY", env = "SUPERCARGO_REPOSITORY", hide_env_values = true, value_parser = flag::values)]
    pub(crate) repository: Vec<Values>,

    /// Regular expressions of which a tag must match one. May be repeated
    #[arg(long, value_name = "REGEX", env = "SUPERCARGO_TAG", hide_env_values = true, value_parser = flag::values)]
    pub(crate) tag: Vec<Values>,

    /// Index every image that is there, and not only those pushed from now on
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = flag::parse, env = "SUPERCARGO_ALL_IMAGES", hide_env_values = true, value_name = "BOOL")]
    pub(crate) all_images: Flag,

    /// List the registry's repositories again at every check. Only with --registry
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", value_parser = flag::parse, env = "SUPERCARGO_REFRESH_REGISTRY", hide_env_values = true, value_name = "BOOL")]
    pub(crate) refresh_registry: Flag,

    /// Seconds within which every tag is asked for, if the registry's lists do not say what tags point at; tags that are new or have moved before are asked for at every check. 0: every tag at every check
    #[arg(long, default_value_t = 900, env = "SUPERCARGO_TAG_SWEEP", hide_env_values = true, value_name = "SECONDS")]
    pub(crate) tag_sweep: u64,

    /// Seconds that the event of a push is awaited which a check has found: an integration whose events do not come is degraded
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=604_800), env = "SUPERCARGO_EVENT_PATIENCE", hide_env_values = true, value_name = "SECONDS")]
    pub(crate) event_patience: u64,

    /// Images to index at one time
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=256), env = "SUPERCARGO_WORKERS", hide_env_values = true, value_name = "NUMBER")]
    pub(crate) workers: u16,
}

/// Where the configuration file is.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML). Flags and environment variables win over what it says
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
}

/// Where the data is.
#[derive(Args, Clone, Debug)]
pub(crate) struct DataArgs {
    /// Directory for the database [default: $XDG_STATE_HOME/supercargo, else ~/.local/state/supercargo]
    #[arg(long, value_name = "DIR", env = "SUPERCARGO_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
}

/// What is served to whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// File with the secret that registries send with their events; a second line may hold the next or last one. Also SUPERCARGO_EVENT_SECRET
    #[arg(
        long,
        value_name = "FILE",
        env = "SUPERCARGO_EVENT_SECRET_FILE",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) event_secret_file: Option<PathBuf>,

    /// Header that carries the secret
    #[arg(
        long,
        value_name = "HEADER",
        default_value = "authorization",
        env = "SUPERCARGO_EVENT_HEADER",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) event_header: String,

    /// Name under which events come in, at /v1/events/PROVIDER/NAME, and the registry that they are about; or fields such as "name=main,provider=harbor,host=harbor.example.com,secret-file=FILE". May be repeated [default: main]
    #[arg(
        long,
        value_name = "SOURCE",
        env = "SUPERCARGO_EVENT_SOURCE",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) event_source: Vec<String>,

    /// File with the token that readers of the API must send. Also SUPERCARGO_API_TOKEN
    #[arg(
        long,
        value_name = "FILE",
        env = "SUPERCARGO_API_TOKEN_FILE",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) api_token_file: Option<PathBuf>,

    /// Let everyone who can connect read the API, without a token
    #[arg(long, help_heading = "Server")]
    pub(crate) insecure_open_api: bool,

    /// Certificate for https, with those that lead to its authority, in PEM form. It is read again when it changes, and on SIGHUP
    #[arg(
        long,
        value_name = "FILE",
        env = "SUPERCARGO_TLS_CERTIFICATE",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Key of the certificate, in PEM form
    #[arg(long, value_name = "FILE", env = "SUPERCARGO_TLS_KEY", hide_env_values = true, help_heading = "Server")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Address at which registries reach this server, such as https://supercargo.example.com: what --print-endpoints begins with, and the templates of integrations in the API
    #[arg(long, value_name = "URL", env = "SUPERCARGO_PUBLIC_URL", hide_env_values = true, help_heading = "Server")]
    pub(crate) public_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold() {
        WatchArgs::command().debug_assert();
        ServerCommand::command().debug_assert();
    }

    #[test]
    fn a_command_line_of_scout_is_taken_as_it_is() {
        let args = WatchArgs::try_parse_from([
            "supercargo-watch",
            "--org",
            "my-org",
            "--registry",
            "type=oci,registry=registry.example.com,include=*/frontend*",
            "--repository=team/a,team/b",
            "--repository",
            "ghcr.io/team/c",
            "--tag",
            "^v[0-9]+$",
            "--all-images",
            "--refresh-registry=true",
            "--interval",
            "30",
            "--workers=5",
            "--dry-run",
            "--sbom=false",
            "--debug",
        ])
        .unwrap();
        assert_eq!(args.org.as_deref(), Some("my-org"));
        assert_eq!(args.scope.repository.len(), 2);
        assert!(args.scope.all_images.is_set() && args.scope.refresh_registry.is_set() && args.dry_run.is_set());
        assert!(!args.sbom.is_set() && args.log.debug.is_set());
        assert_eq!((args.interval, args.scope.workers), (30, 5));

        let defaults = WatchArgs::try_parse_from(["supercargo-watch"]).unwrap();
        assert!(defaults.sbom.is_set() && !defaults.scope.all_images.is_set());
        assert_eq!((defaults.interval, defaults.scope.workers), (60, 3));
        // The last one counts, as it does there.
        let last = WatchArgs::try_parse_from(["supercargo-watch", "--workers=1", "--workers=2", "--sbom", "--sbom=0"])
            .unwrap();
        assert_eq!(last.scope.workers, 2);
        assert!(!last.sbom.is_set());
    }

    #[test]
    fn repeated_lists_add_up() {
        let args = WatchArgs::try_parse_from([
            "supercargo-watch",
            "--registry=a.test",
            "--registry=b.test",
            "--tag=x",
            "--tag=y,z",
        ])
        .unwrap();
        assert_eq!(args.scope.registry, ["a.test", "b.test"]);
        let tags: Vec<_> = args.scope.tag.iter().flat_map(|values| values.0.clone()).collect();
        assert_eq!(tags, ["x", "y", "z"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in ["--workers=0", "--interval=0", "--interval=-1", "--sbom=maybe", "--org=", "positional"] {
            let error = WatchArgs::try_parse_from(["supercargo-watch", bad]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad}");
        }
    }
}
