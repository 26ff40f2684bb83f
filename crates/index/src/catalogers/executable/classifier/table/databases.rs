//! Databases, caches and what stores things.

use super::super::program::{Program, Sign};

const NDB: &[Sign] = &[Sign::new(r"/mysql-cluster-gpl-(\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)/")];
const LEGACY_NDB: &[Sign] = &[Sign::new(r"cluster-gpl\x00\d+(?:\.\d+){0,2}-ndb-(\d+(?:\.\d+){0,2})")];
const MYSQL_SERVER_CPES: &[&str] = &["oracle:mysql", "oracle:mysql_server"];

pub(super) const PROGRAMS: &[Program] = &[
    // Debian has the one program under its other name, and the well-known one as a link to it.
    Program::new(
        "generic/redis",
        &["**/redis-server", "**/redis-check-rdb"],
        &[
            // The arguments of INFO: its version, then how its counters are made atomic.
            Sign::new(r"\x00(\d+\.\d+\.\d+)\x00(?:c11-builtin|atomic-builtin|sync-builtin|pthread-mutex)\x00"),
            // The build ID is the version, the builder's host and a date in nanoseconds with nothing between them:
            // 7.0.14buildkitsandbox-1702957741000000000, 4.0.11841ce7054bd9-1542359302000000000 (a container's ID).
            Sign::new(r"[^\d](\d+\.\d+\.\d+)buildkitsandbox-\d+"),
            Sign::new(r"[^\d](\d+\.\d+\.\d+)\w{12}-\d+"),
            // Server started, Redis version 2.8.23
            Sign::new(r"Redis version (\d+\.\d+\.\d+)"),
        ],
    )
    .cpes(&["redislabs:redis", "redis:redis"]),
    Program::new(
        "generic/valkey",
        &["**/valkey-server"],
        &[
            Sign::new(r"[^\d](\d+\.\d+\.\d+)buildkitsandbox-\d+"),
            Sign::new(r"\x00valkey(\d+\.\d+\.\d+)[^\x00]*-\d{10}"),
        ],
    )
    .cpes(&["lfprojects:valkey", "linuxfoundation:valkey", "valkey-io:valkey"]),
    Program::new("generic/memcached", &["**/memcached"], &[Sign::new(r"memcached\s(\d+\.\d+\.\d+)")])
        .cpes(&["memcached:memcached"]),
    Program::new(
        "generic/postgresql",
        &["**/postgres"],
        &[
            // PostgreSQL 15.1 (Debian 15.1-1.pgdg110+1) on x86_64-pc-linux-gnu, PostgreSQL 15beta4 on …
            Sign::new(r"[\x00?]PostgreSQL (\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)"),
        ],
    )
    .cpes(&["postgresql:postgresql"]),
    // What others made of MySQL has its signs too, so they come first.
    Program::new(
        "generic/mariadb",
        &["**/mariadb", "**/mysql", "**/mariadbd"],
        &[
            // 10.6.15-MariaDB
            Sign::new(r"(\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)-MariaDB"),
            // mariadb-11.8.5-2-redhat-x86_64/rhel-8/bin/mariadb
            Sign::new(r"[/\n\x00]mariadb-(\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)-"),
        ],
    )
    .choice("mysql")
    .cpes(&["mariadb:mariadb"]),
    // The directory of its build; the one above it may have only the first two numbers in its name.
    Program::new(
        "generic/percona-server",
        &["**/mysql"],
        &[Sign::new(r"/percona-server-(\d+\.\d+\.\d+(?:(?:alpha|beta|rc)\d)?)")],
    )
    .choice("mysql")
    .cpes(&["oracle:mysql", "percona:percona_server"]),
    Program::new(
        "generic/percona-xtradb-cluster",
        &["**/mysql"],
        &[Sign::new(r"/Percona-XtraDB-Cluster-(\d+\.\d+\.\d+(?:(?:alpha|beta|rc)\d)?)")],
    )
    .choice("mysql")
    .cpes(&["oracle:mysql", "percona:percona_server", "percona:xtradb_cluster"]),
    Program::new(
        "generic/mysql",
        &["**/mysql"],
        &[
            // shutdown\08.0.37\0\0\0\0\0\0\0mysql_real_escape_string_quote
            Sign::new(r"\x00(\d+(?:\.\d+){0,2}(?:(?:alpha|beta|rc)\d)?)\x00+mysql"),
            // …/release/mysql-8.0.4-rc/mysys_ssl/my_default.cc
            Sign::new(r"/mysql-(\d+\.\d+\.\d+(?:(?:alpha|beta|rc)\d)?)"),
        ],
    )
    .choice("mysql")
    .cpes(&["oracle:mysql"]),
    Program::new(
        "generic/percona-xtrabackup",
        &["**/xtrabackup"],
        &[Sign::new(r"/percona-xtrabackup-(\d+\.\d+\.\d+(?:(?:alpha|beta|rc)\d)?)")],
    )
    .cpes(&["percona:xtrabackup"]),
    // -cluster-gpl\05.7.33-ndb-7.6.17: a server and a cluster, each with a version of its own up to 7.6.
    Program::new("generic/mysql-server", &["**/mysqld"], &[Sign::new(r"cluster-gpl\x00(\d+(?:\.\d+){0,2})-ndb-\d+")])
        .cpes(MYSQL_SERVER_CPES),
    Program::new("generic/mysql-cluster", &["**/mysqld"], LEGACY_NDB).choice("mysqld").cpes(&["oracle:mysql_cluster"]),
    Program::new("generic/mysql-cluster", &["**/mysqld"], NDB).choice("mysqld").cpes(&[
        "oracle:mysql",
        "oracle:mysql_server",
        "oracle:mysql_cluster",
    ]),
    Program::new(
        "generic/mysql-server",
        &["**/mysqld"],
        &[Sign::new(r"/mysql-(\d+\.\d+\.\d+(?:(?:alpha|beta|rc)\d)?)/")],
    )
    .choice("mysqld")
    .cpes(MYSQL_SERVER_CPES),
    Program::new("generic/mysql-cluster", &["**/ndbd", "**/ndbmtd", "**/ndb_mgmd"], NDB)
        .cpes(&["oracle:mysql_cluster"]),
    Program::new(
        "generic/mongodb",
        &["**/mongod", "**/mongos"],
        &[
            // Its version and the next word of its own: 6.0.27\0tcmalloc, 7.0.28\0heap_size, 8.0.17\0cppdefines
            Sign::new(r"(\d+\.\d+\.\d+(?:-rc\d+)?)\x00tcmalloc"),
            Sign::new(r"(\d+\.\d+\.\d+(?:-rc\d+)?)\x00+heap_size"),
            Sign::new(r"(\d+\.\d+\.\d+(?:-rc\d+)?)\x00+cppdefines"),
        ],
    )
    .cpes(&["mongodb:mongodb"]),
    // 3.12.5-2 enterprise [linux]
    Program::new(
        "generic/arangodb",
        &["**/arangosh", "**/arangod"],
        &[Sign::new(r"(\d+\.\d+\.\d+(?:-\d+)?)\s(?:enterprise\s)?\[linux\]")],
    )
    .cpes(&["arangodb:arangodb"]),
    Program::new(
        "generic/sqlcipher",
        &["**/sqlcipher"],
        &[
            // community\04.5.5\0%s %s
            Sign::new(r"\x00(?:community|commercial|enterprise)\x00(\d+\.\d+\.\d+)\x00"),
            Sign::new(r"[^0-9]\x00(\d+\.\d+\.\d+)\x00"),
        ],
    )
    .cpes(&["zetetic:sqlcipher"]),
    Program::new(
        "generic/openldap",
        &["**/ldapsearch", "**/slapd"],
        &[
            // @(#) $OpenLDAP: ldapsearch 2.6.10 (May 23 2025 04:19:08) $
            Sign::new(r"\$OpenLDAP:\s(?:ldapsearch|slapd)\s(\d+\.\d+\.\d+)"),
        ],
    )
    .cpes(&["openldap:openldap"]),
];
