//! Tools and libraries of the command line and the desktop.

use super::super::program::{Program, Sign};

const OPENSSL: &[Sign] = &[
    // OpenSSL 3.1.4 24 Oct 2023, OpenSSL 1.1.1w  11 Sep 2023
    Sign::new(r"\x00OpenSSL (\d+\.\d+\.\d+(?:[a-z]+|-(?:alpha|beta|rc|pre)\d+)?)"),
];

const FFMPEG_LIBRARY: &[Sign] = &[
    Sign::new(r"FFmpeg version n?(\d+\.\d+(?:\.\d+)?)"),
    // Not FFmpeg's version but the library's, for want of better.
    Sign::new(r"Lavc(\d+\.\d+\.\d+)"),
    Sign::new(r"Lavf(\d+\.\d+\.\d+)"),
];

pub(super) const PROGRAMS: &[Program] = &[
    // BusyBox v1.36.1 (2023-12-04 19:44:32 UTC). It may be stored under the name of any of its tools.
    Program::new(
        "generic/busybox",
        &["**/busybox", "**/busybox.static", "**/bin/["],
        &[Sign::new(r"BusyBox\s+v(\d+\.\d+\.\d+)")],
    )
    .cpes(&["busybox:busybox"]),
    Program::new(
        "generic/bash",
        &["**/bash"],
        &[
            // @(#)Bash version 5.2.15(1) release GNU
            Sign::new(r"@\(#\)Bash version (\d+\.\d+\.\d+)\(\d+\) [a-z0-9]+ GNU"),
        ],
    )
    .cpes(&["gnu:bash"]),
    Program::new("generic/util-linux", &["**/getopt"], &[Sign::new(r"\x00util-linux\s(\d+\.\d+(?:\.\d+)?)\x00")])
        .cpes(&["kernel:util-linux"]),
    // OpenSSL 1.1.1 (compatible; AWS-LC 1.69.0)
    Program::new("generic/aws-lc", &["**/openssl", "**/libcrypto.so*"], &[Sign::new(r"AWS-LC (\d+\.\d+\.\d+)\)\x00")])
        .choice("openssl")
        .cpes(&["amazon:aws_libcrypto"]),
    Program::new("generic/openssl", &["**/openssl", "**/libcrypto.so*"], OPENSSL)
        .choice("openssl")
        .cpes(&["openssl:openssl"]),
    Program::new(
        "generic/curl",
        &["**/curl"],
        &[Sign::new(r"curl/(\d+\.\d+\.\d+)"), Sign::new(r"\x00curl (\d+\.\d+\.\d+) \(")],
    )
    .cpes(&["haxx:curl"]),
    Program::new("generic/git", &["**/git"], &[Sign::new(r"\x00?git/(\d+\.\d+\.\d+)\x00")]).cpes(&["git-scm:git"]),
    Program::new(
        "generic/xz",
        &["**/xz"],
        &[Sign::new(r"\x00xz \(XZ Utils\) (\d+\.\d+\.\d+(?:alpha|beta)?)(?:\x00|\n)")],
    )
    .cpes(&["tukaani:xz"]),
    Program::new(
        "generic/zstd",
        &["**/zstd"],
        &[
            // v1.5.6\0Zstandard CLI
            Sign::new(r"\x00v(\d+\.\d+\.\d+)\x00Zstandard"),
            Sign::new(r"\x00v(\d+\.\d+\.\d+)\x00"),
        ],
    )
    .cpes(&["facebook:zstandard"]),
    Program::new("generic/gzip", &["**/gzip"], &[Sign::new(r"\x00(\d+\.\d+)\x00").beside(b"gzip format")])
        .cpes(&["gnu:gzip"]),
    Program::new(
        "generic/jq",
        &["**/jq"],
        &[
            Sign::new(r"\x00(\d{1,3}\.\d{1,3}(?:\.\d+)?(?:rc\d+)?)\x00DEBUG:"),
            Sign::new(r"\x00(\d{1,3}\.\d{1,3}(?:\.\d+)?)\x00"),
        ],
    )
    .cpes(&["jqlang:jq"]),
    Program::new(
        "generic/tini",
        &["**/tini", "**/tini-static", "**/docker-init"],
        &[Sign::new(r"\x00tini version (\d+\.\d+\.\d+)")],
    ),
    // The file VERSION, with its line feed, and how it is printed.
    Program::new(
        "generic/dumb-init",
        &["**/dumb-init"],
        &[Sign::new(r"\x00(\d+\.\d+\.\d+)\n").beside(b"dumb-init v%.*s")],
    )
    .cpes(&["yelp:dumb-init"]),
    Program::new("generic/irssi", &["**/irssi"], &[Sign::new(r"\x00irssi (\d+\.\d+\.\d+(?:-\w+)?) \(%d")])
        .cpes(&["irssi:irssi"]),
    // wp-cli/wp-cli 2.9.0 2023-10-25T09:10:40+00:00, in the manifest of the archive.
    Program::new("generic/wp-cli", &["**/wp", "**/wp-cli.phar"], &[Sign::new(r"wp-cli/wp-cli (\d+\.\d+\.\d+)")])
        .script()
        .cpes(&["wp-cli:wp-cli"]),
    // Headless variants have names of their own.
    Program::new(
        "generic/chrome",
        &["**/chrome", "**/chrome-headless-shell", "**/headless_shell"],
        &[Sign::new(r"\x00(\d+\.\d+\.\d+\.\d+)\x00(?:Default|chrome)")],
    )
    .cpes(&["google:chrome"]),
    Program::new(
        "generic/chromium",
        &["**/chromium", "**/chromium-browser"],
        &[Sign::new(r"\x00(\d+\.\d+\.\d+\.\d+)\x00(?:Default|chrome)")],
    )
    .cpes(&["google:chrome"]),
    // [App] … Name=Firefox … Version=151.0; Thunderbird has such a file too.
    Program::new(
        "generic/firefox",
        &["**/application.ini"],
        &[Sign::new(r"\nVersion=(\d+(?:\.\d+)+(?:[ab]\d+)?)\r?\n").beside(b"\nName=Firefox")],
    )
    .cpes(&["mozilla:firefox"]),
    Program::new(
        "generic/ffmpeg",
        &["**/ffmpeg", "**/ffprobe"],
        &[
            // %s version 7.1.1, where the first is the program's name.
            Sign::new(r"%s version n?(\d+\.\d+(?:\.\d+)?)"),
            // A build whose version names its maker: 7.0.2-static https://johnvansickle.com/ffmpeg/
            Sign::new(r"\x00n?(\d+\.\d+(?:\.\d+)?)-static https?://"),
            Sign::new(r"FFmpeg version n?(\d+\.\d+(?:\.\d+)?)"),
        ],
    )
    .cpes(&["ffmpeg:ffmpeg"]),
    Program::new(
        "generic/ffmpeg",
        &["**/libavcodec*", "**/libavformat*", "**/libavutil*", "**/libavfilter*", "**/libavdevice*"],
        FFMPEG_LIBRARY,
    )
    .cpes(&["ffmpeg:ffmpeg"]),
    Program::new(
        "generic/ffmpeg",
        &["**/libswresample*", "**/libswscale*"],
        &[Sign::new(r"FFmpeg version n?(\d+\.\d+(?:\.\d+)?)")],
    )
    .cpes(&["ffmpeg:ffmpeg"]),
    Program::new(
        "generic/qtbase",
        &["**/libQt*Core.so*"],
        &[
            // Qt 6.5.0 (x86_64-little_endian-lp64 shared (dynamic) release build; by GCC 10.3.1)
            Sign::new(r"\x00Qt (\d+\.\d+\.\d+) \("),
            Sign::new(r"QtCore library version (\d+\.\d+\.\d+)"),
        ],
    )
    .cpes(&["qt:qt", "qt:qtbase"]),
    // KRB5_BRAND: krb5-1.17-final 1.17 20190108
    Program::new("generic/krb5", &["**/libkrb5.so*"], &[Sign::new(r"KRB5_BRAND: krb5-(\d+(?:\.\d+)+)")])
        .choice("krb5")
        .cpes(&["mit:kerberos_5"]),
    // @(#)$Version: Heimdal 7.8.0 $
    Program::new(
        "generic/heimdal-krb5",
        &["**/libkrb5.so*"],
        &[
            Sign::new(r"\x00Heimdal (\d+(?:\.\d+)+(?:rc\d+)?)\x00"),
            Sign::new(r"\$Version: Heimdal (\d+(?:\.\d+)+(?:rc\d+)?)"),
        ],
    )
    .choice("krb5")
    .cpes(&["heimdal_project:heimdal"]),
];
