//! `supercargo index`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use supercargo_engine::index::{
    DiffIds, Evidence, ImageMetadata, ImagePackage, Indexer, Platform, Progress, cyclonedx, scout, spdx,
};
use supercargo_engine::registry::{
    self, ArchiveRegistry, ImageSet, LayoutRegistry, PlatformImage, Registry, RegistryConfig, RegistryExt as _,
    RegistryHost, Repository, Target, split_reference,
};

use super::generator;
use super::list::full_name;
use super::source::{Source, split_name};
use crate::credentials::Credentials;
use crate::table::Table;
use crate::text::{count, cut, printable};
use crate::watch::scope::load_registry;
use crate::{Environment, Error, ErrorKind, Exit, Output, Result, cli, proxy};

#[derive(Args, Debug)]
pub(super) struct IndexArgs {
    /// An image, registry://REF, oci-dir://PATH[:TAG|@DIGEST], archive://FILE[:TAG] or fs://PATH; as BuildKit's SBOM
    /// generator, none
    #[arg(value_name = "SOURCE")]
    source: Option<Source>,

    /// The image of this platform, such as linux/arm64 [default: this machine's, else the first]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    /// How the image's registry is reached: a host, or key=value fields as for supercargo-watch. Of several, the one of
    /// the image's host counts
    #[arg(long, value_name = "REGISTRY")]
    registry: Vec<String>,

    /// What is printed
    #[arg(long, value_enum, default_value_t = Format::Json, value_name = "FORMAT")]
    format: Format,

    /// Packages, too, that lock files name and nothing shows to be installed
    #[arg(long)]
    declared: bool,

    /// Refuse an image whose configuration names other diff IDs than its layers have, as a runtime would. Takes up
    /// to a third longer; the layers' digests are verified always
    #[arg(long)]
    verify_diff_ids: bool,

    /// Write to this file instead of standard output, whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Docker Scout's SBOM JSON
    Json,
    /// SPDX 2.3 JSON
    Spdx,
    /// CycloneDX 1.6 JSON
    Cyclonedx,
    /// A table of packages
    List,
}

pub(super) fn run(args: &IndexArgs, environment: &Environment, output: &mut Output) -> Result<Exit> {
    let Some(source) = &args.source else {
        let request = generator::Request::of(environment)?.ok_or_else(|| {
            Error::usage(vec!["name what to index, such as registry.example.com/team/app:1.0 or fs:///srv/app".into()])
        })?;
        request.answer(args.declared, output)?;
        return Ok(Exit::Done);
    };
    let metadata = match source {
        Source::FileSystem(path) => Indexer::new()
            .index_directory(path)
            .map_err(|error| Error::failed(format!("index {}", path.display()), error))?,
        source => cli::block_on(image(source, args, environment, output))?,
    };
    warn(&metadata, output);
    let document = |writer: &mut dyn Write| match args.format {
        Format::Json => {
            scout::write(&metadata, scout::Options { declared: args.declared }, &mut *writer)?;
            writer.write_all(b"\n")
        }
        Format::Spdx => {
            let options = spdx::Options { declared: args.declared, ..spdx::Options::default() };
            spdx::write(&metadata, &options, &mut *writer)?;
            writer.write_all(b"\n")
        }
        Format::Cyclonedx => {
            let options = cyclonedx::Options { declared: args.declared, ..cyclonedx::Options::default() };
            cyclonedx::write(&metadata, &options, &mut *writer)?;
            writer.write_all(b"\n")
        }
        Format::List => list(&metadata, args.declared, writer),
    };
    match &args.output {
        Some(path) => {
            write_file(path, document).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
        }
        None => document(output.out()).map_err(|error| Error::io("print", error))?,
    }
    Ok(Exit::Done)
}

async fn image(
    source: &Source,
    args: &IndexArgs,
    environment: &Environment,
    output: &mut Output,
) -> Result<ImageMetadata> {
    match source {
        Source::Registry(reference) => {
            let (repository, target) = split_reference(reference)?;
            let mut config = registry_of(reference.registry().parse()?, &args.registry)?;
            proxy::apply(&mut config, environment).map_err(|problem| Error::usage(vec![problem]))?;
            config.take_variables(|name| environment.text(name));
            let credentials = Credentials::of(environment).map_err(|problem| Error::usage(vec![problem]))?;
            let registry = supercargo_engine::registry::build(&config, credentials.provider(&config))?;
            index(registry, &repository, &target, args, output).await
        }
        Source::Layout(text) => {
            let (path, name) = split_name(text);
            let layout = LayoutRegistry::open(path).await.map_err(unreadable)?;
            let (repository, target) = layout.find(name).map_err(unreadable)?;
            index(Arc::new(layout), &repository, &target, args, output).await
        }
        Source::Archive(text) => {
            let (path, name) = split_name(text);
            let archive = ArchiveRegistry::open(path).await.map_err(unreadable)?;
            let (repository, target) = archive.find(name).map_err(unreadable)?;
            index(Arc::new(archive), &repository, &target, args, output).await
        }
        Source::FileSystem(_) => unreachable!("a directory is no image"),
    }
}

/// The configuration of the registry `host`: what was said of it, or what is true of any.
fn registry_of(host: RegistryHost, described: &[String]) -> Result<RegistryConfig> {
    let (mut known, mut problems) = (Vec::new(), Vec::new());
    for text in described {
        match load_registry(text) {
            Ok(config) => known.extend(config.registries()),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(Error::usage(problems));
    }
    let hosts: Vec<String> = known.iter().map(|config| config.host.to_string()).collect();
    match known.into_iter().find(|config| config.host == host) {
        Some(config) => Ok(config),
        None if hosts.is_empty() => Ok(RegistryConfig::new(host)),
        None => Err(Error::usage(vec![format!(
            "--registry: it describes {}, and the image is in {host}",
            hosts.join(", ")
        )])),
    }
}

fn unreadable(error: registry::Error) -> Error {
    Error::from(error).during("read the image")
}

async fn index<R: Registry + ?Sized + 'static>(
    registry: Arc<R>,
    repository: &Repository,
    target: &Target,
    args: &IndexArgs,
    output: &mut Output,
) -> Result<ImageMetadata> {
    let name = format!("{repository}{}{target}", target.separator());
    let set = registry
        .images(repository, target)
        .await
        .map_err(|error| Error::from(error).during(format!("index {name}")))?;
    let image = choose(&set, args.platform.as_ref(), output)?;
    let bar = progress_bar(output);
    let shown = bar.clone();
    let diff_ids = if args.verify_diff_ids { DiffIds::Verified } else { DiffIds::Claimed };
    let indexer = Indexer::new().with_diff_ids(diff_ids).with_progress(move |progress| match progress {
        Progress::Begun { bytes, .. } => shown.set_length(bytes),
        Progress::Read { bytes } | Progress::Cached { bytes } | Progress::Spared { bytes } => shown.inc(bytes),
        _ => {}
    });
    let mut source = registry.image(image.clone());
    if let Target::Tag(tag) = target {
        source = source.with_tags([tag.clone()]);
    }
    let indexed = indexer.index(&source).await;
    bar.finish_and_clear();
    let metadata = indexed.map_err(|error| {
        let retryable = error.is_retryable();
        Error::failed(format!("index {name}"), error).with_retry(retryable, None)
    })?;
    // A manifest outside an index names its platform in the configuration only.
    if let (Some(wanted), Some(details)) = (&args.platform, metadata.image())
        && !wanted.accepts(&details.platform)
    {
        return Err(no_such_platform(wanted, &[details.platform.to_string()]));
    }
    Ok(metadata)
}

/// The image for the platform that was asked for; else this machine's, else the first.
fn choose<'a>(set: &'a ImageSet, wanted: Option<&Platform>, output: &mut Output) -> Result<&'a PlatformImage> {
    let name = |image: &PlatformImage| image.platform.as_ref().map_or("unknown".to_owned(), Platform::to_string);
    let Some(first) = set.images.first() else {
        let reasons: Vec<&str> = set.unsupported.iter().map(|unsupported| unsupported.reason.as_str()).collect();
        let reason = if reasons.is_empty() { "it holds no image".to_owned() } else { reasons.join("; ") };
        return Err(Error::new(ErrorKind::Failed, format!("index {}: {reason}", set.root.digest())));
    };
    let names = || set.images.iter().map(name).collect::<Vec<_>>();
    if let Some(wanted) = wanted {
        return set.for_platform(wanted).ok_or_else(|| no_such_platform(wanted, &names()));
    }
    if set.images.len() == 1 {
        return Ok(first);
    }
    let here = Platform::of_this_machine();
    let chosen = set.for_platform(&here).unwrap_or(first);
    output.say(format_args!(
        "note: {} are there ({}); this is {}. Choose with --platform",
        count(set.images.len() as u64, "platform"),
        printable(&names().join(", ")),
        printable(&name(chosen)),
    ));
    Ok(chosen)
}

fn no_such_platform(wanted: &Platform, there: &[String]) -> Error {
    Error::new(ErrorKind::NotFound, format!("find an image for {wanted}"))
        .with_hint(format!("there are: {}", there.join(", ")))
}

fn progress_bar(output: &Output) -> ProgressBar {
    if !output.is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
        .expect("the template is well formed");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What was not read is said: a list that looks whole and is not misleads.
pub(super) fn warn(metadata: &ImageMetadata, output: &mut Output) {
    const SHOWN: usize = 5;
    let skipped = &metadata.skipped;
    if skipped.is_empty() {
        return;
    }
    output.say(format_args!("warning: {} not read, so packages may be missing:", count(skipped.len() as u64, "file")));
    for file in skipped.iter().take(SHOWN) {
        output.say(format_args!("  {}: {}", printable(&file.path), printable(&file.reason)));
    }
    if skipped.len() > SHOWN {
        output.say(format_args!("  and {} more", skipped.len() - SHOWN));
    }
}

fn list(metadata: &ImageMetadata, declared: bool, writer: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(["TYPE", "NAME", "VERSION", "LAYER", "LICENSES"]);
    let is_shown = |package: &&ImagePackage| declared || package.package.evidence != Evidence::Declared;
    let name = |package: &ImagePackage| {
        full_name(&package.package.kind, package.package.namespace.as_deref(), &package.package.name)
    };
    let mut shown: Vec<&ImagePackage> = metadata.packages.iter().filter(is_shown).collect();
    shown.sort_by_cached_key(|package| (package.package.kind.clone(), name(package)));
    for package in shown {
        let layer = match package.locations.first() {
            Some(location) => location.layer.map_or_else(String::new, |layer| layer.to_string()),
            None => "(source)".to_owned(),
        };
        table.row([
            &package.package.kind,
            &name(package),
            &package.package.version,
            &layer,
            &cut(&package.package.licenses.join(", "), 60),
        ]);
    }
    table.print(writer)
}

/// Writes beside the file and renames, so that nobody ever reads half a document.
pub(crate) fn write_file(path: &Path, document: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // A device or a pipe is written to; replacing it would be a surprise.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let mut file = io::BufWriter::new(std::fs::OpenOptions::new().write(true).open(path)?);
        document(&mut file)?;
        return file.flush();
    }
    // A link stays a link, and its target is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".supercargo-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = io::BufWriter::new(builder.tempfile_in(folder)?);
    document(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use supercargo_engine::registry::RegistryKind;

    use super::*;

    #[test]
    fn the_registry_of_an_image() {
        let check = |host: &str, described: &[&str], expected: Result<RegistryKind, &str>| {
            let described: Vec<String> = described.iter().map(|text| (*text).to_owned()).collect();
            match (registry_of(host.parse().unwrap(), &described), expected) {
                (Ok(config), Ok(kind)) => assert_eq!((config.host.to_string().as_str(), config.kind), (host, kind)),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{part} in {error}"),
                (found, expected) => panic!("{host} {described:?}: {found:?} instead of {expected:?}"),
            }
        };
        let artifactory = "type=artifactory,registry=a.test,api=https://a.test/artifactory,subdomain-mode=true,\
            \"repository=x,y\"";
        check("a.test", &[], Ok(RegistryKind::Oci));
        check("y.a.test", &["b.test", artifactory], Ok(RegistryKind::Artifactory));
        check("b.test", &["b.test", artifactory], Ok(RegistryKind::Oci));
        check("a.test", &[artifactory], Err("x.a.test, y.a.test"));
        check("a.test", &["type=x,registry=a.test"], Err("type"));
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sbom.json");
        std::fs::write(&path, "old").unwrap();
        let failed = write_file(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");

        write_file(&path, |writer| writer.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        write_file(Path::new("/dev/null"), |writer| writer.write_all(b"gone")).unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
