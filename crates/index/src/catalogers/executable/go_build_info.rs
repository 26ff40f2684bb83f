//! Where the Go linker keeps what `go version -m` prints.
//!
//! | Part | Source: Go's `src/debug/buildinfo/buildinfo.go`, `src/cmd/go/internal/modload/build.go` |
//! | --- | --- |
//! | header | 32 bytes, 16-aligned, at the start of the data: `\xff Go buildinf:`, pointer size, flags |
//! | flag 2 set (Go 1.18 and later) | two strings follow, each with its length as a varint before it |
//! | flag 2 clear | two pointers to string headers follow; flag 1 set means big-endian |
//! | strings | the Go version, then the module information |
//! | module information | lines, between two sentinels of 16 bytes |

use std::io::{self, Read};

use memchr::memmem;
use object::{Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _};

use super::go_flags;
use super::window::Window;

const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const HEADER: usize = 32;
const START: [u8; 16] = *b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
const END: [u8; 16] = *b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// Bytes of either string. The largest module lists known are about 200 KiB.
const LONGEST: usize = 4 << 20;

/// Bytes of the Go version; distributions add a few words of their own.
const LONGEST_VERSION: usize = 256;

/// Headers that are tried: programs that read build information hold the magic as a constant. Each may cost a
/// look at LONGEST bytes.
const MOST_HEADERS: usize = 64;

/// What the linker wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// `go1.22.1`; empty if it could not be found.
    pub(super) go_version: String,
    /// Lines such as `dep\t<path>\t<version>\t<sum>`; empty if the program was built without modules.
    pub(super) modules: String,
}

/// The build information of an executable that is held in memory. Costs one search for the magic where there is none.
pub(super) fn find(bytes: &[u8]) -> Option<BuildInfo> {
    memmem::find(bytes, MAGIC)?;
    let file = object::File::parse(bytes).ok()?;
    for (address, data) in data_of(&file) {
        // The alignment is one of addresses.
        let misaligned = (address.wrapping_neg() % 16) as usize;
        let candidates = memmem::find_iter(data, MAGIC).filter(|at| at % 16 == misaligned).take(MOST_HEADERS);
        for at in candidates {
            if let Decoded::Found(info) = decode(&data[at..], Some(&file)) {
                return Some(info);
            }
        }
    }
    None
}

/// The version that `-X` gave to the program, where the build settings do not tell (`-trimpath` keeps the linker's
/// flags out of them) but the symbols have not been stripped: the linker makes a string `<variable>.str` of each.
pub(super) fn version_symbol(bytes: &[u8], main_module: &str) -> Option<String> {
    let file = object::File::parse(bytes).ok()?;
    let strings = file.symbols().filter_map(|symbol| {
        let variable = symbol.name().ok()?.strip_suffix(".str")?;
        let value = read_at(&file, symbol.address(), symbol.size().min(LONGEST_VERSION as u64))?;
        let end = value.iter().position(|&b| b == 0).unwrap_or(value.len());
        Some((variable, std::str::from_utf8(&value[..end]).ok()?))
    });
    go_flags::choose(strings, main_module)
}

/// As [`version_symbol`], for stripped programs. The strings of `-X` flags end with a zero, which Go's own do not, and the toolchain's
/// version is one of them: if there is one version like it in that part of the data, it is the program's.
/// Farther off, the libraries of other languages have such strings too.
pub(super) fn version_beside(bytes: &[u8], go_version: &str) -> Option<String> {
    /// How far from the toolchain's version. The linker sorts data by size, so the distance grows with the
    /// difference in length: 22 KiB in kubectl.
    const REACH: usize = 128 << 10;
    let marker = format!("\0{go_version}\0");
    let mut found = None;
    for at in memmem::find_iter(bytes, &marker).take(MOST_HEADERS) {
        // Of the strings that the window cuts off, the rest is not looked at.
        let before = &bytes[at.saturating_sub(REACH)..at];
        let after = &bytes[at + marker.len()..bytes.len().min(at + marker.len() + REACH)];
        let before = before.split(|&b| b == 0).skip(1);
        let count = after.iter().filter(|&&b| b == 0).count();
        for string in before.chain(after.split(|&b| b == 0).take(count)) {
            let Some(version) = std::str::from_utf8(string).ok().and_then(go_flags::as_version) else { continue };
            let address = version.split('.').count() == 4 && version.bytes().all(|b| b == b'.' || b.is_ascii_digit());
            if address {
                continue;
            }
            if version.len() != string.len() || found.is_some_and(|found| found != version) {
                return None;
            }
            found = Some(version);
        }
    }
    found.map(str::to_owned)
}

/// Where the header may lie: its own section, or, sections being stripped, the writable data.
fn data_of<'a>(file: &object::File<'a>) -> Vec<(u64, &'a [u8])> {
    for name in [".go.buildinfo", "__go_buildinfo"] {
        if let Some(section) = file.section_by_name(name)
            && let Ok(data) = section.data()
        {
            return vec![(section.address(), data)];
        }
    }
    let writable = file.segments().filter(|segment| {
        let permissions = segment.permissions();
        permissions.writable() && !permissions.executable()
    });
    let writable = writable.filter_map(|segment| Some((segment.address(), segment.data().ok()?)));
    let mut data: Vec<_> = writable.filter(|(_, data)| !data.is_empty()).take(16).collect();
    if data.is_empty() {
        // Packers leave a single segment that is all of writable, executable and data.
        data = file.segments().take(16).filter_map(|segment| Some((segment.address(), segment.data().ok()?))).collect();
    }
    data
}

enum Decoded {
    Found(BuildInfo),
    /// A header of the pointer form that nothing is known of the pointers' targets.
    Pointers,
    /// The bytes end before the strings do.
    Short,
    Not,
}

/// Decodes the header at the beginning of `bytes`.
fn decode(bytes: &[u8], file: Option<&object::File<'_>>) -> Decoded {
    let Some(header) = bytes.get(..HEADER) else { return Decoded::Short };
    let (pointer_size, flags) = (header[14], header[15]);
    let (version, modules) = if flags & 2 != 0 {
        let mut rest = &bytes[HEADER..];
        let version = take_string(&mut rest);
        let modules = version.as_ref().map_or(Counted::Not, |_| take_string(&mut rest));
        match (version, modules) {
            (Counted::Whole(version), Counted::Whole(modules)) => (version, modules),
            (Counted::Short, _) | (_, Counted::Short) => return Decoded::Short,
            _ => return Decoded::Not,
        }
    } else {
        if !matches!(pointer_size, 4 | 8) || flags > 1 {
            return Decoded::Not;
        }
        let Some(file) = file else { return Decoded::Pointers };
        let read = |at: usize| {
            let address = read_word(&header[at..], pointer_size, flags & 1 != 0)?;
            go_string(file, address, pointer_size, flags & 1 != 0)
        };
        let Some(version) = read(16) else { return Decoded::Not };
        let modules = read(16 + usize::from(pointer_size)).unwrap_or_default();
        (version, modules)
    };
    // Lengths first: a header may claim LONGEST bytes, and there may be many headers.
    if version.len() > LONGEST_VERSION {
        return Decoded::Not;
    }
    let Ok(go_version) = std::str::from_utf8(version) else { return Decoded::Not };
    let plausible = go_version.contains("go") || go_version.starts_with("devel");
    if !plausible || go_version.contains(char::is_control) {
        return Decoded::Not;
    }
    Decoded::Found(BuildInfo { go_version: go_version.to_owned(), modules: between_sentinels(modules) })
}

enum Counted<'a> {
    Whole(&'a [u8]),
    Short,
    Not,
}

impl<'a> Counted<'a> {
    fn as_ref(&self) -> Option<&'a [u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// A string with its length before it as an unsigned varint.
fn take_string<'a>(bytes: &mut &'a [u8]) -> Counted<'a> {
    let mut length = 0_usize;
    // Four groups of seven bits reach past LONGEST.
    for group in 0..4 {
        let Some(&byte) = bytes.get(group) else { return Counted::Short };
        length |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            if length > LONGEST {
                return Counted::Not;
            }
            let start = group + 1;
            let Some(string) = bytes.get(start..start + length) else { return Counted::Short };
            *bytes = &bytes[start + length..];
            return Counted::Whole(string);
        }
    }
    Counted::Not
}

fn read_word(bytes: &[u8], size: u8, big_endian: bool) -> Option<u64> {
    let bytes = bytes.get(..usize::from(size))?;
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Some(if big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
}

/// The string whose header (pointer, length) is at `address`.
fn go_string<'a>(file: &object::File<'a>, address: u64, pointer_size: u8, big_endian: bool) -> Option<&'a [u8]> {
    let header = read_at(file, address, 2 * u64::from(pointer_size))?;
    let pointer = read_word(header, pointer_size, big_endian)?;
    let length = read_word(&header[usize::from(pointer_size)..], pointer_size, big_endian)?;
    if length == 0 {
        return Some(&[]);
    }
    (length <= LONGEST as u64).then(|| read_at(file, pointer, length))?
}

fn read_at<'a>(file: &object::File<'a>, address: u64, size: u64) -> Option<&'a [u8]> {
    file.segments().find_map(|segment| segment.data_range(address, size).ok().flatten())
}

/// The module information without its sentinels; nothing if they are not there (as `debug/buildinfo` does).
fn between_sentinels(modules: &[u8]) -> String {
    let inner = modules.get(START.len()..modules.len().saturating_sub(END.len())).unwrap_or_default();
    // The toolchain itself judges by the line break before the second sentinel alone.
    if inner.last() == Some(&b'\n') { String::from_utf8_lossy(inner).into_owned() } else { String::new() }
}

/// The build information of an executable that passes as a stream: the inline form as it is; of the pointer form
/// the modules, which are recognised by their sentinels, and no version.
///
/// Without the sections the data cannot be told from the constants before them. So the last header that decodes
/// counts: a program that embeds another has it among its constants.
pub(super) fn find_in_stream(reader: &mut dyn Read) -> io::Result<Option<BuildInfo>> {
    let mut window = Window::new(reader);
    let (mut found, mut pointers, mut sentinels) = (None, false, None);
    let mut tried = 0;
    while tried < MOST_HEADERS && window.fill(HEADER)? >= HEADER {
        let bytes = window.bytes();
        let magic = memmem::find(bytes, MAGIC);
        let start = if sentinels.is_none() { memmem::find(bytes, &START) } else { None };
        let Some(at) = magic.into_iter().chain(start).min() else {
            window.skip_to_tail(HEADER - 1);
            continue;
        };
        tried += 1;
        window.skip(at);
        if magic == Some(at) {
            let aligned = window.position.is_multiple_of(16);
            let mut decoded = if aligned { decode(window.bytes(), None) } else { Decoded::Not };
            if matches!(decoded, Decoded::Short) {
                window.fill(HEADER + 2 * (LONGEST + 4))?;
                decoded = decode(window.bytes(), None);
            }
            match decoded {
                Decoded::Found(info) => found = Some(info),
                Decoded::Pointers => pointers = true,
                Decoded::Short | Decoded::Not => {}
            }
        } else {
            window.fill(LONGEST)?;
            let modules = &window.bytes()[START.len()..];
            let end = memmem::find(&modules[..modules.len().min(LONGEST)], &END);
            // The compiler's own copy of the sentinels stands alone, without lines between them.
            sentinels = end.filter(|&end| end > 0 && modules[end - 1] == b'\n').map(|end| modules[..end].to_vec());
        }
        window.skip(1);
    }
    let by_sentinels = sentinels.filter(|_| pointers).map(|modules| BuildInfo {
        go_version: String::new(),
        modules: String::from_utf8_lossy(&modules).into_owned(),
    });
    Ok(found.or(by_sentinels))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::binary::tests::elf;

    const VERSION: &str = "go1.23.4";
    const MODULES: &str = "path\texample.org/quux/cmd\nmod\texample.org/quux\tv1.2.3\th1:x=\n";

    fn counted(string: &[u8]) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), string.len());
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
        out.extend(string);
        out
    }

    fn framed(modules: &str) -> Vec<u8> {
        if modules.is_empty() { Vec::new() } else { [&START, modules.as_bytes(), &END].concat() }
    }

    /// The header of Go 1.18 and later.
    pub(in crate::catalogers) fn inline(version: &str, modules: &str) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([8, 2]);
        out.resize(HEADER, 0);
        out.extend(counted(version.as_bytes()));
        out.extend(counted(&framed(modules)));
        out
    }

    /// An executable with the header before Go 1.18.
    fn pointers(version: &str, modules: &str, pointer_size: u8, big_endian: bool) -> Vec<u8> {
        let strings = [version.as_bytes().to_vec(), framed(modules)].concat();
        let word = |value: u64| {
            let bytes = if big_endian { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() };
            if big_endian {
                bytes[8 - usize::from(pointer_size)..].to_vec()
            } else {
                bytes[..usize::from(pointer_size)].to_vec()
            }
        };
        let size = u64::from(pointer_size);
        let build = |text: u64, headers: u64| {
            let mut header = MAGIC.to_vec();
            header.extend([pointer_size, u8::from(big_endian)]);
            header.extend([word(headers), word(headers + 2 * size)].concat());
            header.resize(HEADER, 0);
            let string_headers = [
                word(text),
                word(version.len() as u64),
                word(text + version.len() as u64),
                word(framed(modules).len() as u64),
            ]
            .concat();
            elf(&[(".rodata", &strings), (".data", &string_headers), (".go.buildinfo", &header)])
        };
        let (_, addresses) = build(0, 0);
        build(addresses[0], addresses[1]).0
    }

    fn expected() -> Option<BuildInfo> {
        Some(BuildInfo { go_version: VERSION.to_owned(), modules: MODULES.to_owned() })
    }

    #[test]
    fn both_forms_are_found() {
        assert_eq!(find(&elf(&[(".go.buildinfo", &inline(VERSION, MODULES))]).0), expected());
        for (size, big_endian) in [(8, false), (8, true), (4, false), (4, true)] {
            assert_eq!(find(&pointers(VERSION, MODULES, size, big_endian)), expected(), "{size} {big_endian}");
        }
        let without = find(&elf(&[(".go.buildinfo", &inline(VERSION, ""))]).0).unwrap();
        assert_eq!((&*without.go_version, &*without.modules), (VERSION, ""));
    }

    #[test]
    fn the_header_is_where_the_linker_puts_it() {
        let inner = inline("go1.2.3", "path\tx\nmod\tembedded\tv1\n");
        let own = inline(VERSION, MODULES);
        // A program that embeds another, and one that holds the magic as a constant.
        assert_eq!(find(&elf(&[(".rodata", &inner), (".go.buildinfo", &own)]).0), expected());
        assert_eq!(find(&elf(&[(".rodata", MAGIC), (".data", &own)]).0), expected());
        // Not at a multiple of 16.
        assert_eq!(find(&elf(&[(".data", &[b"x", &*own].concat())]).0), None);
        assert_eq!(find(&elf(&[(".data", b"nothing")]).0), None);
        assert_eq!(find(&own), None, "no executable");
    }

    #[test]
    fn lengths_are_not_trusted() {
        let mut header = MAGIC.to_vec();
        header.extend([8, 2]);
        header.resize(HEADER, 0);
        for length in [[0xff, 0xff, 0xff, 0x7f].as_slice(), &[0xff; 10], &[0x80], &[200, 1]] {
            let bytes = [&*header, length].concat();
            assert_eq!(find(&elf(&[(".go.buildinfo", &bytes)]).0), None, "{length:?}");
            assert_eq!(find_in_stream(&mut &*bytes).unwrap(), None, "{length:?}");
        }
    }

    #[test]
    fn many_headers_cost_no_more_than_some() {
        let mut header = MAGIC.to_vec();
        header.extend([8, 2]);
        header.resize(HEADER, 0);
        header.extend([0xff, 0xff, 0x7f]);
        header.resize(48, b'g');
        let bytes = header.repeat(200_000);
        assert_eq!(find_in_stream(&mut &*bytes).unwrap(), None);
        assert_eq!(find(&elf(&[(".go.buildinfo", &bytes)]).0), None);
        let bytes = START.repeat(500_000);
        assert_eq!(find_in_stream(&mut &*bytes).unwrap(), None);
    }

    #[test]
    fn a_version_stands_beside_the_toolchains() {
        let check = |data: &[u8], expected: Option<&str>| {
            assert_eq!(version_beside(data, VERSION).as_deref(), expected, "{}", data.escape_ascii());
        };
        check(b"xx\0go1.23.4\0\0\x001.2.3+ds1\0xx", Some("1.2.3+ds1"));
        check(b"\0v1.2.3\0\0go1.23.4\0commit\0\0v1.2.3\0", Some("v1.2.3"));
        check(b"\0v1.2.3\0go1.23.4\0\0v1.2.4\0", None);
        check(b"\0a/v1.2.3\0go1.23.4\0", None);
        check(b"v1.2.3\0\0go1.23.4\0\0v1.2.3", None);
        check(b"v1.2.3 go1.23.4 ", None);
        check(&[b"\0go1.23.4\0".as_slice(), &[0; 200 << 10], b"3.45.1\0"].concat(), None);
        check(&[b"\0go1.23.4\0".as_slice(), &[0; 20 << 10], b"3.45.1\x00127.0.0.1\0"].concat(), Some("3.45.1"));
    }

    /// An executable with a string and its symbol.
    fn with_symbol(variable: &str, value: &str) -> Vec<u8> {
        let names = [b"\0", variable.as_bytes(), b"\0"].concat();
        let symbol = |address: u64| {
            let mut out = vec![0; 24];
            out.extend([1, 0, 0, 0, 0x11, 0, 1, 0]);
            out.extend(address.to_le_bytes());
            out.extend((value.len() as u64).to_le_bytes());
            out
        };
        let build = |address| elf(&[(".rodata", value.as_bytes()), (".strtab", &names), (".symtab", &symbol(address))]);
        let (_, addresses) = build(0);
        let (mut file, _) = build(addresses[0]);
        let table = u64::from_le_bytes(file[40..48].try_into().unwrap()) as usize;
        // Type, link to the names, size of an entry.
        for (section, at, number) in [(2, 4, 3), (3, 4, 2), (3, 40, 2), (3, 56, 24)] {
            file[table + 64 * section + at] = number;
        }
        file
    }

    #[test]
    fn a_version_has_a_symbol() {
        let check = |variable: &str, value: &str, expected: Option<&str>| {
            let file = with_symbol(variable, value);
            assert_eq!(version_symbol(&file, "example.org/quux").as_deref(), expected, "{variable} {value}");
        };
        check("main.version.str", "4.5.6", Some("4.5.6"));
        check("example.org/quux/internal.gitVersion.str", "v4.5.6", Some("v4.5.6"));
        check("main.commit.str", "4.5.6", None);
        check("main.version", "4.5.6", None);
        check("main.version.str", "dev", None);
        assert_eq!(version_symbol(b"\x7fELF", ""), None);
    }

    #[test]
    fn streams_give_the_same() {
        let big = vec![0x55; 3 * Window::CHUNK + 16];
        let own = inline(VERSION, MODULES);
        let file = elf(&[(".rodata", &big), (".go.buildinfo", &own), (".debug", &big)]).0;
        assert_eq!(find_in_stream(&mut &*file).unwrap(), expected());
        // Whatever the header's place within what is read at a time.
        for shift in [Window::CHUNK - 48, Window::CHUNK - 32, Window::CHUNK - 16, Window::CHUNK] {
            let bytes = [vec![0; shift], own.clone(), vec![0; 100]].concat();
            assert_eq!(find_in_stream(&mut &*bytes).unwrap(), expected(), "{shift}");
        }
        let old = pointers(VERSION, MODULES, 8, false);
        let modules_alone = Some(BuildInfo { go_version: String::new(), modules: MODULES.to_owned() });
        // The sentinels stand in the constants, before the header.
        assert_eq!(find_in_stream(&mut &*old).unwrap(), modules_alone);
        assert_eq!(find_in_stream(&mut &*big).unwrap(), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            find(&[b"\x7fELF\x02\x01\x01", &*bytes, MAGIC].concat());
            find(&[b"MZ", &*bytes, MAGIC].concat());
            find(&elf(&[(".go.buildinfo", &[MAGIC, &*bytes].concat())]).0);
            find_in_stream(&mut &*[MAGIC, &*bytes].concat()).unwrap();
        }

        #[test]
        fn mutations_never_panic(at in 0_usize..1000, byte: u8, size in proptest::sample::select(vec![4_u8, 8])) {
            for mut file in [pointers(VERSION, MODULES, size, false), elf(&[(".go.buildinfo", &inline(VERSION, MODULES))]).0] {
                let length = file.len();
                file[at % length] = byte;
                find(&file);
                find_in_stream(&mut &*file).unwrap();
            }
        }
    }
}
