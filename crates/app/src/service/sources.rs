//! Sources of events: from flags and from tables of the file to what the server takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::HeaderName;
use supercargo_engine::Puller;
use supercargo_engine::events::{self, PROVIDERS, Provider, Secret, SecretUse, SourceConfig};

use crate::config::Table;
use crate::flag;
use crate::queue::QueuePlan;
use crate::{Environment, Error, secrets};

/// The provider of a source that names none.
const PROVIDER: &str = "distribution";
/// The folder in the data directory with the secrets that `--print-endpoints` makes.
const SECRETS: &str = "event-secrets";

/// A source of events, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct SourcePlan {
    pub(crate) name: String,
    pub(crate) provider: &'static Provider,
    pub(crate) config: SourceConfig,
    /// The first of its secrets, to tell the operator what to paste.
    pub(crate) shown: Option<String>,
    /// The queue that its messages lie in, if it is one that is asked rather than one that sends.
    pub(crate) queue: Option<QueuePlan>,
}

impl SourcePlan {
    /// A source of notifications of a distribution registry.
    #[cfg(feature = "demo")]
    pub(crate) fn new(name: impl Into<String>, config: SourceConfig) -> Self {
        let provider = PROVIDERS.iter().find(|known| known.name == PROVIDER).expect("it is one of them");
        Self { name: name.into(), provider, config, shown: None, queue: None }
    }

    /// Makes the source.
    ///
    /// # Errors
    ///
    /// What the provider thinks of its configuration.
    pub(crate) fn build(&self) -> events::Result<Box<dyn events::Source>> {
        events::build(self.provider.name, self.config.clone())
    }

    /// What asks its queue, if it has one.
    ///
    /// # Errors
    ///
    /// If it cannot be used, or this build has no such queues.
    pub(crate) fn puller(&self) -> crate::Result<Option<Puller>> {
        let Some(plan) = &self.queue else { return Ok(None) };
        let about = |problem: String| format!("event-source {}: queue: {problem}", self.name);
        let queue = plan.open().map_err(|problems| Error::usage(problems.into_iter().map(about).collect()))?;
        let source =
            self.build().map_err(|error| Error::failed(format!("set up the event source {}", self.name), error))?;
        Ok(Some(Puller::new(self.name.clone(), source, queue)))
    }

    /// The end of its address.
    pub(crate) fn path(&self) -> String {
        let secret = match (&self.shown, self.provider.secret) {
            (Some(secret), SecretUse::Address) => format!("/{secret}"),
            _ => String::new(),
        };
        format!("/v1/events/{}/{}{secret}", self.provider.name, self.name)
    }
}

/// What all sources share.
#[derive(Debug)]
pub(crate) struct Common<'a> {
    /// The hosts that are watched.
    pub(crate) hosts: &'a [String],
    /// The secrets of sources that have none of their own.
    pub(crate) secrets: Vec<String>,
    /// The header that carries them.
    pub(crate) header: Option<HeaderName>,
    pub(crate) data: &'a Path,
    pub(crate) environment: &'a Environment,
    /// Make a secret where there is none.
    pub(crate) make_secrets: bool,
}

/// The fields of a source, and what to say before a complaint about one.
struct Fields {
    values: BTreeMap<String, String>,
    origin: Box<dyn Fn(&str) -> String>,
}

impl Fields {
    fn take(&mut self, key: &str) -> Option<String> {
        self.values.remove(key)
    }
}

/// Reads what `--event-source` says: `NAME[=HOST]`, or `name=…,provider=…` fields.
pub(crate) fn of_flag(text: &str, common: &Common<'_>) -> Result<SourcePlan, Vec<String>> {
    let mut values = BTreeMap::new();
    if text.starts_with("name=") || text.starts_with("provider=") || text.starts_with('"') {
        let fields = flag::values(text).map_err(|problem| vec![format!("--event-source: {problem}")])?;
        for field in fields.0 {
            let Some((key, value)) = field.split_once('=') else {
                return Err(vec![format!("--event-source: {field:?}: expected key=value")]);
            };
            if values.insert(key.trim().to_owned(), value.trim().to_owned()).is_some() {
                return Err(vec![format!("--event-source: {key} is given twice")]);
            }
        }
    } else {
        let (name, host) = match text.split_once('=') {
            Some((name, host)) => (name, Some(host)),
            None => (text, None),
        };
        values.insert("name".to_owned(), name.to_owned());
        values.extend(host.map(|host| ("host".to_owned(), host.to_owned())));
    }
    let origin = |key: &str| match key {
        "" => "--event-source".to_owned(),
        key => format!("--event-source: {key}"),
    };
    read(Fields { values, origin: Box::new(origin) }, common)
}

/// Reads a `[[event-source]]` table.
pub(crate) fn of_table(table: &Table, common: &Common<'_>) -> Result<SourcePlan, Vec<String>> {
    let mut table = table.clone();
    table.resolve_paths(&["secret-file"]);
    table.resolve_paths(&QueuePlan::FILES);
    let values = table.fields().map(|(key, field)| (key.to_owned(), field.value.clone())).collect();
    let origin = move |key: &str| match key {
        "" => format!("{}: event-source", table.at),
        key => format!("{}: event-source.{key}", table.origin(key)),
    };
    read(Fields { values, origin: Box::new(origin) }, common)
}

fn read(mut fields: Fields, common: &Common<'_>) -> Result<SourcePlan, Vec<String>> {
    let mut problems = Vec::new();
    let mut refuse = |at: String, message: &str| problems.push(format!("{at}: {message}"));
    let name = fields.take("name").unwrap_or_default();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        refuse((fields.origin)("name"), &format!("{name:?}: expected letters, digits and . _ -"));
    }
    let provider = fields.take("provider").unwrap_or_else(|| PROVIDER.to_owned());
    let provider = PROVIDERS.iter().find(|known| known.name == provider).or_else(|| {
        let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        refuse((fields.origin)("provider"), &format!("{provider:?} is none of {}", known.join(", ")));
        None
    });
    let host = fields.take("host");
    let host = match (host, common.hosts) {
        (Some(host), hosts) if !hosts.contains(&host) => {
            refuse((fields.origin)("host"), &format!("{host} is not watched; watched: {}", hosts.join(", ")));
            None
        }
        (Some(host), _) => Some(host),
        // A registry behind a proxy names itself by another name; with one registry there is no doubt.
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    };
    let open = match fields.take("open").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            refuse((fields.origin)("open"), "expected true or false");
            false
        }
    };
    let header = match fields.take("header").map(|header| (header.parse::<HeaderName>(), header)) {
        None => common.header.clone(),
        Some((Ok(header), _)) => Some(header),
        Some((Err(_), header)) => {
            refuse((fields.origin)("header"), &format!("{header:?} is no name of a header"));
            None
        }
    };
    let name_of_provider = provider.map(|provider| provider.name);
    let mut queue = fields
        .take("queue")
        .map(|url| QueuePlan::read(url, name_of_provider, |key| fields.take(key), common.environment));
    let (file, variable) = (fields.take("secret-file"), fields.take("secret-env"));
    let mut config = SourceConfig::new([]);
    // A queue has proven who writes to it.
    config.open = open || queue.is_some();
    (config.host, config.header) = (host, header);
    config.options = std::mem::take(&mut fields.values);
    // Some prove their senders by tokens or signatures: what can do without a secret has none of the others'.
    let wants_secret = provider.is_some_and(|provider| events::build(provider.name, config.clone()).is_err());
    let mut texts = match secret(file, variable, wants_secret, &name, common) {
        Ok(texts) => texts,
        Err((key, problem)) => {
            refuse((fields.origin)(key), &problem);
            Vec::new()
        }
    };
    if let Some(queue) = &mut queue {
        // It is the queue that asks for it: whoever writes to the queue has proven who he is.
        if let Err(problem) = queue.set_secret(std::mem::take(&mut texts)) {
            refuse((fields.origin)("secret-file"), &problem);
        }
    }
    config.secrets = texts.iter().map(Secret::new).collect();
    let Some(provider) = provider.filter(|_| problems.is_empty()) else { return Err(problems) };
    let plan = SourcePlan { name, provider, config, shown: texts.into_iter().next(), queue };
    match plan.build() {
        Ok(_) => Ok(plan),
        Err(error) => Err(vec![format!("{}: failed to {error}", (fields.origin)(""))]),
    }
}

/// The secrets of a source, or the key that is wrong, and how.
fn secret(
    file: Option<String>,
    variable: Option<String>,
    wanted: bool,
    name: &str,
    common: &Common<'_>,
) -> Result<Vec<String>, (&'static str, String)> {
    match (file, variable) {
        (Some(_), Some(_)) => Err(("secret-file", "there is a secret-env as well; give one".to_owned())),
        (Some(file), None) => secrets::of_file(Path::new(&file)).map_err(|problem| ("secret-file", problem)),
        (None, Some(variable)) => {
            secrets::of_variable(&variable, common.environment).map_err(|problem| ("secret-env", problem))
        }
        (None, None) if !wanted => Ok(Vec::new()),
        (None, None) if !common.secrets.is_empty() => Ok(common.secrets.clone()),
        (None, None) => {
            let path = generated(common.data, name);
            match (path.is_file(), common.make_secrets) {
                (true, _) => secrets::of_file(&path).map_err(|problem| ("", problem)),
                (false, true) => secrets::make(&path).map(|secret| vec![secret]).map_err(|problem| ("", problem)),
                (false, false) => Err((
                    "",
                    format!(
                        "{name} has no secret: name a secret-file, or let `supercargo-server --print-endpoints` make one"
                    ),
                )),
            }
        }
    }
}

fn generated(data: &Path, name: &str) -> PathBuf {
    data.join(SECRETS).join(name)
}
