//! Java launchers. The launcher holds its vendor's words and its version, side by side:
//!
//! ```text
//! openjdk\0java\0 0.0\0 11.0.17+8-LTS\0                 x86-64
//! 0.0\0\0\0\0\0 11.0.22+7\0\0\0\0\0\0\0 openjdk\0java\0   arm64: the same strings, each aligned
//! ```
//!
//! What is not told apart here the `release` file of the installation tells.

use super::super::program::{Program, Sign};

/// With an update, as up to Java 8: the CPE has it in a field of its own.
const WITH_UPDATE: &[&str] = &["oracle:openjdk:{primary}:update{update}"];

const GRAALVM: &[Sign] = &[Sign::new(r"\x00(\d[.\d]*\+\d+-jvmci-\d[.\d]*-b\d+)\x00")];

const ANY: Sign = Sign::new(r"\x00(?:java|jdb)\x00\d[.\d]*\x00(\d[!-~]+)\x00");
const ANY_ALIGNED: Sign = Sign::new(r"\x00\d[.\d]*\x00+(\d[!-~]+)\x00+(?:openjdk|java|jdb)\x00");

const OPENJDK: &[Sign] = &[
    Sign::new(r"\x00openjdk\x00(?:java|jdb)\x00\d[.\d]*\x00(\d[!-~]+)\x00"),
    Sign::new(r"\x00\d[.\d]*\x00+(\d[!-~]+)\x00+openjdk\x00(?:java|jdb)"),
];

/// `1.8.0-foreman_2023_10_12_13_27-b00`: what IBM's builds are named after.
const IBM: &[Sign] = &[Sign::new(r"\x00(\d+\.\d+\.\d+-foreman_[\w-]+)\x00")];

pub(super) const PROGRAMS: &[Program] = &[
    Program::new("generic/oracle/graalvm", &["**/java"], GRAALVM).choice("java").cpes(&["oracle:graalvm"]),
    Program::new("generic/oracle/graalvm", &["**/jdb"], GRAALVM).choice("java").cpes(&["oracle:graalvm_for_jdk"]),
    Program::new("generic/azul/zulu", &["**/*zulu*/**/java", "**/*zulu*/**/jdb"], &[ANY, ANY_ALIGNED])
        .choice("java")
        .cpes(&["azul:zulu"]),
    Program::new("generic/ibm/java", &["**/java"], IBM).choice("java").cpes(&["ibm:java"]),
    Program::new("generic/ibm/java_sdk", &["**/jdb"], IBM).choice("java").cpes(&["ibm:java_sdk"]),
    Program::new(
        "generic/oracle/openjdk",
        &["**/java", "**/jdb"],
        &[
            // openjdk\0java\0 1.8\0 1.8.0_352-b08
            Sign::new(r"\x00(?:java|jdb)\x00\d[.\d]*\x00((?<primary>\d[.\d]*)_(?<update>\d+)-[!-~]+)\x00")
                .beside(b"openjdk"),
            Sign::new(r"\x00\d[.\d]*\x00+((?<primary>\d[.\d]*)_(?<update>\d+)-[!-~]+)\x00+openjdk\x00(?:java|jdb)"),
        ],
    )
    .choice("java")
    .cpes(WITH_UPDATE),
    Program::new("generic/oracle/openjdk", &["**/java", "**/jdb"], OPENJDK).choice("java").cpes(&["oracle:openjdk"]),
    Program::new("generic/ibm/java", &["**/ibm/**/java"], &[Sign::new(r"\x00java\x00+\d[.\d]*\x00+(\d[-.\w]+)\x00")])
        .choice("java")
        .cpes(&["ibm:java"]),
    Program::new(
        "generic/ibm/java_sdk",
        &["**/ibm/**/jdb"],
        &[Sign::new(r"\x00(\d+\.\d+\.\d+[-.\w]*)\x00").after(b"\0java\0", 200)],
    )
    .choice("java")
    .cpes(&["ibm:java_sdk"]),
    Program::new(
        "generic/oracle/openjdk",
        &["**/jdb"],
        &[Sign::new(r"\x00(\d+\.\d+\.\d+(?:\+\d+)?[-.\w]*)\x00").beside(b"openjdk")],
    )
    .choice("java")
    .cpes(&["oracle:openjdk"]),
    Program::new(
        "generic/oracle/jre",
        &["**/java"],
        &[
            // 19.0.1+10-21
            Sign::new(r"\x00(\d+[.\d]+\+[-\d]+)\x00").beside(b"openjdk"),
            // java\0 1.8\0 1.8.0_451-b10
            Sign::new(r"\x00(\d+\.\d+\.[-+.\w]+)\x00").beside(b"java"),
        ],
    )
    .choice("java")
    .cpes(&["oracle:jre"]),
    Program::new("generic/oracle/jdk", &["**/jdb"], &[Sign::new(r"\x00(\d+\.\d+\.\d+(?:\+\d+)?[-.\w]*)\x00")])
        .choice("java")
        .cpes(&["oracle:jdk"]),
    // com.ibm.websphere.productId=io.openliberty and, on a line of its own, …productVersion=23.0.0.3
    Program::new(
        "generic/openliberty",
        &["**/lib/versions/openliberty.properties"],
        &[Sign::new(r"com\.ibm\.websphere\.productVersion\s*=\s*(\d+(?:\.\d+){1,3})").beside(b"io.openliberty")],
    ),
];
