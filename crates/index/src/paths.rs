//! Paths as they stand in archives, made into paths from the image's root.

/// A path from the root without `.`, `..`, doubled slashes and slashes at its ends, as runtimes clean it: `..` stops
/// at the root. What is not UTF-8 is replaced.
pub(crate) fn normalise(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    // What archivers put around nearly all paths.
    let bare = path.strip_prefix("./").unwrap_or(&path);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if is_normal(bare) {
        return bare.to_owned();
    }
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
            segment => {
                if !normal.is_empty() {
                    normal.push('/');
                }
                normal.push_str(segment);
            }
        }
    }
    normal
}

fn is_normal(path: &str) -> bool {
    // Byte by byte: segments are too short for a search to be worth its beginning.
    path.as_bytes().split(|&byte| byte == b'/').all(|segment| !matches!(segment, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises() {
        let check = |path: &str, expected: &str| assert_eq!(normalise(path.as_bytes()), expected, "{path}");
        check("./usr/bin/", "usr/bin");
        check("/abs//x/./y", "abs/x/y");
        check("../../etc/shadow", "etc/shadow");
        check("a/b/../../c", "c");
        check("a/..", "");
        check("./", "");
        check("", "");
        check("/", "");
        check(".//a", "a");
        check("./a//", "a");
        check("./../a/", "a");
        check("a/...", "a/...");
    }
}
