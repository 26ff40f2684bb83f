//! What stands around the versions is copied from the programs themselves, as Debian, npm, PyPI and the projects
//! distribute them; the versions are changed.

use std::collections::BTreeSet;
use std::io::Read as _;

use proptest::prelude::*;
use regex::bytes::RegexBuilder;

use super::*;

/// Path, what the file holds, and what it is.
const EXAMPLES: &[(&str, &[u8], &str)] = &[
    ("usr/local/bin/python3.11", b"\0python3.9\0PYTHONIOENCODING\x003.11.7\0strict\0", "generic/python@3.11.7"),
    ("opt/lib/libpython3.8.so.1.0", b"thread\0LC_ALL\x003.8.16\0strict\0", "generic/python@3.8.16"),
    ("opt/lib/libpython3.7m.so.1.0", b"\x003.11.1\x003.7.4\0", "generic/python@3.7.4"),
    ("usr/include/python3.13/patchlevel.h", b"#define PY_VERSION      \t\"3.13.0rc2+\"\n", "generic/python@3.13.0rc2+"),
    ("opt/libpypy3.9-c.so", b"Sep 24 2023, 20:20:13)\n[PyPy 7.3.99 with \0", "generic/pypy@7.3.99"),
    ("usr/local/go/bin/go", b"\0\0go1.21.99\0\0\0panicnil=1", "generic/go@1.21.99"),
    ("usr/local/go/VERSION", b"go1.22.3\ntime 2024-05-01T00:00:00Z\n", "generic/go@1.22.3"),
    ("usr/local/go/VERSION.cache", b"devel go1.25-d524e1e Sun Feb 16 07:23:13 2025", "generic/go@1.25-d524e1e"),
    ("bin/node", b"\0/json\0node.js/v22.9.1\0(delegate_) != nullptr\0", "generic/node@22.9.1"),
    ("bin/node", b"status == 0\0node v0.10.49\0FATAL ERROR: %s %s\n\0", "generic/node@0.10.49"),
    ("bin/bun", b"\x11\0\0\0\0\0\0\0Bun v1.4.9 (Linux x64)\0", "generic/bun@1.4.9"),
    ("bin/deno", b"OTel-OTLP-Exporter-Deno/0.80.0grpc denover2.9.8Deno/2.9.8Deno/2.9.8+e518fbd", "generic/deno@2.9.8"),
    ("bin/deno", b"rsdeno-74064c9d8c222b33b2a552ea0af1054f57002a96release/v1.29.9windows", "generic/deno@1.29.9"),
    ("bin/deno", b"installed\n1.10.91567c1013cc8ff12cf039137792da66a1d0015b5DENO_UNSTABLE", "generic/deno@1.10.9"),
    ("bin/ruby", b"\0ruby 2.7.9p229 (2023-03-30 revision 8c0ae0c0f2) [x86_64-linux]\0", "generic/ruby@2.7.9p229"),
    ("usr/lib/libruby.so.3.4.0", b"ruby 3.4.0preview1 (2024-05-16 master 9d69619623)\0", "generic/ruby@3.4.0preview1"),
    ("usr/local/bin/perl", b"GLIBC_2.2.5\0/usr/local/lib/perl5/5.37.9/x86_64-linux-gnu/CORE\0", "generic/perl@5.37.9"),
    ("usr/bin/perl", b"RAND_SEED\0v5.36.3\0panic: sysconf: %s\0", "generic/perl@5.36.3"),
    ("usr/local/bin/php", b"'\n\0%s,%s\0X-Powered-By: PHP/8.2.1RC3\0ZEND\0", "generic/php-cli@8.2.1RC3"),
    ("usr/local/sbin/php-fpm", b"X-Powered-By: PHP/8.3.9\0", "generic/php-fpm@8.3.9"),
    ("usr/lib/apache2/modules/libphp8.2.so", b"X-Powered-By: PHP/8.2.36\0", "generic/php@8.2.36"),
    ("usr/bin/composer", b"#!/usr/bin/env php\n'pretty_version' => '2.8.9',", "generic/composer@2.8.9"),
    (
        "lib/libstd-c6192dd4c4d410ac.so",
        b"\0clang LLVM (rustc version 1.67.9 (d5a82bbd2 2023-02-07))\0",
        "generic/rust@1.67.9",
    ),
    ("lib/libstd-f6f9eec1635e636a.dylib", b"rustc 1.50.9 (cb75ad5db 2021-02-10)\0", "generic/rust@1.50.9"),
    ("erts/bin/erlexec", b"\0/usr/src/otp_src_25.3.2.9/erts/etc\0", "generic/erlang@25.3.2.9"),
    ("erts/bin/beam.smp", b"-path/erlang-25.2.9+dfsg/erts/x86_64", "generic/erlang@25.2.9"),
    ("erts/bin/beam.smp", b"\0\x0026.1.9\0\0\0\0Erlang/OTP 26%s [erts-14.1.1]", "generic/erlang@26.1.9"),
    ("erts/bin/beam.smp", b"Erlang/OTP 17%s [erts-6.4.1.6] [hipe]\n\x0017.5.6.10\0\0", "generic/erlang@17.5.6.10"),
    ("usr/local/bin/elixir", b"#!/bin/sh\nset -e\n\nELIXIR_VERSION=1.12.9-rc.1\n\nif", "generic/elixir@1.12.9-rc.1"),
    ("usr/lib/elixir/ebin/elixir.app", b"{application,elixir,\n  [{vsn,\"1.14.9\"},", "generic/elixir@1.14.9"),
    ("usr/bin/swipl", b"\0/tmp/src/swipl-9.3.9/src\0", "generic/swipl@9.3.9"),
    ("usr/bin/dart", b",GC\"\x003.6.0-216.9.beta (beta) (Mon", "generic/dart@3.6.0-216.9.beta"),
    ("opt/ghc/bin/ghc-9.6.9", b"\0GHC 9.6.9\0\0", "generic/haskell/ghc@9.6.9"),
    ("opt/ghc", b"\0libHSghc-9.0.9-ghc9.0.9.so\0libHSterminfo", "generic/haskell/ghc@9.0.9"),
    (
        "bin/cabal",
        b"\0Cabal-3.4.1.9\0x/x86_64-linux-ghc-9.0.2/cabal-install-3.4.2.0\0",
        "generic/haskell/cabal@3.4.2.0",
    ),
    ("bin/stack", b"ghc-9.0.2/stack-2.7.9\0stack_libexecdir\0", "generic/haskell/stack@2.7.9"),
    ("lib/libjulia-internal.so.1.12", b"INFO\0__init__\x001.12.9\0branch\0commit", "generic/julia@1.12.9"),
    ("lib/libjulia.so.1", b"`%s`\x001.5.9\0julia version %s\n", "generic/julia@1.5.9"),
    ("usr/local/bin/gcc", b"\0GCC: (GNU) 12.3.9\0\0.shstrtab", "generic/gcc@12.3.9"),
    ("usr/bin/gcc", b"\0GCC: (Debian 12.2.0-14) 12.2.0\0", ""),
    ("jdk/bin/java", b"%s\0openjdk\0java\x000.0\x0011.0.99+8-LTS\0-J-ms8m\0", "generic/oracle/openjdk@11.0.99+8-LTS"),
    ("jdk/bin/java", b"\x000.0\0\0\0\0\x0011.0.98+7\0\0\0openjdk\0java\0", "generic/oracle/openjdk@11.0.98+7"),
    ("jdk/bin/java", b"\0openjdk\0java\x001.8\x001.8.0_399-b08\0", "generic/oracle/openjdk@1.8.0_399-b08"),
    ("jdk/bin/jdb", b"\0openjdk\0jdb\x000.0\x0021.0.9+13-LTS\0", "generic/oracle/openjdk@21.0.9+13-LTS"),
    (
        "jdk/bin/java",
        b"\0openjdk\0java\x000.0\x0017.0.9+7-jvmci-22.1-b06\0",
        "generic/oracle/graalvm@17.0.9+7-jvmci-22.1-b06",
    ),
    ("usr/lib/jvm/zulu17/bin/java", b"\0openjdk\0java\x000.0\x0017.0.9+9-LTS\0", "generic/azul/zulu@17.0.9+9-LTS"),
    (
        "jre/bin/java",
        b"\0java\x001.8\0\0\0\x001.8.0-foreman_2023_10_12_13_27-b00\0",
        "generic/ibm/java@1.8.0-foreman_2023_10_12_13_27-b00",
    ),
    ("opt/ibm/java/bin/java", b"\0java\x001.8\0\0\0\x001.8.0-b99\0", "generic/ibm/java@1.8.0-b99"),
    (
        "opt/ibm/java/bin/jdb",
        b"\0java\0./lib/tools.jar\0\x001.8\0\0\0\x001.8.0-b98\0",
        "generic/ibm/java_sdk@1.8.0-b98",
    ),
    ("jre/bin/java", b"\x0019.0.9+10-21\x000.0\0java\0", "generic/oracle/jre@19.0.9+10-21"),
    ("jdk/bin/jdb", b"\x0019.0.9+10-21\x000.0\0jdb\0", "generic/oracle/jdk@19.0.9+10-21"),
    (
        "opt/ol/wlp/lib/versions/openliberty.properties",
        b"com.ibm.websphere.productId=io.openliberty\ncom.ibm.websphere.productVersion=23.0.0.9\n",
        "generic/openliberty@23.0.0.9",
    ),
    ("bin/redis-server", b"err\0modules\x006.2.19\0c11-builtin\0libc\0", "generic/redis@6.2.19"),
    ("bin/redis-server", b"\0\x007.0.19buildkitsandbox-1702957741000000000\0", "generic/redis@7.0.19"),
    ("bin/redis-server", b"\0\x004.0.19841ce7054bd9-1542359302000000000\0", "generic/redis@4.0.19"),
    ("bin/valkey-server", b"\0valkey9.0.9buildkitsandbox-1764887574000000000\0", "generic/valkey@9.0.9"),
    ("usr/bin/memcached", b"listen\0memcached 1.6.99\0udp-port\0", "generic/memcached@1.6.99"),
    ("bin/postgres", b"\".\0\0PostgreSQL 15beta9 on x86_64-pc-linux-gnu", "generic/postgresql@15beta9"),
    ("bin/mysql", b"shutdown\x008.0.99\0\0\0\0mysql_real_escape_string_quote\0", "generic/mysql@8.0.99"),
    ("bin/mysql", b"\x01/var/lib/pb2/release/mysql-5.6.99/vio/viosocket.c\0", "generic/mysql@5.6.99"),
    ("bin/mysql", b"/BUILD/percona-server-8.0.99-27/percona-", "generic/percona-server@8.0.99"),
    ("bin/mysql", b"/BUILD/Percona-XtraDB-Cluster-8.0.98/sql", "generic/percona-xtradb-cluster@8.0.98"),
    (
        "bin/xtrabackup",
        b"/percona-xtrabackup-8.0-RELEASE/BUILD/percona-xtrabackup-8.0.97-",
        "generic/percona-xtrabackup@8.0.97",
    ),
    ("bin/mysqld", b"/mysql-cluster-gpl-9.7.9/storage", "generic/mysql-cluster@9.7.9"),
    ("bin/mysqld", b"/BUILD/mysql-8.4.9/sql/", "generic/mysql-server@8.4.9"),
    ("bin/ndbd", b"/BUILD/mysql-cluster-gpl-9.7.8/mysql", "generic/mysql-cluster@9.7.8"),
    ("bin/mariadb", b"gnu\x0010.11.99-MariaDB\0x86_64\0", "generic/mariadb@10.11.99"),
    ("bin/mongod", b"outputConfig\x006.0.99\0tcmalloc\0", "generic/mongodb@6.0.99"),
    ("bin/mongod", b"\x008.0.99\0cppdefines\0", "generic/mongodb@8.0.99"),
    ("bin/arangosh", b"27:39\x003.12.9-2 enterprise [linux]\0", "generic/arangodb@3.12.9-2"),
    ("bin/sqlcipher", b"\0community\x004.5.9\0%s %s\0", "generic/sqlcipher@4.5.9"),
    ("bin/ldapsearch", b"@(#) $OpenLDAP: ldapsearch 2.6.99 (May 23 2025 04:19:08) $", "generic/openldap@2.6.99"),
    ("sbin/nginx", b"\0\0nginx version: openresty/1.21.9.3\n\0", "generic/nginx@1.21.9"),
    ("sbin/apache2", b"mailto:\0Apache/2.4.99\0 Server at", "generic/httpd@2.4.99"),
    ("sbin/lighttpd", b"\n\0lighttpd/1.4.99\0server\0", "generic/lighttpd@1.4.99"),
    ("sbin/haproxy", b"\0 version 2.6.99-1+deb12u4, released 2026/10/17\0", "generic/haproxy@2.6.99"),
    ("sbin/haproxy", b"\x003.1-dev9-1eb0f22\0\0\0HAProxy version follows\0", "generic/haproxy@3.1-dev9"),
    ("sbin/varnishd", b"87a\0(varnish-7.1.9 revision 7cee1c5", "generic/varnish@7.1.9"),
    ("sbin/proftpd", b"'\0ProFTPD Version 1.3.9b\0LANG\0", "generic/proftpd@1.3.9b"),
    ("sbin/mosquitto", b"ping.\x002.0.99\0mosquitto version %s\n\n\0", "generic/mosquitto@2.0.99"),
    ("sbin/unbound", b"READY=1\0unbound 1.17.9\0start of", "generic/unbound@1.17.9"),
    ("bin/spiped", b"\0-u\0spiped 1.6.9\n\0-v\0", "generic/spiped@1.6.9"),
    ("traefik", b"\0\0v1.7.99\0\xaf\x1a", "generic/traefik@1.7.99"),
    ("traefik", b"\x84\x1c3.6.99\0\0", "generic/traefik@3.6.99"),
    ("traefik", b"x3.6.99\0\0", ""),
    ("bin/envoy", b"soon\x001.36.9\0. This\0envoy_reloadable_features_x\0", "generic/envoy@1.36.9"),
    ("bin/envoy", b"\x001.22.9\0([\\d]+)\\.([\\d]+)\\.([\\d]+)(-(.*))?\0", "generic/envoy@1.22.9"),
    ("bin/envoy", b"\x001.34.5\0c-ares\0", ""),
    ("bin/pilot-agent", b"amd64\0\0\x001.26.7\0\x001.26.9\0", "generic/istio@1.26.9"),
    (
        "nginx-ingress-controller",
        b"\0go1.22.8\0\0\0v1.12.9-beta.0\0\0",
        "generic/nginx-ingress-controller@1.12.9-beta.0",
    ),
    ("bin/consul", b"version.GitDescribe=1.12.99\"\n", "golang/github.com/hashicorp/consul@v1.12.99"),
    ("bin/vault", b"%s.%s:revoke1.19.99)(nil))", "golang/github.com/hashicorp/vault@v1.19.99"),
    ("bin/helm", b"\x8f@v3.15.9\0\0\xd0O\0\0go1.22.4\0", "golang/helm.sh/helm@v3.15.9"),
    ("bin/grafana", b"\0\0release-12.3.9+security-01\0\0", "generic/grafana@12.3.9"),
    ("bin/grafana-server", b"78f0340031\0\x009.3.9-beta1\0\0/usr/local/go", "generic/grafana@9.3.9-beta1"),
    ("elastic-agent", b"splitenroll8.19.9headeruint16", "generic/elastic-agent@8.19.9"),
    ("auditbeat", b"stdinsetupTest 9.4.9%s %w", "generic/auditbeat@9.4.9"),
    ("filebeat", b"createplugin8.18.9global", "generic/filebeat@8.18.9"),
    ("heartbeat", b"stdinsetupTest 9.4.8input", "generic/heartbeat@9.4.8"),
    ("metricbeat", b"stdinsetupTest 9.4.7%s", "generic/metricbeat@9.4.7"),
    ("packetbeat", b"stdinsetupTest 9.4.6input", "generic/packetbeat@9.4.6"),
    ("bin/fluent-bit", b"\x001.7.9\0\x1b[1m\0%sFluent Bit v%s", "github/fluent/fluent-bit@1.7.9"),
    (
        "usr/src/redmine/lib/redmine/version.rb",
        b"module Redmine\n  module VERSION\n    MAJOR = 5\n    MINOR = 1\n    TINY  = 9\n",
        "generic/redmine@5.1.9",
    ),
    (
        "var/www/html/version.php",
        b"<?php $OC_Version = [28];\n$OC_VersionString = '28.0.9';\n'nextcloud'",
        "generic/nextcloud@28.0.9",
    ),
    ("usr/src/friendica/VERSION", b"2023.12\n", "generic/friendica@2023.12"),
    ("bin/[", b"memory\0BusyBox v1.36.9 (2023-12-04 19:44:32 UTC)\0", "generic/busybox@1.36.9"),
    ("bin/bash", b"\0@(#)Bash version 5.1.99(1) release GNU\0", "generic/bash@5.1.99"),
    ("bin/getopt", b"\0util-linux 2.38.9\0%s from %s\n\0", "generic/util-linux@2.38.9"),
    ("bin/openssl", b"\0OpenSSL 1.1.1 (compatible; AWS-LC 1.69.9)\0", "generic/aws-lc@1.69.9"),
    ("usr/lib/libcrypto.so.3", b"\0OpenSSL 1.1.1zz  11 Sep 2023\0", "generic/openssl@1.1.1zz"),
    ("bin/curl", b"\0curl/7.88.9\0", "generic/curl@7.88.9"),
    ("bin/git", b"\xfegit/2.39.9\0GIT_USER_AGENT\0", "generic/git@2.39.9"),
    ("bin/xz", b"\0xz (XZ Utils) 5.6.9\0liblzma %s\n\0", "generic/xz@5.6.9"),
    ("bin/zstd", b"\0Enabled\0v1.5.9\0Zstandard CLI\0", "generic/zstd@1.5.9"),
    ("bin/gzip", b"not in gzip format\n\0zipping\n\x001.99\0", "generic/gzip@1.99"),
    ("bin/jq", b"failed: %s\n\x001.7.9\0DEBUG:\0", "generic/jq@1.7.9"),
    ("sbin/tini", b"(%i)] \0tini version 0.19.9\0%s (%s)\n\0", "generic/tini@0.19.9"),
    ("bin/dumb-init", b"\0dumb-init v%.*s\0\x06\0\0\x001.2.9\n\0", "generic/dumb-init@1.2.9"),
    ("bin/irssi", b" %s\0irssi 1.4.9 (%d %04d)\n\0", "generic/irssi@1.4.9"),
    ("bin/wp", b"#!/usr/bin/env php\nwp-cli/wp-cli 2.9.9 2023-10-25T09:10:40+00:00\n", "generic/wp-cli@2.9.9"),
    ("opt/chrome", b"Videos\x00126.0.6478.199\0Default\0", "generic/chrome@126.0.6478.199"),
    ("usr/lib/chromium/chromium", b"timer\x00156.0.8078.99\0chrome\0", "generic/chromium@156.0.8078.99"),
    (
        "opt/firefox/application.ini",
        b"[App]\nVendor=Mozilla\nName=Firefox\nVersion=151.9\nBuildID=1\n",
        "generic/firefox@151.9",
    ),
    ("opt/thunderbird/application.ini", b"[App]\nName=Thunderbird\nVersion=151.0\n", ""),
    ("bin/ffmpeg", b".\n\0%s version 5.1.99-0+deb12u1\0%sbuilt with", "generic/ffmpeg@5.1.99"),
    ("lib/libavcodec-9aae324f.so.59.37.100", b"\0\0FFmpeg version n5.1.98\0", "generic/ffmpeg@5.1.98"),
    ("lib/libswresample.so.4", b"FFmpeg version 5.1.97\0", "generic/ffmpeg@5.1.97"),
    ("lib/libQt6Core.so.6.5.0", b"\0\0Qt 6.5.9 (x86_64-little_endian-lp64 shared", "generic/qtbase@6.5.9"),
    ("lib/libkrb5.so.3.3", b"\0KRB5_BRAND: krb5-1.20.9-final 1.20.9 20221111\0", "generic/krb5@1.20.9"),
    ("lib/libkrb5.so.26.0.0", b"\0Heimdal 7.8.9\0@(#)$Version: Heimdal 7.8.9 $\0", "generic/heimdal-krb5@7.8.9"),
    // Other files of such names.
    ("usr/share/bash-completion/completions/go", b"# completion for go\n", ""),
    ("srv/VERSION", b"1.2.3\n", ""),
    ("usr/local/bin/helm", b"#!/bin/sh\n\0v3.1.2\0\0", ""),
    ("usr/bin/python3.11", b"\x003.12.1\0", ""),
    ("usr/bin/python3.1", b"\x003.11.1\0", ""),
    ("usr/bin/python-config", b"\x003.11.1\0", ""),
    ("usr/lib/libpython3.so", b"\x003.11.1\0", ""),
];

fn read(path: &str, contents: &mut Contents<'_>) -> Vec<Package> {
    let file = File { path, size: 1, executable: true };
    let mut findings = Findings::default();
    Classifier.catalog(&file, contents, &mut findings).expect("reads");
    findings.packages().to_vec()
}

fn names(packages: &[Package]) -> Vec<String> {
    let name = |package: &Package| {
        let namespace = package.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{}/{namespace}{}@{}", package.kind, package.name, package.version)
    };
    packages.iter().map(name).collect()
}

#[test]
fn programs_are_recognised() {
    for (path, bytes, expected) in EXAMPLES {
        let found = names(&read(path, &mut Contents::held(bytes)));
        let expected: Vec<_> = Some(*expected).filter(|expected| !expected.is_empty()).into_iter().collect();
        assert_eq!(found, expected, "{path} {}", bytes.escape_ascii());
    }
}

#[test]
fn every_row_has_an_example() {
    let shown: BTreeSet<&str> =
        EXAMPLES.iter().filter_map(|(_, _, expected)| Some(expected.rsplit_once('@')?.0)).collect();
    let missing: Vec<_> = PROGRAMS.iter().map(|program| program.purl).filter(|purl| !shown.contains(purl)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_table_is_sound() {
    for program in PROGRAMS.iter() {
        assert!(program.purl.split('/').all(|part| !part.is_empty()) && program.purl.contains('/'), "{}", program.purl);
        assert!(!program.files.is_empty() && !program.signs.is_empty(), "{}", program.purl);
        for cpe in program.cpes {
            let parts = cpe.split(':').count();
            assert!(parts == 2 || *cpe == "oracle:openjdk:{primary}:update{update}", "{cpe}");
        }
        for sign in program.signs {
            let regex = RegexBuilder::new(sign.pattern).unicode(false).build().expect(sign.pattern);
            assert!(regex.captures_len() > 1, "{} has no group", sign.pattern);
            assert!(!regex.is_match(b""), "{} matches nothing", sign.pattern);
            for (_, within) in sign.then.iter().chain(&sign.after) {
                assert!(within + 500 < scan::REACH, "{} reaches too far", sign.pattern);
            }
        }
    }
}

#[test]
fn a_file_can_be_two_programs() {
    let bytes = b"\0-cluster-gpl\x005.7.33-ndb-7.6.17\0x86_64\0";
    let found = names(&read("usr/sbin/mysqld", &mut Contents::held(bytes)));
    assert_eq!(found, ["generic/mysql-server@5.7.33", "generic/mysql-cluster@7.6.17"]);
    // But MariaDB is not MySQL as well, for all that it speaks of it.
    let bytes = b"gnu\x0010.11.19-MariaDB\0x86_64\0UNIX_PORT\x0010.11.19\0mysql_native_password\0";
    assert_eq!(names(&read("usr/bin/mysql", &mut Contents::held(bytes))), ["generic/mariadb@10.11.19"]);
}

#[test]
fn names_for_vulnerability_databases_hold_the_version() {
    let check = |path: &str, bytes: &[u8], expected: &[&str]| {
        assert_eq!(read(path, &mut Contents::held(bytes))[0].cpes, expected);
    };
    check("bin/consul", b"\0v1.7.14\0", &["cpe:2.3:a:hashicorp:consul:1.7.14:*:*:*:*:*:*:*"]);
    check(
        "bin/java",
        b"\0openjdk\0java\x001.8\x001.8.0_352-b08\0",
        &["cpe:2.3:a:oracle:openjdk:1.8.0:update352:*:*:*:*:*:*"],
    );
    check(
        "bin/java",
        b"\0openjdk\0java\x000.0\x0011.0.22+7\0",
        &[r"cpe:2.3:a:oracle:openjdk:11.0.22\+7:*:*:*:*:*:*:*"],
    );
    check("bin/beam.smp", b"\x0027.0\0Erlang/OTP", &[r"cpe:2.3:a:erlang:erlang\/otp:27.0:*:*:*:*:*:*:*"]);
}

#[test]
fn a_file_that_passes_gives_the_same_wherever_its_version_stands() {
    const WINDOW: usize = 1 << 20;
    for (path, bytes, _) in EXAMPLES {
        let held = names(&read(path, &mut Contents::held(bytes)));
        // Some are bound to the beginning of the file, and to its end.
        let bound = bytes.starts_with(b"#!") || path.contains("VERSION");
        let starts: &[usize] = if bound { &[0] } else { &[0, WINDOW - 30, WINDOW + 4096 - 20] };
        for &start in starts {
            let before = std::io::repeat(b'\x7f').take(start as u64);
            let after = if bound { 0 } else { 2 * WINDOW as u64 };
            let mut reader = before.chain(*bytes).chain(std::io::repeat(b'\x7f').take(after));
            let passing = names(&read(path, &mut Contents::passing(&mut reader, 1, 0)));
            assert_eq!(passing, held, "{path} {start}");
        }
    }
}

#[test]
fn hostile_files_cost_little() {
    // Each would be quadratic, or cost a thousand steps a byte, if it were one pattern.
    let bytes = b"\x001.30.1".repeat(200_000);
    assert!(read("envoy", &mut Contents::held(&bytes)).is_empty());
    let bytes = vec![0; 2 << 20];
    assert!(read("pilot-agent", &mut Contents::held(&bytes)).is_empty());
    let bytes = vec![b'1'; 2 << 20];
    assert!(read("bin/java", &mut Contents::held(&bytes)).is_empty());
    let long = [b"\0openjdk\0java\x000.0\x001", &*vec![b'1'; 4000], b"\0"].concat();
    assert!(read("bin/java", &mut Contents::held(&long)).is_empty());
}

proptest! {
    #[test]
    fn never_panics(index in 0..EXAMPLES.len(), at in 0_usize..200, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let (path, example, _) = EXAMPLES[index];
        let at = at.min(example.len());
        let mutated = [&example[..at], &bytes, &example[at..]].concat();
        let held = names(&read(path, &mut Contents::held(&mutated)));
        let mut reader = &*mutated;
        prop_assert_eq!(names(&read(path, &mut Contents::passing(&mut reader, 1, 0))), held);
    }
}
