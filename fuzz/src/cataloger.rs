//! Every cataloger of the indexer, at the paths that it wants.

use std::path::PathBuf;
use std::sync::Arc;

use supercargo_index::{Cataloger, Catalogers, Contents, File, Findings, Indexer, Interest};

use crate::memory::Image;
use crate::{Target, literals, seeds, tar};

/// What is held, when a file passes by instead.
const HELD: u64 = 1 << 20;

/// A source file and its literals.
type Source = (Vec<Vec<u8>>, PathBuf);

pub(crate) fn targets() -> Vec<Target> {
    let sources = literals::sources("crates/index/src/catalogers");
    let sources: Vec<Source> = sources.into_iter().map(|file| (literals::of(&file), file)).collect();
    Catalogers::all().iter().map(|cataloger| target(cataloger, &sources)).collect()
}

fn target(cataloger: &Arc<dyn Cataloger>, sources: &[Source]) -> Target {
    let interest = cataloger.interest();
    let paths = paths(&interest);
    let leading: Vec<_> = interest.leading_bytes().collect();
    let words = words(cataloger.name(), sources);
    let many = paths.len().min(12);
    let seeds = {
        let (words, leading) = (words.clone(), leading.clone());
        move || {
            let mut samples: Vec<_> = seeds::documents(&words);
            samples.extend(leading.iter().map(|(offset, bytes)| [vec![0; *offset], bytes.to_vec()].concat()));
            samples.extend(generic());
            let with = |choice: usize| {
                let byte = u8::try_from(choice).unwrap_or_default();
                samples.iter().map(move |sample| [sample.as_slice(), &[byte]].concat())
            };
            (0..many).flat_map(with).chain(with(0x80)).collect()
        }
    };
    let indexer = Indexer::new().with_catalogers(Catalogers::of(vec![cataloger.clone()])).with_layers_at_once(1);
    let cataloger = cataloger.clone();
    Target {
        name: format!("cataloger/{}", cataloger.name()),
        run: Box::new(move |bytes| run(&*cataloger, &indexer, &paths, &leading, bytes)),
        seeds: Box::new(seeds),
        words,
    }
}

/// The last byte of the input says at which path the file lies, and whether it is held or passes by.
fn run(
    cataloger: &dyn Cataloger,
    indexer: &Indexer,
    paths: &[String],
    leading: &[(usize, &'static [u8])],
    bytes: &[u8],
) {
    let Some((&choice, bytes)) = bytes.split_last() else { return };
    let at = usize::from(choice & 0x7f) % (paths.len() + leading.len()).max(1);
    let mut bytes = bytes.to_vec();
    let path = match paths.get(at) {
        Some(path) => path,
        // A file that is wanted for its first bytes has them.
        None => {
            if let Some(&(offset, first)) = leading.get(at - paths.len()) {
                bytes.resize(bytes.len().max(offset + first.len()), 0);
                bytes[offset..offset + first.len()].copy_from_slice(first);
            }
            "usr/bin/program"
        }
    };
    let file = File { path, size: bytes.len() as u64, executable: true };
    let mut findings = Findings::default();
    if choice & 0x80 == 0 {
        let _ = cataloger.catalog(&file, &mut Contents::held(&bytes), &mut findings);
    } else {
        let mut reader = bytes.as_slice();
        let file = File { size: file.size + HELD, ..file };
        let _ = cataloger.catalog(&file, &mut Contents::passing(&mut reader, file.size, HELD), &mut findings);
    }
    for package in findings.packages() {
        assert!(!package.name.is_empty());
    }
    if !findings.packages().is_empty() || !findings.supplements().is_empty() {
        // Long names are what extension headers are for.
        let layer = [tar::pax(&[("path", path)]), tar::entry(b'0', b"file", b"", &bytes), tar::END.to_vec()].concat();
        let metadata = Image::of(vec![layer]).index(indexer);
        assert!(metadata.is_ok(), "{:?}", metadata.err());
    }
}

/// A path for each pattern.
fn paths(interest: &Interest) -> Vec<String> {
    let from_patterns = interest.patterns().map(|pattern| {
        let path = pattern.replace("**/", "srv/app-1.0/").replace("**", "app").replace('*', "name-1.2.3");
        path.replace("srv/app-1.0/srv", "srv")
    });
    let below = interest.parents().map(|parent| format!("{parent}/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-name-1.2.3/bin/x"));
    from_patterns.chain(below).collect()
}

/// The sources that speak of the cataloger: the file that names it, and the files of its module.
fn words(name: &str, sources: &[Source]) -> Vec<PathBuf> {
    let naming = sources.iter().filter(|(literals, _)| literals.iter().any(|literal| literal == name.as_bytes()));
    let modules: Vec<(&PathBuf, PathBuf)> = naming.map(|(_, file)| (file, file.with_extension(""))).collect();
    let speaks = |file: &PathBuf| modules.iter().any(|(naming, module)| *naming == file || file.starts_with(module));
    sources.iter().map(|(_, file)| file).filter(|file| speaks(file)).cloned().collect()
}

/// Files of the formats that tests make rather than quote.
fn generic() -> Vec<Vec<u8>> {
    let manifest = b"Manifest-Version: 1.0\nBundle-SymbolicName: a\nImplementation-Version: 1.0\n";
    let pom = b"groupId=org.example\nartifactId=a\nversion=1.0\n";
    let jar = zip(&[("META-INF/MANIFEST.MF", manifest), ("META-INF/maven/org.example/a/pom.properties", pom)]);
    let nested = zip(&[("META-INF/MANIFEST.MF", manifest), ("lib/b-2.0.jar", &jar)]);
    let mut samples = vec![
        jar,
        nested,
        zip(&[("name-1.dist-info/METADATA", b"Metadata-Version: 2.1\nName: a\nVersion: 1\n")]),
        br#"{"name":"a","version":"1.0.0","license":"MIT","dependencies":{"b":"^1"}}"#.to_vec(),
        b"<?xml version=\"1.0\"?><project><groupId>a</groupId><artifactId>b</artifactId><version>1</version></project>"
            .to_vec(),
        b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec(),
        b"Package: a\nVersion: 1.0\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: x\n".to_vec(),
        b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n".to_vec(),
        tar::samples().concat(),
    ];
    // A real program, where there is one of a size that a fuzzer can work with.
    samples.extend(std::fs::read("/usr/bin/true").ok());
    for sample in samples.clone() {
        samples.push(gzip(&sample));
        samples.extend(zstd::bulk::compress(&sample, 3).ok());
    }
    samples
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).and_then(|()| packer.finish()).unwrap_or_default()
}

/// An archive of stored entries.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, contents) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let size = contents.len() as u32;
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for number in [crc.sum(), size, size, name.len() as u32] {
            fields.extend_from_slice(&number.to_le_bytes());
        }
        let offset = archive.len() as u32;
        archive.extend([b"PK\x03\x04", fields.as_slice(), name.as_bytes(), contents].concat());
        let place = [[0; 10].as_slice(), &offset.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\0", fields.as_slice(), &place, name.as_bytes()].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (length, offset) = (directory.len() as u32, archive.len() as u32);
    archive.extend(directory);
    archive.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count].concat());
    archive.extend([length.to_le_bytes(), offset.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}
