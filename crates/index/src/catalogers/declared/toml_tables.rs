//! Lock files that are TOML: an array with a table for each package.
//!
//! A document as a tree needs up to two hundred times its own size, and one error makes all of it nothing. The tools
//! write each package under a line of its own, `[[package]]`, so the file is parsed one package at a time: from such
//! a line to the next, or to the line of a table that is no part of the package (`[metadata.files]`), which is not
//! asked for.

use memchr::memmem;
use serde::Deserialize;

use super::locked::check_size;
use crate::{File, Problem};

/// Bytes of one package's table. Those with more than a hundred files have some 30 KiB.
const LONGEST_TABLE: usize = 256 << 10;

/// Gives `each` a document for every table of the array `name`, and one for what precedes the first. A broken one is
/// reported when the others were read.
pub(super) fn parse<'a, T: Deserialize<'a>>(
    file: &File<'_>,
    text: &'a str,
    name: &str,
    mut each: impl FnMut(T),
) -> Result<(), Problem> {
    check_size(file, text)?;
    let mut result = Ok(());
    for table in tables(text, name) {
        let parsed = if table.len() <= LONGEST_TABLE {
            toml::from_str(table).map_err(|error| error.message().to_owned())
        } else {
            Err(format!("a table of {} bytes is over the limit of {LONGEST_TABLE}", table.len()))
        };
        match parsed {
            Ok(table) => each(table),
            Err(reason) => result = result.and(Err(Problem::malformed(format!("{}: {reason}", file.name())))),
        }
    }
    result
}

/// What precedes the first table of the array `name`, and then each table with those within it.
fn tables<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (element, within) = (format!("[[{name}]]"), [format!("[{name}."), format!("[[{name}.")]);
    let mut headers = memmem::find_iter(text.as_bytes(), b"\n[").map(|newline| newline + 1);
    let mut start = Some(0);
    std::iter::from_fn(move || {
        let from = start.take()?;
        // The first document ends with the first table, the others with the first header of something else.
        let is_first = from == 0 && !text.starts_with(&element);
        let mut end = None;
        for at in headers.by_ref() {
            let header = &text[at..];
            if header.starts_with(&element) {
                start = Some(at);
                break;
            }
            let is_within = within.iter().any(|within| header.starts_with(within));
            if !is_first && !is_within && end.is_none() {
                end = Some(at);
            }
        }
        text.get(from..end.or(start).unwrap_or(text.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_cut_before_each_table() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(tables(text, "p").collect::<Vec<_>>(), expected, "{text:?}");
        };
        check("", &[""]);
        check("a = 1\n", &["a = 1\n"]);
        check("[[p]]\na = 1\n[[p]]\na = 2\n[m]\nb = 1\n", &["[[p]]\na = 1\n", "[[p]]\na = 2\n"]);
        check(
            "[m]\nx = 1\n[[p]]\na = 1\n[p.b]\nc = 1\n[m.n]\n[p.c]\n[[p]]\n",
            &["[m]\nx = 1\n", "[[p]]\na = 1\n[p.b]\nc = 1\n", "[[p]]\n"],
        );
        check("b = 1\r\n[[p]]\r\na = \"[[p]]\"\r\n", &["b = 1\r\n", "[[p]]\r\na = \"[[p]]\"\r\n"]);
    }

    #[test]
    fn a_broken_table_is_the_only_one_lost() {
        #[derive(Deserialize)]
        struct Lock {
            #[serde(default)]
            p: Vec<Table>,
        }
        #[derive(Deserialize)]
        struct Table {
            a: u8,
        }
        let read = |text: &str| {
            let file = File { path: "x.lock", size: text.len() as u64, executable: false };
            let mut found = Vec::new();
            let result = parse(&file, text, "p", |lock: Lock| found.extend(lock.p.iter().map(|table| table.a)));
            (found, result.err().map(|problem| problem.to_string()))
        };
        assert_eq!(read("p = [{a = 1}, {a = 2}]\n"), (vec![1, 2], None));
        let (found, problem) = read("v = 1\n[[p]]\na = 1\n[[p]]\na = \n[[p]]\na = 3\n[[p]]\nb\n");
        assert_eq!(found, [1, 3]);
        assert!(problem.is_some_and(|problem| problem.starts_with("x.lock: ")));
        let (found, problem) = read(&format!("[[p]]\na = 1\n[[p]]\na = 2\nb = \"{}\"\n", "x".repeat(LONGEST_TABLE)));
        assert_eq!(found, [1]);
        assert!(problem.is_some_and(|problem| problem.contains("over the limit")));
    }
}
