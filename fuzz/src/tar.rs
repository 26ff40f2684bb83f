//! Archives to begin with, and headers that are right but for what they say.

/// A header and its contents, padded.
pub(crate) fn entry(kind: u8, path: &[u8], target: &[u8], contents: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    put(&mut block, 0, &path[..path.len().min(100)]);
    put(&mut block, 100, b"0000755");
    put(&mut block, 124, format!("{:011o}", contents.len()).as_bytes());
    put(&mut block, 156, &[kind]);
    put(&mut block, 157, &target[..target.len().min(100)]);
    put(&mut block, 257, b"ustar\x0000");
    sum(&mut block);
    block.extend_from_slice(contents);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Makes every header's checksum right: no fuzzer finds that by itself.
pub(crate) fn mend(archive: &mut [u8]) {
    for block in archive.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            sum(block);
        }
    }
}

fn sum(block: &mut [u8]) {
    put(block, 148, b"        ");
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    put(block, 148, format!("{sum:06o}\0 ").as_bytes());
}

/// A PAX header of these records.
pub(crate) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n").len();
        let length = (rest..).find(|length| length.to_string().len() + rest == *length).unwrap_or(rest);
        body.push_str(&format!("{length} {key}={value}\n"));
    }
    entry(b'x', b"PaxHeaders/x", b"", body.as_bytes())
}

/// The end of an archive.
pub(crate) const END: [u8; 1024] = [0; 1024];

/// Archives of every form that the reader knows.
pub(crate) fn samples() -> Vec<Vec<u8>> {
    let status = b"Package: bash\nStatus: install ok installed\nVersion: 5\nMaintainer: x\nArchitecture: amd64\n";
    let mut sparse = entry(b'S', b"var/lib/dpkg/status", b"", status);
    put(&mut sparse, 257, b"ustar  \0");
    put(&mut sparse, 386, b"00000000000\0");
    put(&mut sparse, 398, format!("{:011o}", status.len()).as_bytes());
    put(&mut sparse, 483, format!("{:011o}", status.len() + 700).as_bytes());
    sum(&mut sparse[..512]);
    let mapped = [format!("{:\0<512}", format!("1\n0\n{}\n", status.len())).as_bytes(), status].concat();
    let forms: Vec<Vec<Vec<u8>>> = vec![
        vec![
            entry(b'5', b"var/", b"", b""),
            entry(b'0', b"var/lib/dpkg/status", b"", status),
            entry(b'2', b"lib", b"usr/lib", b""),
            entry(b'1', b"opt/status", b"var/lib/dpkg/status", b""),
            entry(b'0', b"var/.wh.x", b"", b""),
            entry(b'0', b"var/.wh..wh..opq", b"", b""),
        ],
        vec![pax(&[("path", "a/long/name"), ("size", "3"), ("linkpath", "x")]), entry(b'0', b"short", b"", b"abc")],
        vec![pax(&[("path", "")]), entry(b'g', b"global", b"", b"11 path=ab\n"), entry(b'0', b"a", b"", b"abc")],
        vec![entry(b'L', b"././@LongLink", b"", b"a/long/name\0"), entry(b'0', b"a", b"", b"")],
        vec![entry(b'K', b"././@LongLink", b"", b"a/long/target\0"), entry(b'2', b"a", b"b", b"")],
        vec![sparse],
        vec![
            pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "var/lib/dpkg/status"),
                ("GNU.sparse.realsize", "200"),
            ]),
            entry(b'0', b"x", b"", &mapped),
        ],
        vec![
            pax(&[("GNU.sparse.size", "200"), ("GNU.sparse.map", "0,10,20,10")]),
            entry(b'0', b"etc/os-release", b"", b"ID=debian\nVERSION_ID=12\n"),
        ],
        vec![
            pax(&[("GNU.sparse.size", "90"), ("GNU.sparse.offset", "0"), ("GNU.sparse.numbytes", "9")]),
            entry(b'0', b"etc/os-release", b"", b"ID=debian"),
        ],
        vec![entry(b'3', b"dev/null", b"", b""), entry(b'6', b"fifo", b"", b""), entry(b'7', b"c", b"", b"x")],
    ];
    forms.into_iter().map(|entries| [entries.concat(), END.to_vec()].concat()).collect()
}
