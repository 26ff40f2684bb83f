//! From text to tables.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{KNOWN, Setting, Shape};
use super::table::{Field, Table};
use super::{Config, Origin};

pub(super) fn read(path: &Path, text: &str) -> Result<Config, Vec<String>> {
    let mut reader = Reader { file: path.into(), text, problems: Vec::new(), config: Config::default() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = reader.origin(error.span().map_or(0, |span| span.start));
        reader.problems.push(format!("{at}: {}", error.message().lines().collect::<Vec<_>>().join(", ")));
    }
    reader.root(root.get_ref());
    // The parser hands tables out by the alphabet.
    reader.config.settings.sort_by_key(|setting| setting.at.line);
    if reader.problems.is_empty() { Ok(reader.config) } else { Err(reader.problems) }
}

struct Reader<'t> {
    file: Arc<Path>,
    text: &'t str,
    problems: Vec<String>,
    config: Config,
}

impl Reader<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let line = 1 + self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
        Origin { file: Arc::clone(&self.file), line }
    }

    fn refuse(&mut self, at: &Origin, key: &str, message: &str) {
        self.problems.push(format!("{at}: {key}: {message}"));
    }

    fn root(&mut self, root: &DeTable<'_>) {
        for (key, value) in root {
            let at = self.origin(key.span().start);
            match (key.get_ref().as_ref(), value.get_ref()) {
                (name @ ("server" | "log"), DeValue::Table(table)) => self.section(name, table),
                ("registry", value) => {
                    let tables = self.tables("registry", value, &at);
                    self.config.registries.extend(tables);
                }
                ("event-source", value) => {
                    let tables = self.tables("event-source", value, &at);
                    self.config.sources.extend(tables);
                }
                ("sink", DeValue::Table(sinks)) => self.sinks(sinks),
                (name @ ("server" | "log" | "sink"), _) => self.refuse(&at, name, "expected a table"),
                (name, _) => self.setting(name, value, &at),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let at = self.origin(key.span().start);
            self.setting(&format!("{section}.{}", key.get_ref()), value, &at);
        }
    }

    fn setting(&mut self, key: &str, value: &Spanned<DeValue<'_>>, at: &Origin) {
        let Some(known) = KNOWN.iter().find(|known| known.key == key) else {
            let section = key.split_once('.').map(|(section, _)| section);
            let all = KNOWN.iter().map(|known| known.key);
            let near: Vec<&str> = all.filter(|name| name.split_once('.').map(|(table, _)| table) == section).collect();
            let tables =
                if section.is_none() { ", and the tables server, log, registry, event-source, sink" } else { "" };
            return self.refuse(at, key, &format!("there is no such key; there are {}{tables}", near.join(", ")));
        };
        let values = match (known.shape, value.get_ref()) {
            (Shape::List, DeValue::Array(items)) => items.iter().map(|item| text(item.get_ref())).collect(),
            (_, value) => text(value).map(|value| vec![value]),
        };
        let Some(values): Option<Vec<String>> = values else {
            let expected = if known.shape == Shape::List { "a text or a list of texts" } else { "a single value" };
            return self.refuse(at, key, &format!("expected {expected}"));
        };
        let values = values
            .into_iter()
            .map(|value| match known.shape {
                Shape::One => value,
                Shape::Path => at.folder().join(value).display().to_string(),
                // Flags that are lists part their values at commas, unless they stand in quotes.
                Shape::List => format!("\"{}\"", value.replace('"', "\"\"")),
            })
            .collect();
        self.config.settings.push(Setting { key: known.key, arg: known.arg, values, at: at.clone() });
    }

    fn tables(&mut self, name: &str, value: &DeValue<'_>, at: &Origin) -> Vec<Table> {
        let DeValue::Array(items) = value else {
            self.refuse(at, name, &format!("expected [[{name}]], one for each"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            let at = self.origin(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => tables.push(self.table(name, table, at)),
                _ => self.refuse(&at, name, &format!("expected [[{name}]], one for each")),
            }
        }
        tables
    }

    fn sinks(&mut self, sinks: &DeTable<'_>) {
        for (name, value) in sinks {
            let at = self.origin(name.span().start);
            let name = name.get_ref().to_string();
            match value.get_ref() {
                DeValue::Table(table) => {
                    let table = self.table(&format!("sink.{name}"), table, at);
                    self.config.sinks.push((name, table));
                }
                _ => self.refuse(&at, &format!("sink.{name}"), "expected a table"),
            }
        }
    }

    fn table(&mut self, name: &str, table: &DeTable<'_>, at: Origin) -> Table {
        let mut found = Table::new(at);
        for (key, value) in table {
            let at = self.origin(key.span().start);
            let value = match value.get_ref() {
                DeValue::Array(items) => {
                    let items: Option<Vec<String>> = items.iter().map(|item| text(item.get_ref())).collect();
                    items.map(|items| items.join(","))
                }
                value => text(value),
            };
            match value {
                Some(value) => found.insert(key.get_ref().to_string(), Field { value, at }),
                None => self.refuse(
                    &at,
                    &format!("{name}.{}", key.get_ref()),
                    "expected a text, a number, true or false, or a list",
                ),
            }
        }
        found
    }
}

/// A value as it would stand in a flag.
fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read(Path::new("dir/c.toml"), text).map(|_| Vec::new()).unwrap_or_else(|problems| problems)
    }

    #[test]
    fn a_file_is_taken_apart() {
        let text = r#"
data = "state"
workers = 5
tags = ["^v[0-9]{1,2}$", "latest"]
[server]
listen = ":8080"
tls-key = "/etc/key"
[[registry]]
registry = "registry.example.com"
include = ["a", "b"]
plain-http = true
[[registry]]
registry = "b.test"
[[event-source]]
name = "main"
[sink.hook]
type = "webhook"
"#;
        let config = read(Path::new("/etc/supercargo/c.toml"), text).unwrap();
        let shown: Vec<String> =
            config.settings.iter().map(|one| format!("{} {} {}", one.at.line, one.arg, one.values.join(" "))).collect();
        assert_eq!(
            shown,
            [
                "2 data /etc/supercargo/state",
                "3 workers 5",
                "4 tag \"^v[0-9]{1,2}$\" \"latest\"",
                "6 listen :8080",
                "7 tls_key /etc/key"
            ]
        );
        assert_eq!(config.registries.len(), 2);
        let record = config.registries[0].record();
        assert_eq!(record, r#""include=a,b","plain-http=true","registry=registry.example.com""#);
        assert_eq!(config.registries[0].origin("include").to_string(), "/etc/supercargo/c.toml:10");
        assert_eq!((config.sources.len(), config.sinks[0].0.as_str()), (1, "hook"));
    }

    #[test]
    fn everything_wrong_is_told_with_its_line() {
        let found = problems("colour = 1\n[server]\nlisten = [1]\nport = 2\n[registry]\nx = 1\n[sink]\na = 1\n");
        for (line, key) in [(1, "colour"), (3, "server.listen"), (4, "server.port"), (5, "registry"), (8, "sink.a")] {
            let start = format!("dir/c.toml:{line}: {key}: ");
            assert!(found.iter().any(|problem| problem.starts_with(&start)), "{start} in {found:#?}");
        }
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(problems("a = \n")[0].starts_with("dir/c.toml:1: "));
    }
}
