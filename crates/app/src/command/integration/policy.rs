//! Which images of a registry are wanted, as flags say it.

use std::time::Duration;

use clap::Args;
use jiff::{Span, SpanRelativeTo};
use supercargo_engine::TagPatterns;
use supercargo_engine::index::Platform;
use supercargo_engine::registry::Filter;
use supercargo_engine::store::{IntegrationPolicy, Selection};

use crate::flag::{self, Flag, Values};

/// Flags of a selection. Those that are given take the place of what was there.
#[derive(Args, Clone, Debug)]
pub(super) struct PolicyArgs {
    /// Enable repositories that are seen for the first time
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = flag::parse, value_name = "BOOL", help_heading = "Which images")]
    enable_on_push: Option<Flag>,

    /// Only repositories that one of these globs matches. May be repeated
    #[arg(long, value_name = "GLOB", value_parser = flag::values, help_heading = "Which images")]
    include: Vec<Values>,

    /// No repositories that one of these globs matches. May be repeated
    #[arg(long, value_name = "GLOB", value_parser = flag::values, help_heading = "Which images")]
    exclude: Vec<Values>,

    /// Only tags that one of these regular expressions matches, anywhere. May be repeated
    #[arg(long, value_name = "REGEX", value_parser = flag::values, help_heading = "Which images")]
    tag: Vec<Values>,

    /// Only images that were pushed no longer ago than this, such as 30d or 12h
    #[arg(long, value_name = "AGE", value_parser = age, help_heading = "Which images")]
    newer_than: Option<Duration>,

    /// Of each repository only this many images, the newest
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Which images")]
    newest: Option<u32>,

    /// Only images of these platforms, such as linux/arm64. May be repeated
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", help_heading = "Which images")]
    platform: Vec<Platform>,
}

impl PolicyArgs {
    /// Whether any flag of the policy is there.
    pub(super) fn is_given(&self) -> bool {
        let Self { enable_on_push, include, exclude, tag, newer_than, newest, platform } = self;
        enable_on_push.is_some()
            || newer_than.is_some()
            || newest.is_some()
            || !platform.is_empty()
            || [include, exclude, tag].iter().any(|list| !list.is_empty())
    }

    /// `policy` with what is given.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn change(&self, mut policy: IntegrationPolicy) -> Result<IntegrationPolicy, Vec<String>> {
        if let Some(enable) = self.enable_on_push {
            policy.enable_on_push = enable.is_set();
        }
        let Selection { include, exclude, tags, newer_than, newest, platforms } = &mut policy.selection;
        for (given, kept) in [(&self.include, include), (&self.exclude, exclude), (&self.tag, tags)] {
            if !given.is_empty() {
                *kept = given.iter().flat_map(|values| values.0.clone()).collect();
            }
        }
        *newer_than = self.newer_than.or(*newer_than);
        *newest = self.newest.or(*newest);
        if !self.platform.is_empty() {
            platforms.clone_from(&self.platform);
        }
        let problems = problems(&policy.selection);
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }
}

fn problems(selection: &Selection) -> Vec<String> {
    let mut problems = Vec::new();
    for (flag, globs) in [("--include", &selection.include), ("--exclude", &selection.exclude)] {
        let bad = globs.iter().filter(|glob| Filter::new(&[glob], &[]).is_err());
        problems.extend(bad.map(|glob| format!("{flag}: {glob:?} is no glob")));
    }
    problems.extend(TagPatterns::new(&selection.tags).err().map(|error| format!("--tag: {error}")));
    problems
}

/// `30d`, `12h`, `2w`, `1d12h`, by the spelling of jiff's spans; no more than days, of 24 hours each.
fn age(text: &str) -> Result<Duration, String> {
    let expected = || "expected an age such as 30d, 12h or 2w".to_owned();
    let span: Span = text.parse().map_err(|_| expected())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(duration).ok().filter(|age| !age.is_zero()).ok_or_else(expected)
}

/// A selection in words, for a person to read.
pub(super) fn in_words(policy: &IntegrationPolicy) -> String {
    let Selection { include, exclude, tags, newer_than, newest, platforms } = &policy.selection;
    let mut words = Vec::new();
    for (what, list) in [("repositories", include), ("not", exclude), ("tags", tags)] {
        if !list.is_empty() {
            words.push(format!("{what} {}", list.join(", ")));
        }
    }
    words.extend(newer_than.map(|age| format!("no older than {}", days(age))));
    words.extend(newest.map(|newest| format!("the newest {newest} of each repository")));
    if !platforms.is_empty() {
        words.push(platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    let selection = if words.is_empty() { "all images".to_owned() } else { words.join("; ") };
    match policy.enable_on_push {
        true => format!("{selection}; new repositories are enabled"),
        false => selection,
    }
}

fn days(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    match (hours / 24, hours % 24) {
        (0, _) => format!("{hours} h"),
        (days, 0) => format!("{days} d"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    fn given(args: &[&str]) -> PolicyArgs {
        Program::try_parse_from(std::iter::once(&"x").chain(args)).unwrap().policy
    }

    #[test]
    fn what_is_given_takes_the_place_of_what_was_there() {
        let first = given(&["--include=team/*,web/*", "--newest=3", "--newer-than=30d", "--platform=linux/amd64"]);
        let policy = first.change(IntegrationPolicy::default()).unwrap();
        assert_eq!(policy.selection.include, ["team/*", "web/*"]);
        assert_eq!(policy.selection.newer_than, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(
            in_words(&policy),
            "repositories team/*, web/*; no older than 30 d; the newest 3 of each repository; linux/amd64"
        );
        let second = given(&["--include=team/*", "--enable-on-push", "--tag=^v"]).change(policy).unwrap();
        assert_eq!((second.selection.include.len(), second.selection.newest), (1, Some(3)));
        assert!(second.enable_on_push && in_words(&second).ends_with("new repositories are enabled"));
        assert!(!given(&["--enable-on-push=false"]).change(second).unwrap().enable_on_push);
        assert!(!given(&[]).is_given() && given(&["--newest=1"]).is_given());
        assert_eq!(in_words(&IntegrationPolicy::default()), "all images");
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let problems = given(&["--include=[", "--tag=("]).change(IntegrationPolicy::default()).unwrap_err();
        assert_eq!(problems[0], "--include: \"[\" is no glob");
        assert!(problems.len() == 2 && problems[1].starts_with("--tag: "), "{problems:?}");
        for bad in ["--newest=0", "--newer-than=soon", "--newer-than=0d", "--newer-than=-1d", "--platform=linux"] {
            assert!(Program::try_parse_from(["x", bad]).is_err(), "{bad}");
        }
    }
}
