//! Web servers, proxies, agents, and the programs that keep them.
//!
//! Programs made by Go put their strings into one text without ends, sorted by length, and versions that the linker
//! sets (`-X`) among other small data. What stands around either is a matter of chance that holds for some versions;
//! the module information that they also have is read elsewhere.

use super::super::program::{Program, Sign};

const ISTIO: &[Sign] = &[
    // 1.26.8\0\01.26.8: its own and that of its Docker tag.
    Sign::new(r"\d+\.\d+\.\d+\x00+(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc|snapshot)\.\d+|-dev)?)\x00"),
    // The state of the sources comes before it: Clean\0\0\01.8.0, Modified\0…1.10-dev
    Sign::new(r"Clean\x00+(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc|snapshot)\.\d+|-dev)?)\x00"),
    Sign::new(r"Modified\x00+(\d+\.\d+-dev)\x00"),
    // A constant of the mathematical library comes after it.
    Sign::new(r"(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc|snapshot)\.\d+|-dev)?)\x00").then(b"=v<y5", 120),
];

/// What comes after a version in the data of Go programs: times, as seconds in some calendar.
const TIMES: &[u8] = b"+DT";
const MORE_TIMES: &[u8] = b"$a";

/// The text of the Beats: their version after the word that sorts before it.
const BEAT: &[Sign] = &[
    // forcestdinsetupTest 9.4.2%s %w
    Sign::new(r"stdinsetupTest (\d+\.\d+\.\d+)"),
    // exportconfigcreateplugin8.18.4global
    Sign::new(r"(?:create|plugin)(\d+\.\d+\.\d+)global"),
    // 2006-015m.rate8.11.2-9765625
    Sign::new(r"m\.rate(\d+\.\d+\.\d+)-9765625"),
];

pub(super) const PROGRAMS: &[Program] = &[
    Program::new(
        "generic/nginx",
        &["**/nginx", "**/nginx-debug"],
        &[
            // nginx version: nginx/1.25.1; nginx version: openresty/1.21.4.1, whose first three numbers are nginx's.
            Sign::new(r"[\x00?]nginx version: [^/\x00\n]{1,40}/(\d+\.\d+\.\d+(?:\+\d+)?(?:-\d+)?)"),
        ],
    )
    .cpes(&["f5:nginx", "nginx:nginx"]),
    Program::new("generic/httpd", &["**/httpd", "**/apache2"], &[Sign::new(r"Apache/(\d+\.\d+\.\d+)")])
        .cpes(&["apache:http_server"]),
    Program::new("generic/lighttpd", &["**/lighttpd"], &[Sign::new(r"\x00lighttpd/(\d+\.\d+\.\d+)\x00")])
        .cpes(&["lighttpd:lighttpd"]),
    Program::new(
        "generic/haproxy",
        &["**/haproxy"],
        &[
            // version 2.0.0, released 2019/06/16; version 2.6.12-1+deb12u4, released …
            Sign::new(r"version (\d+\.\d+(?:\.|-dev|-rc)\d+)(?:[-+~][^,\x00]{1,40})?, released 20"),
            // HA-Proxy version 1.5.14 2015/07/02
            Sign::new(r"HA-Proxy version (\d+\.\d+(?:\.|-dev)\d+)"),
            // 3.1-dev0-1eb0f22\0…HAProxy version follows
            Sign::new(r"(\d+\.\d+(?:\.|-dev)\d+)-[0-9a-zA-Z]{7}").then(b"HAProxy version", 80),
        ],
    )
    .cpes(&["haproxy:haproxy"]),
    Program::new("generic/varnish", &["**/varnishd"], &[Sign::new(r"\(varnish-(\d+\.\d+\.\d+) revision")])
        .cpes(&["varnish_cache_project:varnish_cache"]),
    Program::new(
        "generic/proftpd",
        &["**/proftpd"],
        &[Sign::new(r"\x00ProFTPD Version (\d+\.\d+\.\d+[a-z]?(?:rc\d+)?)\x00")],
    )
    .cpes(&["proftpd:proftpd"]),
    Program::new("generic/mosquitto", &["**/mosquitto"], &[Sign::new(r"\x00(\d+\.\d+\.\d+)\x00+mosquitto version %s")])
        .cpes(&["eclipse:mosquitto"]),
    Program::new("generic/unbound", &["**/unbound"], &[Sign::new(r"\x00unbound (\d+\.\d+\.\d+)\x00")])
        .cpes(&["nlnetlabs:unbound"]),
    Program::new("generic/spiped", &["**/spiped"], &[Sign::new(r"\x00spiped (\d+\.\d+\.\d+)\n\x00")]),
    Program::new(
        "generic/traefik",
        &["**/traefik"],
        &[
            // v1.7.34, 2.9.6; since 3.0 what comes before it need not be a zero.
            Sign::new(r"(?:\x00v?|[\x80-\xff].?)(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\d)?)\x00"),
        ],
    )
    .cpes(&["traefik:traefik"]),
    // Other libraries within have such versions too (c-ares 1.34.5, nghttp2 1.66.0). The linker merges strings and
    // thereby shuffles them: a version of Envoy's is known by what of Envoy's happens to stand near.
    Program::new(
        "generic/envoy",
        &["**/envoy"],
        &[
            Sign::new(r"\x00(1\.[3-9]\d\.\d+(?:-dev)?)\x00").then(b"envoy_reloadable_features", 1000),
            Sign::new(r"\x00(1\.[3-9]\d\.\d+(?:-dev)?)\x00").then(b"envoy.reloadable_features", 200),
            Sign::new(r"\x00(1\.[3-9]\d\.\d+(?:-dev)?)\x00").then(b"envoy_quic", 600),
            Sign::new(r"\x00(1\.2\d\.\d+(?:-dev)?)\x00").after(b"envoy_quic_", 1000),
            Sign::new(r"\x00(1\.[12]\d\.\d+(?:-dev)?)\x00").then(b"Unable to", 1000),
            Sign::new(r"\x00(1\.2\d\.\d+(?:-dev)?)\x00").then(b"ValidationError", 580),
            Sign::new(r"\x00(1\.1\d\.\d+(?:-dev)?)\x00").then(b"ValidationError", 1000),
            Sign::new(r"\x00(1\.1\d\.\d+(?:-dev)?)\x00").after(b"[source/", 220),
            Sign::new(r"\x00(1\.\d\.\d+(?:-dev)?)\x00").then(b"RELEASE", 20),
            // The pattern by which it takes its own version apart.
            Sign::new(r"\x00(1\.\d{1,2}\.\d+(?:-dev)?)\x00").then(br"([\d]+)\.([\d]+)\.([\d]+)", 40),
            Sign::new(r"\x00(1\.\d{1,2}\.\d+(?:-dev)?)\x00(?:source/|envoy[/._])"),
            Sign::new(r"\x00(1\.\d{2}\.\d+(?:-dev)?)\x00").after(b"ValidationError", 40),
            Sign::new(r"\x00(1\.\d{2}\.\d+(?:-dev)?)\x00").then(b"source/", 300),
            Sign::new(r"\x00(1\.\d{2}\.\d+(?:-dev)?)\x00").then(b"envoy", 300),
            // Its TLS library's states.
            Sign::new(r"\x00(1\.\d{2}\.\d+(?:-dev)?)\x00").then(b"TLS client ", 300),
        ],
    )
    .cpes(&["envoyproxy:envoy"]),
    Program::new("generic/istio", &["**/pilot-discovery", "**/pilot-agent"], ISTIO).cpes(&["istio:istio"]),
    Program::new(
        "generic/nginx-ingress-controller",
        &["**/nginx-ingress-controller"],
        &[
            // v1.15.1\0\0…go1.26.1
            Sign::new(r"v(\d+\.\d+\.\d+)\x00").then(b"\0go1.", 60),
            Sign::new(r"v(\d+\.\d+\.\d+(?:-(?:alpha|beta)\.\d)?)\x00").then(MORE_TIMES, 800),
            Sign::new(r"\x00v?(\d+\.\d+\.\d+(?:-(?:alpha|beta)\.\d)?)\x00").then(b"S=v<y5", 120),
            // 0.001, as a number of 64 bits.
            Sign::new(r"v(\d+\.\d+\.\d+(?:-(?:alpha|beta)\.\d)?)\x00").then(b"\xfc\xa9\xf1\xd2MbP?", 300),
            // go1.22.8\0\0\0\0\0\0\0\0v1.12.0-beta.0
            Sign::new(r"\x00go\d+\.\d+\.\d+\x00+v(\d+\.\d+\.\d+(?:-(?:alpha|beta)\.\d)?)\x00"),
            Sign::new(r"\x00v(\d+\.\d+\.\d+-(?:alpha|beta)\.\d)\x00"),
        ],
    )
    .cpes(&["kubernetes:ingress-nginx"]),
    Program::new(
        "golang/github.com/hashicorp/consul",
        &["**/consul"],
        &[
            Sign::new(r"CONSUL_VERSION: (\d+\.\d+\.\d+)"),
            // The linker's flags: -X github.com/hashicorp/consul/version.GitDescribe=1.12.9"
            Sign::new(r#"GitDescribe=v?(\d+\.\d+\.\d+)""#),
            Sign::new(r"\x00v(\d+\.\d+\.\d+)\x00"),
        ],
    )
    .cpes(&["hashicorp:consul"]),
    Program::new(
        "golang/github.com/hashicorp/vault",
        &["**/vault"],
        &[
            // revoke1.19.4)(nil))
            Sign::new(r"revoke(\d+\.\d+\.\d+)"),
            // ttl_secondsindex_state1.21.0-rc1
            Sign::new(r"state(\d+\.\d+\.\d+-rc\d)"),
            // 0x%016x1.14.101.49.22123: 1.14.10, and the object identifier 1.49.22…
            Sign::new(r"016x(1\.1[134]\.\d{1,2})"),
            Sign::new(r"\x00(1\.\d[01]?\.\d+)\x00"),
        ],
    )
    .cpes(&["hashicorp:vault"]),
    Program::new(
        "golang/helm.sh/helm",
        &["**/helm"],
        &[
            Sign::new(r"\x00v(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d)?)\x00\x00"),
            Sign::new(r"v(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d)?)\x00").then(b"go1.", 500),
            Sign::new(r"[\x00@]v(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d)?)\x00"),
        ],
    )
    .cpes(&["helm:helm"]),
    Program::new(
        "generic/grafana",
        &["**/grafana"],
        &[
            // 12.4.0-22081664032: a build between releases.
            Sign::new(r"\x00(\d{2}\.\d+\.\d+-\d{6,})\x00"),
            // release-12.3.2+security-01
            Sign::new(r"\x00release-(\d{2}\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00"),
            Sign::new(r"\x00go1\.\d+\.\d+\x00+(\d{2}\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00")
                .then(TIMES, 520),
            // 12.0.0\0\0$a
            Sign::new(r"(\d{2}\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00+\$a"),
            Sign::new(r"\x00.(10\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00"),
            // 10.3.12\0 … \0go1.22.7\0
            Sign::new(r"(\d{2}\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00").then(b"\0go1.", 120),
            // 11.0.5+security-01: nobody else names versions so.
            Sign::new(r"[^0-9.](\d{1,2}\.\d+\.\d+)\+security-\d+\x00"),
            // 9.5.21\0\0v9.5.x
            Sign::new(r"(\d+\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00+v\d+\.\d+\.x\x00"),
            // The branch comes before it: HEAD\0\0:\0…9.2.13
            Sign::new(r"HEAD\x00.{0,200}\x00(\d{1,2}\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00"),
            // The commit comes before it: 1b0f5f0a81\0…9.4.0-beta1\0…/usr/local/go
            Sign::new(r"\w\x00+(\d\.\d+\.\d+(?:-beta\d|-test|-preview)?)(?:\+security-\d+)?\x00+/usr/local/go"),
        ],
    )
    .cpes(&["grafana:grafana"]),
    Program::new(
        "generic/grafana",
        &["**/grafana-server"],
        &[
            Sign::new(r"\w\x00+(\d\.\d+\.\d+(?:-beta\d|-test)?)\x00+/usr/local/go"),
            Sign::new(r"HEAD\x00.{0,200}\x00(\d\.\d+\.\d+(?:-beta\d|-test)?)\x00"),
            Sign::new(r"\x00(\d\.\d+\.\d+(?:-beta\d|-test)?)\x00").then(b"\0/u", 2000),
        ],
    )
    .cpes(&["grafana:grafana"]),
    Program::new(
        "generic/elastic-agent",
        &["**/elastic-agent"],
        &[
            // configenroll9.0.0-header, config/statsenroll: true9.4.2-header, enroll8.19.4header
            Sign::new(r"enroll(?:: true)?(\d+\.\d+\.\d+)-?header"),
            // 3:04PM8.11.2:https
            Sign::new(r"PM(\d+\.\d+\.\d+):https"),
        ],
    )
    .cpes(&["elastic:elastic_agent"]),
    Program::new("generic/auditbeat", &["**/auditbeat"], BEAT).cpes(&["elastic:auditbeat"]),
    Program::new("generic/filebeat", &["**/filebeat"], BEAT).cpes(&["elastic:filebeat"]),
    Program::new("generic/heartbeat", &["**/heartbeat"], BEAT).cpes(&["elastic:heartbeat"]),
    Program::new("generic/metricbeat", &["**/metricbeat"], BEAT).cpes(&["elastic:metricbeat"]),
    Program::new("generic/packetbeat", &["**/packetbeat"], BEAT).cpes(&["elastic:packetbeat"]),
    Program::new(
        "github/fluent/fluent-bit",
        &["**/fluent-bit"],
        &[
            // 2.2.1\0\0\0Fluent Bit v%s; 1.7.0\0\x1b[1m\0%sFluent Bit v%s
            Sign::new(r"\x00(\d+\.\d+\.\d+)\x00(?:\x1b\[1m\x00|\x00{1,2})?(?:%s)?Fluent"),
        ],
    )
    .cpes(&["treasuredata:fluent_bit"]),
    // module Redmine … MAJOR = 5, MINOR = 1, TINY = 3, each on a line of its own.
    Program::new(
        "generic/redmine",
        &["**/lib/redmine/version.rb"],
        &[Sign::new(r"MAJOR\s*=\s*(?<major>\d+)\s+MINOR\s*=\s*(?<minor>\d+)\s+TINY\s*=\s*(?<patch>\d+)")],
    )
    .cpes(&["redmine:redmine"]),
    // $OC_VersionString = '28.0.1';
    Program::new(
        "generic/nextcloud",
        &["**/version.php"],
        &[Sign::new(r"\$OC_VersionString\s*=\s*'(\d+\.\d+\.\d+(?: ?(?:alpha|beta|RC)\d*)?)'").beside(b"nextcloud")],
    )
    .cpes(&["nextcloud:nextcloud_server"]),
    Program::new("generic/friendica", &["**/friendica/VERSION"], &[Sign::new(r"^(\d{4}\.\d{2}(?:[-.]\w+)?)\s*$")])
        .cpes(&["friendica:friendica"]),
];
