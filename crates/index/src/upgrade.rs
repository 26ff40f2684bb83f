//! A layer that other catalogers have read, brought up to date from its captures.
//!
//! The walk over the tar is done again, over the names: the same matcher says who wants which file, in the same order.
//! What an unchanged cataloger found stays; a changed one is given the file as it was kept. Where anything that a read
//! of the layer would look at is not known, there is no upgrade. So the result is that of a read, or none.

use std::collections::HashMap;
use std::io::Read;

use crate::capture::{self, CapturedFile, Opened};
use crate::cataloger::Selection;
use crate::read_layer::{Context, Gathered};
use crate::{Contents, EntryKind, File, FileFindings, LayerIndex, Skipped};

/// `layer` as the catalogers of `context` would read it. `None` if that takes the layer's bytes, or if it was
/// cancelled.
pub(crate) fn upgrade(
    context: &Context<'_>,
    mut layer: LayerIndex,
    cancelled: impl Fn() -> bool,
) -> Option<LayerIndex> {
    let mut captures = layer.captures.take()?.open()?;
    let mut replay = Replay::new(context, &mut layer, &captures);
    replay.run(&layer, &mut captures, cancelled)?;
    let Replay { gathered, .. } = replay;
    let mut table = captures.table;
    table.looked_for(context.catalogers.leading());
    Some(LayerIndex {
        catalogers: context.catalogers.versions().to_vec(),
        findings: gathered.findings,
        skipped: gathered.skipped,
        captures: table.seal(&captures.contents),
        ..layer
    })
}

struct Replay<'a> {
    context: &'a Context<'a>,
    gathered: Gathered,
    /// What was found and skipped in each file.
    found: HashMap<String, (Vec<FileFindings>, Vec<Skipped>)>,
    /// For each cataloger whether it is the one that read the layer.
    unchanged: Vec<bool>,
    /// A file that was not wanted and that has this many bytes may begin with something that was not looked for.
    unknown_from: Option<u64>,
    contents: Vec<u8>,
}

impl<'a> Replay<'a> {
    fn new(context: &'a Context<'a>, layer: &mut LayerIndex, captures: &Opened) -> Self {
        let mut found: HashMap<String, (Vec<FileFindings>, Vec<Skipped>)> = HashMap::new();
        for findings in std::mem::take(&mut layer.findings) {
            found.entry(findings.path.clone()).or_default().0.push(findings);
        }
        for skipped in std::mem::take(&mut layer.skipped) {
            found.entry(skipped.path.clone()).or_default().1.push(skipped);
        }
        let unknown = context.catalogers.leading().filter(|(at, bytes)| !captures.table.has_looked_for(*at, bytes));
        Self {
            context,
            gathered: Gathered::default(),
            found,
            unchanged: context.catalogers.versions().iter().map(|one| layer.catalogers.contains(one)).collect(),
            unknown_from: unknown.map(|(at, bytes)| (at + bytes.len()) as u64).min(),
            contents: Vec::new(),
        }
    }

    fn run(&mut self, layer: &LayerIndex, captures: &mut Opened, cancelled: impl Fn() -> bool) -> Option<()> {
        let last = last_entries(layer, captures);
        let mut stream = capture::contents(&captures.contents).ok()?;
        let mut files = captures.table.files.iter_mut().peekable();
        let mut selection = Selection::new();
        for (number, entry) in layer.entries.iter().enumerate() {
            let captured = files.next_if(|file| file.entry as usize == number);
            if entry.kind != EntryKind::File || entry.size == 0 {
                // Captures of what is no file are not of this layer.
                captured.is_none().then_some(())?;
                continue;
            }
            if let Some(file) = &captured {
                self.contents.clear();
                let kept = stream.by_ref().take(u64::from(file.kept)).read_to_end(&mut self.contents).ok()?;
                (kept == file.kept as usize).then_some(())?;
            }
            selection.clear();
            let catalogers = self.context.catalogers;
            catalogers.select_by_path(entry.path, &mut selection);
            catalogers.select_one_below(entry.path, &mut self.gathered.chosen, &mut selection);
            match &captured {
                Some(file) if file.sparse => {}
                Some(_) => catalogers.select_by_leading_bytes(&self.contents, &mut selection),
                None if self.unknown_from.is_some_and(|from| entry.size >= from) => return None,
                // It has none of the leading bytes that were looked for, or it would have been wanted.
                None => {}
            }
            let Some(captured) = captured else {
                selection.is_empty().then_some(())?;
                continue;
            };
            let file = File { path: entry.path, size: entry.size, executable: captured.executable };
            let whole = u64::from(captured.kept) == entry.size;
            self.check_passing(layer, captured, &file, &selection)?;
            if !whole || !captured.by.is_empty() {
                captured.by = capture::indexes(&selection);
            }
            // What was found in an earlier file of the same path is forgotten when it is written again.
            if last.get(entry.path) == Some(&number) {
                (!cancelled()).then_some(())?;
                self.file(&file, &selection, whole)?;
            }
        }
        // All that an unchanged cataloger found has a place; if not, the captures are not of this layer.
        let unchanged = |name: &str| {
            let mut versions = self.context.catalogers.versions().iter().zip(&self.unchanged);
            versions.any(|(one, unchanged)| *unchanged && one.name == name)
        };
        let mut left = self.found.values();
        let lost = left.any(|(findings, skipped)| {
            findings.iter().any(|one| unchanged(&one.cataloger)) || skipped.iter().any(|one| unchanged(&one.cataloger))
        });
        (files.next().is_none() && !lost).then_some(())
    }

    /// A file that is too large to be held is read by the first who wants it, and the others are refused: what was found
    /// then stands only if the same catalogers want it in the same order.
    fn check_passing(
        &self,
        layer: &LayerIndex,
        captured: &CapturedFile,
        file: &File<'_>,
        selection: &Selection,
    ) -> Option<()> {
        if file.size <= self.context.held_size() {
            return Some(());
        }
        let versions = self.context.catalogers.versions();
        let now = selection.iter().map(|(index, _)| Some(&versions[*index]));
        let then = captured.by.iter().map(|index| layer.catalogers.get(usize::from(*index)));
        now.eq(then).then_some(())
    }

    /// Gives a file to those who want it.
    fn file(&mut self, file: &File<'_>, selection: &Selection, whole: bool) -> Option<()> {
        let Self { context, gathered, found, unchanged, contents, .. } = self;
        for wanted in selection {
            if !unchanged[wanted.0] {
                (whole && file.size <= context.held_size()).then_some(())?;
                let wanted = std::slice::from_ref(wanted);
                let read =
                    gathered.catalog(context, file, wanted, |catalog| catalog(&mut Contents::held(&contents[..])));
                read.ok()?;
                continue;
            }
            let Some((findings, skipped)) = found.get_mut(file.path) else { continue };
            let name = context.catalogers.get(wanted.0).name();
            let findings = findings.extract_if(.., |one| one.cataloger == name);
            let skipped = skipped.extract_if(.., |one| one.cataloger == name);
            gathered.keep(context, findings, skipped).ok()?;
        }
        Some(())
    }
}

/// The last entry of each captured path: what is found in a file counts until the path is written again.
fn last_entries<'a>(layer: &'a LayerIndex, captures: &Opened) -> HashMap<&'a str, usize> {
    let captured = captures.table.files.iter().filter_map(|file| layer.entries.get(file.entry as usize));
    let mut last: HashMap<&str, usize> = captured.map(|entry| (entry.path, 0)).collect();
    for (number, entry) in layer.entries.iter().enumerate() {
        if !matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque)
            && let Some(last) = last.get_mut(entry.path)
        {
            *last = number;
        }
    }
    last
}
