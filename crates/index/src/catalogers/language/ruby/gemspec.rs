//! Gem specifications, read as text.

use crate::package::{Package, Requirement};

/// Bytes of a specification that are read. Long lists of files are at its end.
const LONGEST_SPECIFICATION: usize = 1 << 20;

/// Characters of a name or a version.
const LONGEST_TEXT: usize = 256;

/// Gems that one needs.
const MOST_DEPENDENCIES: usize = 1000;

/// Licences or authors of one gem.
const MOST_LICENSES: usize = 32;

/// The gem that a specification is of; `None` without a name or a version that is written out in it.
pub(in crate::catalogers) fn read(text: &str) -> Option<Package> {
    let mut end = text.len().min(LONGEST_SPECIFICATION);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut specification = Specification::default();
    for line in text[..end].lines() {
        specification.take(line.trim());
    }
    specification.package()
}

#[derive(Default)]
struct Specification<'a> {
    /// Of `# stub: name version platform …`.
    stub: Option<[&'a str; 3]>,
    /// The variable of `Gem::Specification.new do |s|`.
    variable: Option<&'a str>,
    /// Constants that are assigned a text before: `VERSION = "1.0"`.
    constants: Vec<(&'a str, String)>,
    name: String,
    version: String,
    platform: String,
    licenses: Vec<String>,
    authors: Vec<String>,
    summary: String,
    homepage: String,
    requires: Vec<Requirement>,
}

impl<'a> Specification<'a> {
    fn take(&mut self, line: &'a str) {
        if let Some(stub) = line.strip_prefix("# stub: ") {
            let mut words = stub.split(' ').filter(|word| !word.is_empty());
            if let (Some(name), Some(version), Some(platform)) = (words.next(), words.next(), words.next()) {
                self.stub = Some([name, version, platform]);
            }
            return;
        }
        if self.variable.is_none() {
            if let Some((_, after)) = line.split_once("Gem::Specification.new") {
                self.variable = after.split('|').nth(1).map(str::trim).filter(|name| !name.is_empty());
                // `Gem::Specification.new("quux", "1.0") do |s|`
                let mut arguments = texts(after.split(" do").next().unwrap_or(after));
                self.name = arguments.next().unwrap_or_default();
                self.version = arguments.next().unwrap_or_default();
                return;
            }
            self.constant(line);
            return;
        }
        let variable = self.variable.unwrap_or_default();
        let Some(rest) = line.strip_prefix(variable).and_then(|rest| rest.strip_prefix('.')) else { return };
        let needed = ["add_runtime_dependency", "add_dependency"].iter().find_map(|call| rest.strip_prefix(call));
        if let Some(arguments) = needed.filter(|rest| rest.starts_with(['(', ' '])) {
            let gem = first_text(arguments.trim_start_matches(['(', ' '])).map(Requirement::of);
            if self.requires.len() < MOST_DEPENDENCIES {
                self.requires.extend(gem.filter(|gem| !self.requires.contains(gem)));
            }
            return;
        }
        let Some((field, value)) = rest.split_once('=') else { return };
        // `==`, `=>`: no assignment.
        if value.starts_with(['=', '>', '~']) {
            return;
        }
        let value = value.trim_start();
        let one = || self.text(value).unwrap_or_default();
        match field.trim_end() {
            "name" => self.name = one(),
            "version" => self.version = one(),
            "platform" => self.platform = one(),
            "summary" => self.summary = one(),
            "homepage" => self.homepage = one(),
            "license" => self.licenses = vec![one()],
            // RubyGems refuses a text here.
            "licenses" if value.starts_with(['[', '%']) => self.licenses = list(value),
            "author" => self.authors = vec![one()],
            "authors" => self.authors = list(value),
            _ => {}
        }
    }

    fn constant(&mut self, line: &'a str) {
        if let Some((name, value)) = line.split_once('=')
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.trim_end().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && self.constants.len() < 64
            && let Some(text) = first_text(value.trim_start())
        {
            self.constants.push((name.trim_end(), text));
        }
    }

    /// The text that `value` begins with, or that of the constant that it is, or that a version is made of.
    fn text(&self, value: &str) -> Option<String> {
        let value = value.strip_prefix("Gem::Version.new").map_or(value, |rest| rest.trim_start_matches(['(', ' ']));
        let constant = value.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        first_text(value)
            .or_else(|| self.constants.iter().find(|(name, _)| *name == constant).map(|(_, text)| text.clone()))
            // What is put together at run time is not known.
            .filter(|text| !text.contains("#{"))
    }

    fn package(self) -> Option<Package> {
        let [stub_name, stub_version, stub_platform] = self.stub.unwrap_or_default();
        let or = |text: String, stub: &str| if text.is_empty() { stub.to_owned() } else { text };
        let (name, version) = (or(self.name, stub_name), or(self.version, stub_version));
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= LONGEST_TEXT
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if !is_name(&name) || !is_name(&version) || !version.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let platform = or(self.platform, stub_platform);
        let optional = |text: String| Some(text).filter(|text| !text.is_empty());
        let filled = |list: Vec<String>| list.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        Some(Package {
            kind: "gem".to_owned(),
            name,
            version,
            qualifiers: (is_name(&platform) && platform != "ruby")
                .then(|| ("platform".to_owned(), platform))
                .into_iter()
                .collect(),
            licenses: filled(self.licenses),
            author: optional(filled(self.authors).join(", ")),
            description: optional(self.summary),
            url: optional(self.homepage),
            requires: self.requires,
            ..Package::default()
        })
    }
}

/// The literal text that `value` begins with.
fn first_text(value: &str) -> Option<String> {
    Literal::at(value).map(|literal| literal.text)
}

/// The literal texts of a line, whatever is between them.
fn texts(mut value: &str) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        loop {
            value = &value[value.find(['"', '\'', '%'])?..];
            if Literal::opens(value).is_some() {
                // One that does not end takes all that follows.
                let literal = Literal::at(value)?;
                value = &value[literal.length..];
                return Some(literal.text);
            }
            value = &value[1..];
        }
    })
    .take(MOST_LICENSES)
}

/// `["a".freeze, "b"]`, `%w[a b]`, or one text.
fn list(value: &str) -> Vec<String> {
    if let Some(words) = value.strip_prefix("%w").or_else(|| value.strip_prefix("%W")) {
        let words = words.get(1..).unwrap_or_default();
        let words = words.split([']', ')', '}', '>']).next().unwrap_or_default();
        return words.split_whitespace().take(MOST_LICENSES).map(str::to_owned).collect();
    }
    texts(value).collect()
}

struct Literal {
    text: String,
    length: usize,
}

impl Literal {
    /// Where the text of `"text"`, `'text'` or `%q<text>` begins, and what ends it.
    fn opens(value: &str) -> Option<(usize, char)> {
        let quoted = value.strip_prefix("%q").or_else(|| value.strip_prefix("%Q"));
        match (quoted, quoted.unwrap_or(value).chars().next()?) {
            (None, quote @ ('"' | '\'')) => Some((1, quote)),
            (Some(_), '<') => Some((3, '>')),
            (Some(_), '(') => Some((3, ')')),
            (Some(_), '[') => Some((3, ']')),
            (Some(_), '{') => Some((3, '}')),
            _ => None,
        }
    }

    /// The literal that `value` begins with.
    fn at(value: &str) -> Option<Self> {
        let (start, close) = Self::opens(value)?;
        let mut text = String::new();
        let mut characters = value.get(start..)?.char_indices();
        while let Some((at, character)) = characters.next() {
            if character == close {
                return Some(Self { text, length: start + at + close.len_utf8() });
            }
            if character != '\\' {
                text.push(character);
                continue;
            }
            let (_, escaped) = characters.next()?;
            match escaped {
                'n' | 't' | 'r' if close == '"' => text.push(' '),
                'u' if close == '"' => {
                    let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                    text.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
                }
                other => text.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUUX: &str = r##"# -*- encoding: utf-8 -*-
# stub: quux 2.4.1 x86_64-linux lib
# stub: ext/extconf.rb

Gem::Specification.new do |s|
  s.name = "quux".freeze
  s.version = "2.4.1"
  s.platform = "x86_64-linux".freeze

  s.required_rubygems_version = Gem::Requirement.new(">= 0".freeze) if s.respond_to? :required_rubygems_version=
  s.metadata = { "source_code_uri" => "https://example.org" } if s.respond_to? :metadata=
  s.authors = ["Andr\u00E9 Example".freeze, "Bo".freeze]
  s.description = "Quux\nfor \"Ruby\".\n".freeze
  s.homepage = "https://quux.example.org/".freeze
  s.licenses = ["MIT".freeze,"Ruby".freeze, "BSD-2-Clause"]
  s.rubygems_version = "3.2.22".freeze
  s.summary = "Quux, the \"gem\".".freeze
  s.installed_by_version = "3.2.22" if s.respond_to? :installed_by_version

  if s.respond_to? :add_runtime_dependency then
    s.add_runtime_dependency(%q<power_assert>.freeze, [">= 0"])
    s.add_development_dependency(%q<rake>.freeze, [">= 0"])
  else
    s.add_dependency(%q<power_assert>.freeze, [">= 0"])
    s.add_dependency 'rack-test', '~> 2.0'
  end
end
"##;

    #[test]
    fn what_rubygems_writes_is_read() {
        assert_eq!(
            read(QUUX).unwrap(),
            Package {
                kind: "gem".into(),
                name: "quux".into(),
                version: "2.4.1".into(),
                qualifiers: [("platform".into(), "x86_64-linux".into())].into(),
                licenses: vec!["MIT".into(), "Ruby".into(), "BSD-2-Clause".into()],
                author: Some("André Example, Bo".into()),
                description: Some("Quux, the \"gem\".".into()),
                url: Some("https://quux.example.org/".into()),
                requires: vec![Requirement::of("power_assert"), Requirement::of("rack-test")],
                ..Package::default()
            }
        );
    }

    #[test]
    fn what_people_write_is_read() {
        let check = |lines: &str, expected: &str| {
            let text = format!("Gem::Specification.new do |spec|\n{lines}\nend\n");
            let found = read(&text).map(|gem| format!("{} {} {:?}", gem.name, gem.version, gem.licenses));
            assert_eq!(found.unwrap_or_default(), expected, "{lines}");
        };
        check("spec.name = 'a' # comment\nspec.version='1'\nspec.license = \"MIT\"", "a 1 [\"MIT\"]");
        check(
            "spec.name    = %q{a}\nspec.version = Gem::Version.new(\"1.0\")\nspec.licenses = %w[MIT Ruby]",
            "a 1.0 [\"MIT\", \"Ruby\"]",
        );
        check("spec.name = 'a'\nspec.version = '1.0'\nspec.licenses = \"MIT\" # invalid", "a 1.0 []");
        check("spec.name = 'a'\nspec.version = Quux::VERSION", "");
        check("spec.name = 'a'\nspec.version = \"1.#{minor}\"", "");
        check("spec.name = 'a'\nspec.version == '1.0'", "");
        check("s.name = 'a'\ns.version = '1.0'", "");
        check("spec.version = '1.0'", "");
    }

    #[test]
    fn constants_before_it_are_known() {
        let text = "VERSION = '3.0.0'\nGem::Specification.new do |s|\n s.name = 'a'\n s.version = VERSION.freeze\nend";
        assert_eq!(read(text).unwrap().version, "3.0.0");
        let text = "version = \"3.0.0\".freeze\nGem::Specification.new('a', version) do |s|\n s.version = version\nend";
        assert_eq!(read(text).unwrap().version, "3.0.0");
        let text = "Gem::Specification.new 'a', '3.0.0' do |s|\n s.summary = 'x'\nend";
        assert_eq!(read(text).unwrap().version, "3.0.0");
    }

    #[test]
    fn the_stub_says_what_the_program_computes() {
        let text = "# stub: quux 1.0.0 java lib\nGem::Specification.new do |s|\n s.version = compute()\nend";
        let gem = read(text).unwrap();
        assert_eq!((&*gem.name, &*gem.version), ("quux", "1.0.0"));
        assert_eq!(gem.qualifiers["platform"], "java");
        assert_eq!(read("# stub: quux\n# stub: \nputs 1"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn texts_without_an_end_are_little_work() {
        let text = format!("Gem::Specification.new do |s|\ns.authors = [{}\n", "%q(".repeat(300_000));
        assert_eq!(read(&text), None);
        assert_eq!(texts("100% 'a' %x %q<b> \"c").collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            _ = read(&String::from_utf8_lossy(&text));
        }

        #[test]
        fn values_never_panic(value in "[\"'%qwé<>\\\\u0-9\\[\\]#{}| ]{0,40}") {
            _ = read(&format!("Gem::Specification.new do |s|\ns.name = {value}\ns.licenses = {value}\n"));
            _ = read(&format!("Gem::Specification.new {value}\n"));
        }
    }
}
