//! .NET assemblies (PE files with a CLR header) and single-file bundles.
//!
//! What an assembly says of itself comes from its version resource ([`version_info`]):
//!
//! | String | |
//! | --- | --- |
//! | `ProductName`, `FileDescription`, `InternalName`, `OriginalFilename` | name, the first that is not empty; for Microsoft's, whose product is often all of .NET, `ProductName` comes last |
//! | `ProductVersion`, `FileVersion` | version |
//! | `CompanyName` | vendor |
//!
//! The SDK writes the package's version and the commit into `ProductVersion` (`8.0.1+0a2e29…`), and then it is the
//! version; `FileVersion` counts builds. Otherwise the one that says more counts.
//!
//! The assemblies of a shared framework (`shared/Microsoft.NETCore.App/8.0.1/`) are one package, the framework.
//! An application published as a single file is an executable with a [`bundle`] behind it, whose `deps.json` is
//! read as one beside the files would be; without one its assemblies are read.
//!
//! Native PE files are no .NET packages. Where a `deps.json` says which package a file belongs to, that counts and
//! not what the file says; they meet when the layers are squashed.

mod bundle;
mod version_info;

use std::borrow::Cow;
use std::cmp::Ordering;

use object::pe::{IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR, ImageNtHeaders32, ImageNtHeaders64};
use object::read::pe::{ImageNtHeaders, PeFile};
use version_info::VersionInfo;

use crate::catalogers::check_count;
use crate::catalogers::language::dotnet as deps;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Frameworks that are installed as a directory of assemblies.
const FRAMEWORKS: [&str; 3] = ["Microsoft.NETCore.App", "Microsoft.AspNetCore.App", "Microsoft.WindowsDesktop.App"];

/// Characters of a name or a version; what is longer is no such thing.
const LONGEST_TEXT: usize = 256;

/// Reads assemblies and bundles.
#[derive(Debug)]
pub(super) struct DotnetBinary;

impl Cataloger for DotnetBinary {
    fn name(&self) -> &'static str {
        "dotnet-binary"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().leading(0, b"MZ").leading(0, b"\x7fELF")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let name = file.name();
        let is_pe = has_extension(name, ".dll") || has_extension(name, ".exe");
        // The host that is found in a bundle is a program, never a library.
        let may_be_bundle = if is_pe { has_extension(name, ".exe") } else { file.executable && !name.contains(".so") };
        if !is_pe && !may_be_bundle {
            return Ok(());
        }
        let bytes = contents.whole()?;
        if let Some(info) = is_pe.then(|| assembly(bytes)).flatten() {
            if let Some(package) = framework(file).or_else(|| package(&info, name)) {
                findings.package(package);
            }
            return Ok(());
        }
        if !may_be_bundle {
            return Ok(());
        }
        match bundle::find(bytes)? {
            Some(bundle) => bundled(&bundle, findings),
            None => Ok(()),
        }
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    let start = name.len().saturating_sub(extension.len());
    name.as_bytes()[start..].eq_ignore_ascii_case(extension.as_bytes())
}

/// What is in a bundle: the packages of its `deps.json`, or else its assemblies.
fn bundled(bundle: &bundle::Bundle<'_>, findings: &mut Findings) -> Result<(), Problem> {
    if let Some(document) = bundle.files().find(|file| file.path.ends_with(".deps.json")) {
        let text = document.contents()?;
        let text = String::from_utf8_lossy(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text));
        return deps::read(&text, None, findings);
    }
    for file in bundle.files().filter(|file| has_extension(&file.path, ".dll")) {
        let contents = file.contents()?;
        let name = file.path.rsplit(['/', '\\']).next().unwrap_or_default();
        if let Some(package) = assembly(&contents).and_then(|info| package(&info, name)) {
            check_count(findings)?;
            findings.package(package);
        }
    }
    Ok(())
}

/// The version resource of a .NET assembly, empty if it has none; `None` for other files.
fn assembly(bytes: &[u8]) -> Option<VersionInfo> {
    fn read<Pe: ImageNtHeaders>(bytes: &[u8]) -> Option<VersionInfo> {
        let file = PeFile::<Pe>::parse(bytes).ok()?;
        let clr = file.data_directory(IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR)?;
        // ECMA-335, II.25.3.3: size of the header, major and minor version of the runtime.
        let header = clr.data(bytes, &file.section_table()).ok()?;
        let major = u16::from_le_bytes(*header.get(4..)?.first_chunk()?);
        (major != 0).then(|| version_info::find(bytes, &file).unwrap_or_default())
    }
    match object::read::pe::optional_header_magic(bytes).ok()? {
        object::pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => read::<ImageNtHeaders32>(bytes),
        object::pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => read::<ImageNtHeaders64>(bytes),
        _ => None,
    }
}

/// The shared framework that an assembly lies in: `shared/<name>/<version>/<assembly>`.
fn framework(file: &File<'_>) -> Option<Package> {
    let mut segments = file.directory().rsplit('/');
    let version = segments.next()?;
    let name = segments.next()?;
    (FRAMEWORKS.contains(&name) && version.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| deps::package(name, version))
}

fn package(info: &VersionInfo, file_name: &str) -> Option<Package> {
    let company = info.string("CompanyName");
    let is_microsoft =
        [&company, &info.string("ProductName")].iter().any(|text| text.to_ascii_lowercase().contains("microsoft"));
    let fields = if is_microsoft {
        ["FileDescription", "InternalName", "OriginalFilename", "ProductName"]
    } else {
        ["ProductName", "FileDescription", "InternalName", "OriginalFilename"]
    };
    let name = fields.into_iter().map(|field| info.string(field)).find(|value| !value.is_empty());
    let name = name.unwrap_or(Cow::Borrowed(file_name));
    let version = version(&info.string("ProductVersion"), &info.string("FileVersion"));
    let (name, usable) = (without_decoration(&name), !version.is_empty() && version.len() <= LONGEST_TEXT);
    if !usable || name.is_empty() || name.len() > LONGEST_TEXT {
        return None;
    }
    let description = info.string("FileDescription");
    Some(Package {
        vendor: (!company.is_empty()).then(|| company.into_owned()),
        description: (!description.is_empty() && description != name).then(|| description.into_owned()),
        ..deps::package(name, &version)
    })
}

/// Some put the framework behind the name: `Acme.Core (net8.0)`; others name the file.
fn without_decoration(name: &str) -> &str {
    let name = match name.rsplit_once('(') {
        Some((before, inner)) if inner.starts_with("net") && inner.ends_with(')') => before.trim_end(),
        _ => name,
    };
    let length = name.len();
    if length > 4 && (has_extension(name, ".dll") || has_extension(name, ".exe")) { &name[..length - 4] } else { name }
}

/// The version of the two strings.
fn version(product: &str, file: &str) -> String {
    if let Some((version, _commit)) = product.split_once('+')
        && numbers(version).is_some_and(|numbers| numbers.len() >= 3)
    {
        return version.to_owned();
    }
    let (product, file) = (leading_version(product), leading_version(file));
    let (chosen, other) = match (numbers(product), numbers(file)) {
        (None, Some(_)) => (file, product),
        (Some(_), None) => (product, file),
        (Some(a), Some(b)) => match compare(&a, &b) {
            Ordering::Greater => (product, file),
            Ordering::Less => (file, product),
            Ordering::Equal if b.len() > a.len() => (file, product),
            Ordering::Equal => (product, file),
        },
        // `1, 0, 0, 0`, `Release 73`: better than nothing.
        (None, None) => (product, file),
    };
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    if has_digit(chosen) {
        chosen.to_owned()
    } else if has_digit(other) {
        other.to_owned()
    } else {
        String::new()
    }
}

/// Up to the first word without a digit: `4.7.3190.0 built by: NET472` is version `4.7.3190.0`.
fn leading_version(text: &str) -> &str {
    let text = text.trim();
    let mut seen_digit = false;
    for word in text.split_whitespace() {
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        if seen_digit && !has_digit {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            return text[..start].trim_end();
        }
        seen_digit |= has_digit;
    }
    text
}

/// The numbers of `1.2.3.4` or `1.2.3-rc.1`; `None` for what is no such version.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let release = version.split(['-', '+']).next()?;
    if version.len() > LONGEST_TEXT || version.contains(char::is_whitespace) {
        return None;
    }
    release.split('.').map(|number| number.parse().ok()).collect()
}

fn compare(a: &[u64], b: &[u64]) -> Ordering {
    let number = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or(0);
    (0..a.len().max(b.len()))
        .map(|index| number(a, index).cmp(&number(b, index)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::version_info::tests::resource;
    use super::*;

    /// A PE file of one section that holds a resource directory with a version resource, and a CLR header.
    fn pe(strings: &[(&str, &str)], clr_major: u16) -> Vec<u8> {
        const RVA: u32 = 0x2000;
        const RAW: usize = 0x400;
        let mut section = Vec::new();
        section.extend(72_u32.to_le_bytes());
        section.extend(clr_major.to_le_bytes());
        section.resize(72, 0);
        let resources = section.len() as u32;
        // Three levels: type 16, name 1, language 0, and the data entry.
        for (id, offset) in [(16_u32, 24 | 1 << 31), (1, 48 | 1 << 31), (0, 72_u32)] {
            section.extend([0; 12]);
            section.extend([0, 0, 1, 0]);
            section.extend(id.to_le_bytes());
            section.extend(offset.to_le_bytes());
        }
        let data = resource(strings);
        let data_rva = RVA + resources + 72 + 16;
        for value in [data_rva, data.len() as u32, 0, 0] {
            section.extend(value.to_le_bytes());
        }
        section.extend(&data);

        let mut out = vec![0; 0x80];
        out[..2].copy_from_slice(b"MZ");
        out[0x3c] = 0x80;
        out.extend(b"PE\0\0");
        for value in [0x8664_u16, 1] {
            out.extend(value.to_le_bytes());
        }
        out.extend([0; 12]);
        for value in [240_u16, 0x22] {
            out.extend(value.to_le_bytes());
        }
        let optional = out.len();
        out.resize(optional + 240, 0);
        out[optional..optional + 2].copy_from_slice(&0x20b_u16.to_le_bytes());
        out[optional + 32..optional + 36].copy_from_slice(&0x1000_u32.to_le_bytes());
        out[optional + 36..optional + 40].copy_from_slice(&0x200_u32.to_le_bytes());
        out[optional + 108..optional + 112].copy_from_slice(&16_u32.to_le_bytes());
        let mut directory = |index: usize, rva: u32, size: u32| {
            let at = optional + 112 + index * 8;
            out[at..at + 4].copy_from_slice(&rva.to_le_bytes());
            out[at + 4..at + 8].copy_from_slice(&size.to_le_bytes());
        };
        directory(2, RVA + resources, section.len() as u32 - resources);
        if clr_major > 0 {
            directory(14, RVA, 72);
        }
        out.extend(b".rsrc\0\0\0");
        for value in [section.len() as u32, RVA, section.len() as u32, RAW as u32, 0, 0, 0, 0x4000_0040] {
            out.extend(value.to_le_bytes());
        }
        out.resize(RAW, 0);
        out.extend(&section);
        out
    }

    fn read_at(path: &str, executable: bool, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
        let file = File { path, size: bytes.len() as u64, executable };
        let mut findings = Findings::default();
        DotnetBinary.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
        Ok(findings.packages().to_vec())
    }

    fn list(path: &str, bytes: &[u8]) -> Vec<String> {
        let packages = read_at(path, true, bytes).expect("is well-formed");
        packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
    }

    const QUUX: &[(&str, &str)] = &[
        ("CompanyName", "Acme"),
        ("FileDescription", "Quux for .NET"),
        ("FileVersion", "2.1.0.0"),
        ("ProductName", "Acme.Quux"),
        ("ProductVersion", "2.1.0"),
    ];

    #[test]
    fn assemblies_are_packages() {
        assert_eq!(
            read_at("app/Quux.dll", false, &pe(QUUX, 2)).unwrap(),
            [Package {
                kind: "nuget".into(),
                name: "Acme.Quux".into(),
                version: "2.1.0.0".into(),
                vendor: Some("Acme".into()),
                description: Some("Quux for .NET".into()),
                ..Package::default()
            }]
        );
        assert_eq!(list("app/Quux.EXE", &pe(QUUX, 2)), ["Acme.Quux 2.1.0.0"]);
        assert_eq!(list("app/Quux.sys", &pe(QUUX, 2)), [""; 0], "not an assembly by its name");
        assert_eq!(list("app/Quux.dll", &pe(QUUX, 0)), [""; 0], "native");
        assert_eq!(list("app/Quux.dll", &pe(&[], 2)), ["Quux 1.2.3.4"], "the fixed part has the file's version");
        assert_eq!(list("app/Quux.dll", b"MZ"), [""; 0]);
    }

    #[test]
    fn a_shared_framework_is_one_package() {
        let path = "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.14/System.Runtime.dll";
        let package = read_at(path, false, &pe(QUUX, 2)).unwrap().remove(0);
        assert_eq!((&*package.name, &*package.version), ("Microsoft.NETCore.App", "8.0.14"));
        assert_eq!(package.cpes, ["cpe:2.3:a:microsoft:.net:8.0.14:*:*:*:*:*:*:*"]);
    }

    #[test]
    fn names_and_versions_are_chosen() {
        // After the cases of Syft's package_test.go, with the differences that the module's doc names.
        let check = |strings: &[(&str, &str)], expected: &str| {
            assert_eq!(list("app/Some.dll", &pe(strings, 2)), [expected], "{strings:?}");
        };
        check(
            &[
                ("InternalName", "Acme.Directory.Platform.dll"),
                ("FileVersion", "3.14.40721.0918    xxxfffdddjjjj"),
                ("FileDescription", "Directory Library"),
                ("CompanyName", "Microsoft Corporation"),
                ("ProductVersion", "c61f043686a544863efc014114c42e844f905336"),
            ],
            "Directory Library 3.14.40721.0918",
        );
        check(
            &[
                ("CompanyName", "Microsoft Corporation"),
                ("FileDescription", "System.Data.Linq.dll"),
                ("FileVersion", "4.7.3190.0 built by: NET472REL1LAST_C"),
                ("ProductName", "Microsoft® .NET Framework"),
                ("ProductVersion", "4.7.3190.0"),
            ],
            "System.Data.Linq 4.7.3190.0",
        );
        check(
            &[
                ("CompanyName", " "),
                ("InternalName", "Acme.dll"),
                ("FileVersion", "8.0.1"),
                ("ProductVersion", "8.0.1"),
            ],
            "Acme 8.0.1",
        );
        check(
            &[("FileDescription", "A\u{a0} \t B"), ("FileVersion", "1, 0, 0, 0"), ("ProductVersion", "1, 0, 0, 0")],
            "A B 1, 0, 0, 0",
        );
        check(
            &[("ProductName", "A (net8.0)"), ("FileVersion", "80.1.7"), ("ProductVersion", "80.1.7.92")],
            "A 80.1.7.92",
        );
        check(&[("ProductName", "A"), ("FileVersion", "80.1.7.92"), ("ProductVersion", "80.1.7")], "A 80.1.7.92");
        check(&[("ProductName", "A"), ("FileVersion", "3.0.0.0"), ("ProductVersion", "3.0.0")], "A 3.0.0.0");
        check(&[("ProductName", "A"), ("FileVersion", "3.0.1"), ("ProductVersion", "A")], "A 3.0.1");
        check(
            &[("ProductName", "A"), ("FileVersion", "10.0.726.21808"), ("ProductVersion", "10.0.7+b16286c")],
            "A 10.0.7",
        );
        check(
            &[("ProductName", "A"), ("FileVersion", "1.0.0.0"), ("ProductVersion", "1.0.0-rc.1+b16286c")],
            "A 1.0.0-rc.1",
        );
        check(&[("ProductName", "A"), ("FileVersion", "99999999999999999999.1"), ("ProductVersion", "1")], "A 1");
    }

    const DEPS: &str = r#"{"libraries": {"Acme.Quux/2.1.0": {"type": "package"}}}"#;

    #[test]
    fn bundles_are_opened() {
        let host = b"\x7fELF and more of a program";
        let quux = pe(QUUX, 2);
        let with_deps =
            bundle::tests::bundle(host, 6, &[("app.deps.json", DEPS.as_bytes(), false), ("Quux.dll", &quux, true)]);
        assert_eq!(list("app/app", &with_deps), ["Acme.Quux 2.1.0"]);
        let without = bundle::tests::bundle(host, 6, &[("Quux.dll", &quux, true), ("libx.so", b"x", false)]);
        assert_eq!(list("app/app", &without), ["Acme.Quux 2.1.0.0"]);
        for version in [1, 2] {
            let bytes = bundle::tests::bundle(&pe(QUUX, 0), version, &[("Quux.dll", &quux, false)]);
            assert_eq!(list("app/app.exe", &bytes), ["Acme.Quux 2.1.0.0"], "version {version}");
        }
        assert_eq!(list("app/libapp.so.1", &with_deps), [""; 0], "a library is no bundle");
        assert!(read_at("app/app", false, &with_deps).unwrap().is_empty(), "nor is what cannot be run");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn mutations_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            for (path, bytes) in [
                ("a.dll", pe(QUUX, 2)),
                ("a", bundle::tests::bundle(b"\x7fELF", 6, &[("a.deps.json", DEPS.as_bytes(), true)])),
            ] {
                let mut bytes = bytes;
                let at = at.index(bytes.len());
                bytes[at] = byte;
                _ = read_at(path, true, &bytes);
                bytes.truncate(cut.index(bytes.len()));
                _ = read_at(path, true, &bytes);
            }
        }
    }
}
