//! The version resource of a PE file.
//!
//! Sources of the formats: <https://learn.microsoft.com/windows/win32/debug/pe-format#the-rsrc-section> for the
//! tree of resources (type, name, language), <https://learn.microsoft.com/windows/win32/menurc/vs-versioninfo> for
//! what is at its end. That is a tree of blocks again, each of
//!
//! | Bytes | |
//! | --- | --- |
//! | 2, 2, 2 | length of the block; length of the value; 1 if the value is text |
//! | | key in UTF-16, up to a zero, then up to the next multiple of 4 |
//! | | value, then up to the next multiple of 4 |
//! | | blocks within it |
//!
//! of which `VS_VERSION_INFO` holds `StringFileInfo`, which holds a table for each language, which holds the strings.

use std::borrow::Cow;

use object::pe::{IMAGE_DIRECTORY_ENTRY_RESOURCE, RT_VERSION};
use object::read::pe::{ImageNtHeaders, PeFile, ResourceDirectory, ResourceDirectoryEntryData, ResourceDirectoryTable};

/// Bytes of a version resource; compilers' own lengths have 16 bits.
const LONGEST_RESOURCE: usize = 64 << 10;

/// Strings of one resource; the SDK writes about ten.
const MOST_STRINGS: usize = 100;

/// `VS_FIXEDFILEINFO.dwSignature`.
const SIGNATURE: u32 = 0xfeef_04bd;

/// The strings of a version resource.
#[derive(Debug, Default)]
pub(super) struct VersionInfo {
    strings: Vec<(String, String)>,
    file_version: Option<String>,
}

impl VersionInfo {
    /// The string of this key with its white space tidied and control characters removed; empty if there is none.
    pub(super) fn string(&self, key: &str) -> Cow<'_, str> {
        let value = self.strings.iter().find(|(other, value)| other == key && !value.trim().is_empty());
        match (value, &self.file_version) {
            (Some((_, value)), _) => tidy(value),
            (None, Some(version)) if key == "FileVersion" => Cow::Borrowed(version),
            _ => Cow::Borrowed(""),
        }
    }
}

fn tidy(text: &str) -> Cow<'_, str> {
    let is_tidy =
        |text: &str| !text.contains(|c: char| c.is_control() || c.is_whitespace() && c != ' ') && !text.contains("  ");
    let trimmed = text.trim();
    if is_tidy(trimmed) {
        return Cow::Borrowed(trimmed);
    }
    let words = text.split_whitespace().map(|word| word.replace(char::is_control, "")).filter(|word| !word.is_empty());
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

/// The version resource of `file`, which is `bytes`.
pub(super) fn find<Pe: ImageNtHeaders>(bytes: &[u8], file: &PeFile<'_, Pe>) -> Option<VersionInfo> {
    let sections = file.section_table();
    let directory = file.data_directory(IMAGE_DIRECTORY_ENTRY_RESOURCE)?;
    let directory = ResourceDirectory::new(directory.data(bytes, &sections).ok()?);
    let types = directory.root().ok()?;
    let version = types.entries.iter().find(|entry| entry.name_or_id().id() == Some(RT_VERSION))?;
    let languages = first(&version.data(directory).ok()?.table()?, directory)?.table()?;
    let data = first(&languages, directory)?.data()?;
    let resource = sections.pe_data_at(bytes, data.offset_to_data.get(object::LittleEndian))?;
    let size = data.size.get(object::LittleEndian) as usize;
    parse(resource.get(..size.min(LONGEST_RESOURCE))?)
}

fn first<'data>(
    table: &ResourceDirectoryTable<'data>,
    directory: ResourceDirectory<'data>,
) -> Option<ResourceDirectoryEntryData<'data>> {
    table.entries.first()?.data(directory).ok()
}

fn parse(resource: &[u8]) -> Option<VersionInfo> {
    let root = Block::at(resource, 0, resource.len())?;
    if root.key != "VS_VERSION_INFO" {
        return None;
    }
    let mut info = VersionInfo::default();
    let fixed = resource.get(root.value..root.value + root.value_length).unwrap_or_default();
    let number = |index: usize| Some(u32::from_le_bytes(*fixed.get(index * 4..)?.first_chunk()?));
    if let (Some(SIGNATURE), Some(high), Some(low)) = (number(0), number(2), number(3)) {
        info.file_version = Some(format!("{}.{}.{}.{}", high >> 16, high & 0xffff, low >> 16, low & 0xffff));
    }
    let tables = root.children(resource).filter(|block| block.key == "StringFileInfo");
    for table in tables.flat_map(|block| block.children(resource).collect::<Vec<_>>()).take(MOST_STRINGS) {
        for string in table.children(resource).take(MOST_STRINGS.saturating_sub(info.strings.len())) {
            let value = utf16(resource.get(string.value..string.end).unwrap_or_default());
            info.strings.push((string.key, value));
        }
    }
    Some(info)
}

struct Block {
    key: String,
    value: usize,
    value_length: usize,
    end: usize,
}

impl Block {
    /// The block that begins at `at` and ends before `end` or there.
    fn at(resource: &[u8], at: usize, end: usize) -> Option<Self> {
        let bytes = resource.get(at..end)?;
        let number = |index: usize| Some(usize::from(u16::from_le_bytes(*bytes.get(index * 2..)?.first_chunk()?)));
        let (length, value_length, is_text) = (number(0)?, number(1)?, number(2)? == 1);
        let end = at + length.min(bytes.len());
        let key = utf16(resource.get(at + 6..end)?);
        let value = (at + 6 + (key.encode_utf16().count() + 1) * 2).next_multiple_of(4).min(end);
        Some(Self { key, value, value_length: if is_text { value_length * 2 } else { value_length }, end })
    }

    fn children<'a>(&self, resource: &'a [u8]) -> impl Iterator<Item = Block> + 'a {
        let end = self.end;
        let mut at = (self.value + self.value_length).next_multiple_of(4);
        std::iter::from_fn(move || {
            let block = Block::at(resource, at, end)?;
            // An empty block would be met again for ever.
            if block.end <= at + 6 {
                return None;
            }
            at = block.end.next_multiple_of(4);
            Some(block)
        })
    }
}

/// UTF-16 up to a zero.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn block(key: &str, value: &[u8], value_length: usize, is_text: bool, children: &[Vec<u8>]) -> Vec<u8> {
        let mut out = vec![0; 6];
        out.extend(key.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(value);
        for child in children {
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(child);
        }
        let head = [out.len() as u16, value_length as u16, u16::from(is_text)].map(u16::to_le_bytes);
        out[..6].copy_from_slice(head.as_flattened());
        out
    }

    /// A version resource with these strings; its fixed part says version 1.2.3.4.
    pub(in crate::catalogers::executable::dotnet) fn resource(strings: &[(&str, &str)]) -> Vec<u8> {
        let strings: Vec<Vec<u8>> = strings
            .iter()
            .map(|(key, value)| {
                let text: Vec<u8> = value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
                block(key, &text, text.len() / 2, true, &[])
            })
            .collect();
        let table = block("000004b0", &[], 0, true, &strings);
        let translation = block("Translation", &[0, 0, 0xb0, 4], 4, false, &[]);
        let mut fixed = [0; 52];
        for (index, value) in [SIGNATURE, 0x1_0000, 0x1_0002, 0x3_0004].into_iter().enumerate() {
            fixed[index * 4..index * 4 + 4].copy_from_slice(&value.to_le_bytes());
        }
        let children =
            [block("VarFileInfo", &[], 0, true, &[translation]), block("StringFileInfo", &[], 0, true, &[table])];
        block("VS_VERSION_INFO", &fixed, 52, false, &children)
    }

    #[test]
    fn strings_are_read() {
        let info =
            parse(&resource(&[("ProductName", "Quux"), ("Comments", ""), ("CompanyName", "Ä\u{1} \t b")])).unwrap();
        let check = |key: &str, expected: &str| assert_eq!(info.string(key), expected, "{key}");
        check("ProductName", "Quux");
        check("Comments", "");
        check("CompanyName", "Ä b");
        check("FileVersion", "1.2.3.4");
        check("ProductVersion", "");
        assert!(parse(&block("OTHER", &[], 0, false, &[])).is_none());
    }

    #[test]
    fn the_number_of_strings_is_bounded() {
        let strings = vec![("A", "b"); 1000];
        assert_eq!(parse(&resource(&strings)).unwrap().strings.len(), MOST_STRINGS);
    }
}
