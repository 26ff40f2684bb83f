//! The names in a layer, held compactly: hundreds of thousands of entries are ordinary.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What an entry of a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind<'a> {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target, as written.
    Symlink(&'a str),
    /// A further name of the file at this path (normalised, from the root).
    HardLink(&'a str),
    /// A device, a FIFO or a socket.
    Special,
    /// `.wh.<name>`: the entry at this path is removed from the layers below.
    Whiteout,
    /// `.wh..wh..opq` in this directory: what the layers below have in it is removed.
    Opaque,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path from the image's root, normalised, without slashes at its ends; for whiteouts the path they remove.
    pub path: &'a str,
    /// What it is.
    pub kind: EntryKind<'a>,
    /// Bytes of a regular file; 0 for anything else.
    pub size: u64,
}

/// The entries of a layer in the order of its tar.
///
/// About 20 bytes an entry besides its path. Serialised as a text that names each path by what it shares with
/// the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    text: String,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    /// Where the path begins in `text`; the link target, if any, follows it.
    start: u32,
    path_length: u16,
    target_length: u16,
    tag: Tag,
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    File,
    Directory,
    Symlink,
    HardLink,
    Special,
    Whiteout,
    Opaque,
}

/// The entries of one layer together need more than 4 GiB of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of them, in the order of the tar.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + DoubleEndedIterator + Clone {
        self.rows.iter().map(|row| self.entry(row))
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> Option<Entry<'_>> {
        self.rows.get(index).map(|row| self.entry(row))
    }

    fn entry(&self, row: &Row) -> Entry<'_> {
        let middle = row.start as usize + usize::from(row.path_length);
        let target = &self.text[middle..middle + usize::from(row.target_length)];
        let kind = match row.tag {
            Tag::File => EntryKind::File,
            Tag::Directory => EntryKind::Directory,
            Tag::Symlink => EntryKind::Symlink(target),
            Tag::HardLink => EntryKind::HardLink(target),
            Tag::Special => EntryKind::Special,
            Tag::Whiteout => EntryKind::Whiteout,
            Tag::Opaque => EntryKind::Opaque,
        };
        Entry { path: &self.text[row.start as usize..middle], kind, size: row.size }
    }

    /// Adds an entry. Paths and targets are at most 65 535 bytes long.
    pub(crate) fn push(&mut self, path: &str, kind: EntryKind<'_>, size: u64) -> Result<(), Full> {
        let (tag, target) = match kind {
            EntryKind::File => (Tag::File, ""),
            EntryKind::Directory => (Tag::Directory, ""),
            EntryKind::Symlink(target) => (Tag::Symlink, target),
            EntryKind::HardLink(target) => (Tag::HardLink, target),
            EntryKind::Special => (Tag::Special, ""),
            EntryKind::Whiteout => (Tag::Whiteout, ""),
            EntryKind::Opaque => (Tag::Opaque, ""),
        };
        let row = Row {
            start: u32::try_from(self.text.len()).map_err(|_| Full)?,
            path_length: u16::try_from(path.len()).map_err(|_| Full)?,
            target_length: u16::try_from(target.len()).map_err(|_| Full)?,
            tag,
            size,
        };
        self.text.push_str(path);
        self.text.push_str(target);
        self.rows.push(row);
        Ok(())
    }
}

impl Tag {
    const fn letter(self) -> char {
        match self {
            Self::File => 'f',
            Self::Directory => 'd',
            Self::Symlink => 's',
            Self::HardLink => 'h',
            Self::Special => 'o',
            Self::Whiteout => 'w',
            Self::Opaque => 'q',
        }
    }
}

/// `(letter, bytes shared with the path before, rest of the path, size, link target)`, shortened from the end.
type Serialised<'a> = (char, usize, std::borrow::Cow<'a, str>, u64, std::borrow::Cow<'a, str>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut before = "";
        serializer.collect_seq(self.rows.iter().map(|row| {
            let entry = self.entry(row);
            let mut shared = before.bytes().zip(entry.path.bytes()).take_while(|(a, b)| a == b).count();
            while !entry.path.is_char_boundary(shared) {
                shared -= 1;
            }
            before = entry.path;
            let target = match entry.kind {
                EntryKind::Symlink(target) | EntryKind::HardLink(target) => target,
                _ => "",
            };
            let serialised: Serialised<'_> =
                (row.tag.letter(), shared, entry.path[shared..].into(), entry.size, target.into());
            serialised
        }))
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> de::Visitor<'de> for Rows {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the entries of a layer")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut rows: A) -> Result<Entries, A::Error> {
                let mut entries = Entries::default();
                let mut path = String::new();
                while let Some((letter, shared, rest, size, target)) = rows.next_element::<Serialised<'_>>()? {
                    if !path.is_char_boundary(shared) {
                        return Err(de::Error::custom("an entry shares more than the path before it has"));
                    }
                    path.truncate(shared);
                    path.push_str(&rest);
                    let kind = match letter {
                        'f' => EntryKind::File,
                        'd' => EntryKind::Directory,
                        's' => EntryKind::Symlink(&target),
                        'h' => EntryKind::HardLink(&target),
                        'o' => EntryKind::Special,
                        'w' => EntryKind::Whiteout,
                        'q' => EntryKind::Opaque,
                        other => return Err(de::Error::custom(format!("unknown kind of entry {other:?}"))),
                    };
                    entries.push(&path, kind, size).map_err(|Full| de::Error::custom("too many names"))?;
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_serialisation() {
        let mut entries = Entries::default();
        for (path, kind, size) in [
            ("usr", EntryKind::Directory, 0),
            ("usr/bin", EntryKind::Directory, 0),
            ("usr/bin/gunzip", EntryKind::File, 2346),
            ("usr/bin/uncompress", EntryKind::HardLink("usr/bin/gunzip"), 0),
            ("lib", EntryKind::Symlink("usr/lib"), 0),
            ("usr/share/é", EntryKind::File, 1),
            ("usr/share/è", EntryKind::Whiteout, 0),
            ("", EntryKind::Opaque, 0),
        ] {
            entries.push(path, kind, size).expect("short");
        }
        let json = serde_json::to_string(&entries).expect("serialises");
        let back: Entries = serde_json::from_str(&json).expect("parses");
        assert_eq!(back, entries);
        assert_eq!(back.iter().nth(3).expect("is there").kind, EntryKind::HardLink("usr/bin/gunzip"));
        assert!(serde_json::from_str::<Entries>(r#"[["f",9,"x",0,""]]"#).is_err());
    }
}
