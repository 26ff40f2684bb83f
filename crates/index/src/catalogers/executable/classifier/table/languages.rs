//! Interpreters, compilers and runtimes.

use super::super::program::{Program, Sign};

const PYTHON_CPES: &[&str] = &["python_software_foundation:python", "python:python"];

/// `3.11.2`, `3.12.0rc1`, `3.13.0a0+`, a string of its own.
const PYTHON: &[Sign] = &[Sign::new(r"\x00(\d+\.\d+\.\d+[a-z0-9]*\+?)\x00")];

/// `ruby 3.2.1 (2023-02-08 revision 31819e82c8) [x86_64-linux]`, `ruby 2.7.7p221 (…`, `ruby 3.4.0preview1 (…`.
const RUBY: &[Sign] = &[Sign::new(r"ruby (\d+\.\d+\.\d+(?:(?:p|preview|rc|dev)\d*)?) \(?")];

/// `X-Powered-By: PHP/8.2.1`; it is in whatever has the interpreter within.
const PHP: &[Sign] = &[Sign::new(r"X-Powered-By: PHP/(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+)?)")];

/// The paths of its own source, in debug information and assertions.
const ERLANG_SOURCE: Sign =
    Sign::new(r"/(?:otp_src_|otp-|erlang-)(\d+\.\d+(?:\.\d+){0,2}(?:-rc\d)?)(?:\+dfsg[.\d]*)?/erts/");

const JULIA_VERSION_THEN_BRANCH: Sign =
    Sign::new(r"\x00__init__\x00(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00(?:branch|verify_methods)");

/// A line of `VERSION` at the root of a Go distribution, or of `VERSION.cache`, which `git` checkouts have:
/// `go1.21.3`, `go1.15 Fri 2003`, `devel go1.25-d524e1e Sun Feb 16 …`.
const GO_VERSION_FILE: &[Sign] =
    &[Sign::new(r"^(?:devel )?go(\d+\.\d+(?:\.\d+|(?:alpha|beta|rc)\d+|-[_0-9a-z]+)?)(?:\s|$)")];

pub(super) const PROGRAMS: &[Program] = &[
    Program::new("generic/python", &["**/python*"], PYTHON).version_in_name("python", &[""]).cpes(PYTHON_CPES),
    Program::new("generic/python", &["**/libpython*"], PYTHON)
        .version_in_name(
            "libpython",
            &[".so*", "m.so*", "u.so*", "mu.so*", "d.so*", "dm.so*", "t.so*", ".dylib", "m.dylib"],
        )
        .cpes(PYTHON_CPES),
    // #define PY_VERSION      "3.8.16"
    Program::new(
        "generic/python",
        &["**/include/python*/patchlevel.h"],
        &[Sign::new(r#"#define PY_VERSION\s+"(\d+\.\d+\.\d+[a-z0-9]*\+?)""#)],
    )
    .cpes(PYTHON_CPES),
    // 3.9.18 (c5262994620471e725f57f652d78d842270649d6, Sep 24 2023, 20:20:13)\n[PyPy 7.3.14 with GCC 10.2.1]
    Program::new(
        "generic/pypy",
        &["**/libpypy*.so*", "**/pypy", "**/pypy3", "**/bin/pypy3.*"],
        &[Sign::new(r"\[PyPy (\d+\.\d+\.\d+)")],
    ),
    Program::new(
        "generic/go",
        &["**/go", "**/go.exe"],
        &[
            // Its own string of the runtime, as in every program that Go made.
            Sign::new(r"go(\d+\.\d+(?:\.\d+|(?:alpha|beta|rc)\d+)?)\x00"),
        ],
    )
    .cpes(&["golang:go"]),
    Program::new("generic/go", &["**/VERSION", "**/VERSION.cache"], GO_VERSION_FILE).cpes(&["golang:go"]),
    Program::new(
        "generic/node",
        &["**/node", "**/nodejs", "**/libnode.so*"],
        &[
            // node v0.10.48, v0.12.18, v4.9.1, v6.17.1; later versions have such strings of other software too.
            Sign::new(r"\x00(?:node )?v((?:0|4|5|6)\.\d+\.\d+)\x00"),
            // node.js/v22.9.0
            Sign::new(r"node\.js/v(\d+\.\d+\.\d+)"),
        ],
    )
    .cpes(&["nodejs:node.js"]),
    Program::new(
        "generic/bun",
        &["**/bun"],
        &[
            // Bun v1.4.5 (Linux x64)
            Sign::new(r"[\x00\n]Bun v(\d+\.\d+\.\d+)"),
            // Bun/1.4.5: how it names itself to servers.
            Sign::new(r"\x00Bun/(\d+\.\d+\.\d+)\x00"),
        ],
    )
    .cpes(&["oven:bun"]),
    Program::new(
        "generic/deno",
        &["**/deno"],
        &[
            // Deno/2.6.3, but not the OTel-OTLP-Exporter-Deno/0.80.0 before it
            Sign::new(r"[^-]Deno/(\d+\.\d+\.\d+)"),
            // Where the release is downloaded from, split at what is put in: deno-<commit>release/v1.28.3windows,
            // deno-canary/<commit>1.11.4, deno-<commit>1.16.4release/v.
            Sign::new(r"deno-(?:canary/)?[0-9a-f]{40}(?:release/v)?(\d+\.\d+\.\d+)"),
            // 1.10.3<commit>DENO_UNSTABLE_COVERAGE_DIR
            Sign::new(r"(\d+\.\d+\.\d+)[0-9a-f]{40}DENO"),
        ],
    )
    .cpes(&["deno:deno"]),
    Program::new("generic/ruby", &["**/ruby", "**/bin/ruby*", "**/libruby.so*", "**/libruby-*.so*"], RUBY)
        .cpes(&["ruby-lang:ruby"]),
    Program::new(
        "generic/perl",
        &["**/perl", "**/libperl.so*"],
        &[
            // /usr/local/lib/perl5/5.37.8/x86_64-linux-gnu
            Sign::new(r"/lib/perl5/(?:site_perl/|vendor_perl/)?(5\.\d+\.\d+)"),
            // What $^V prints.
            Sign::new(r"\x00v(5\.\d+\.\d+)\x00"),
        ],
    )
    .cpes(&["perl:perl"]),
    Program::new("generic/php-cli", &["**/php", "**/bin/php*"], PHP).choice("php").cpes(&["php:php"]),
    Program::new("generic/php-fpm", &["**/php-fpm", "**/sbin/php-fpm*"], PHP).choice("php").cpes(&["php:php"]),
    Program::new("generic/php", &["**/libphp*.so"], PHP).choice("php").cpes(&["php:php"]),
    // 'pretty_version' => '2.8.4' of the archive's own installed.php.
    Program::new(
        "generic/composer",
        &["**/composer", "**/composer.phar", "**/composer1", "**/composer2"],
        &[Sign::new(r"'pretty_version'\s*=>\s*'(\d+\.\d+\.\d+(?:(?:alpha|beta|RC)\d+|-(?:alpha|beta|RC)\d+)?)'")],
    )
    .script()
    .cpes(&["getcomposer:composer"]),
    Program::new(
        "generic/rust",
        &["**/libstd-*.so"],
        &[
            // clang LLVM (rustc version 1.67.1 (d5a82bbd2 2023-02-07))
            Sign::new(r"rustc version (\d+\.\d+(?:\.\d+)?(?:-[a-z0-9.]+)?)(?: \(|\))"),
        ],
    )
    .cpes(&["rust-lang:rust"]),
    Program::new(
        "generic/rust",
        &["**/libstd-*.dylib"],
        &[Sign::new(r"c (\d+\.\d+(?:\.\d+)?) \(\w+ \d{4}-\d{2}-\d{2}\)")],
    )
    .cpes(&["rust-lang:rust"]),
    Program::new("generic/erlang", &["**/erlexec", "**/liberts_internal.a"], &[ERLANG_SOURCE])
        .cpes(&[r"erlang:erlang\/otp"]),
    Program::new(
        "generic/erlang",
        &["**/beam.smp"],
        &[
            ERLANG_SOURCE,
            // 26.1.2\0\0\0Erlang/OTP 26%s [erts-14.1.1]
            Sign::new(r"\x00(\d+\.\d+(?:\.\d+){0,2}(?:-rc\d)?)\x00+Erlang/OTP"),
            // Erlang/OTP 17%s [erts-6.4.1.6] [source] … [kernel-poll:%s]\n\017.5.6.9
            Sign::new(r"\x00(\d+\.\d+(?:\.\d+){0,2}(?:-rc\d)?)\x00").after(b"Erlang/OTP", 160),
        ],
    )
    .cpes(&[r"erlang:erlang\/otp"]),
    Program::new(
        "generic/elixir",
        &["**/elixir"],
        &[Sign::new(r"ELIXIR_VERSION=(\d+\.\d+\.\d+(?:-[a-z0-9]+(?:\.\d+)?)?)")],
    )
    .script()
    .cpes(&["elixir-lang:elixir"]),
    Program::new(
        "generic/elixir",
        &["**/elixir/ebin/elixir.app"],
        &[Sign::new(r#"\{vsn,\s*"(\d+\.\d+\.\d+(?:-[a-z0-9]+(?:\.\d+)?)?)"\}"#)],
    )
    .cpes(&["elixir-lang:elixir"]),
    // The path of its own source.
    Program::new("generic/swipl", &["**/swipl"], &[Sign::new(r"swipl-(\d+\.\d+\.\d+)/")]),
    Program::new(
        "generic/dart",
        &["**/dart", "**/dartvm"],
        &[
            // 3.5.2 (stable) (Wed Aug 28 10:01:20 2024 +0000) on "linux_x64", 3.6.0-216.1.beta (beta) …
            Sign::new(r"\x00(\d+\.\d+\.\d+(?:-\d+(?:\.\d+)?\.(?:beta|dev))?) \("),
        ],
    )
    .cpes(&["dart:dart_software_development_kit"]),
    Program::new(
        "generic/haskell/ghc",
        &["**/ghc", "**/ghc-*"],
        &[
            Sign::new(r"\x00GHC (\d+\.\d+\.\d+)\x00"),
            // libHSghc-8.10.4-ghc8.10.4.so, libHSghc-7.10.3-0AG9TOjDEtx4Ji3wSwHOBe-ghc7.10.3.so
            Sign::new(r"\x00libHSghc-(\d+\.\d+\.\d+)-(?:\w+-)?ghc\d+\.\d+\.\d+\.so\x00"),
        ],
    )
    .cpes(&["haskell:ghc"]),
    Program::new(
        "generic/haskell/cabal",
        &["**/cabal"],
        &[
            // …/lib/x86_64-linux-ghc-7.10.2/cabal-install-1.22.6.0-AfxbHivcmw40BMGrAXG3jJ
            Sign::new(r"/cabal-install-(\d+\.\d+\.\d+(?:\.\d+)?)(?:-\w+)*\x00"),
            Sign::new(r"\x00Cabal-(\d+\.\d+\.\d+(?:\.\d+)?)-"),
        ],
    )
    .cpes(&["haskell:cabal"]),
    Program::new(
        "generic/haskell/stack",
        &["**/stack"],
        &[
            // Version 2.15.7, Git revision …
            Sign::new(r"Version\s*(\d+\.\d+\.\d+),\s*Git"),
            // …/x86_64-linux-ghc-9.0.2/stack-2.7.5\0stack_libexecdir
            Sign::new(r"/stack-(\d+\.\d+\.\d+)(?:-\w+)*\x00stack_lib"),
        ],
    )
    .cpes(&["haskell:stack"]),
    Program::new(
        "generic/julia",
        &["**/libjulia-internal.so*", "**/libjulia.so*"],
        &[
            JULIA_VERSION_THEN_BRANCH,
            Sign::new(r"(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00branch\x00"),
            Sign::new(r"\x00(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00BigInt").after(b"\0verify_methods\0", 30),
            Sign::new(r"\x00(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00julia version"),
            // Up to 1.5 all is in one library.
            Sign::new(r"\x00#kw#\x00(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00(?:BigInt|_require_dependencies)"),
            Sign::new(r"\x00ObjectIdDict\x00(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00jl_sysimg_cpu_target"),
            Sign::new(r"\x00require\x00(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d+)?)\x00core2"),
        ],
    )
    .cpes(&["julialang:julia"]),
    // What it was compiled with: by itself, unless a distribution did (`GCC: (Debian …`), which then owns it.
    Program::new("generic/gcc", &["**/gcc"], &[Sign::new(r"GCC: \(GNU\) (\d+\.\d+\.\d+)")]).cpes(&["gnu:gcc"]),
];
