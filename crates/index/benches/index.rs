//! The hot parts, one by one, and the floor beside them: `cargo bench -p supercargo-index`.
//!
//! All input is made here. `layer/floor` hashes and inflates the same blob that `layer/names` walks and `layer/all`
//! catalogs; what they cost beside it is what supercargo adds.

use std::hint::black_box;
use std::io::{Read as _, Write as _};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use supercargo_index::version::compare;
use supercargo_index::{
    Catalogers, Contents, Descriptor, Digest, File, Findings, Limits, license_expression, read_layer, visible_entries,
};

/// A tar of `files` small files in folders of a hundred, as a tree of dependencies has them.
fn tar(files: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for number in 0..files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(64);
        let path = format!("srv/app/node_modules/package-{}/lib/file-{number}.js", number / 100);
        tar.append_data(&mut header, path, &[b'x'; 64][..]).expect("a vector takes all");
    }
    tar.into_inner().expect("a vector takes all")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(bytes).expect("a vector takes all");
    gzip.finish().expect("a vector takes all")
}

fn descriptor(blob: &[u8]) -> Descriptor {
    let digest: String = Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest: Digest = format!("sha256:{digest}").parse().expect("a digest");
    Descriptor::new("application/vnd.oci.image.layer.v1.tar+gzip".into(), blob.len() as u64, digest)
}

fn layer(criterion: &mut Criterion) {
    let plain = tar(100_000);
    let blob = gzip(&plain);
    let (descriptor, limits) = (descriptor(&blob), Limits::default());
    let mut group = criterion.benchmark_group("layer");
    group.sample_size(10).throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("floor", |bencher| {
        bencher.iter(|| {
            let digest = Sha256::digest(&blob);
            let mut inflated = flate2::bufread::MultiGzDecoder::new(&blob[..]);
            let (mut buffer, mut hash) = (vec![0; 128 * 1024], Sha256::new());
            loop {
                match inflated.read(&mut buffer).expect("is gzip") {
                    0 => break black_box((digest, hash.finalize())),
                    n => hash.update(&buffer[..n]),
                }
            }
        });
    });
    for (name, catalogers) in [("names", Catalogers::of(Vec::new())), ("all", Catalogers::all())] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| read_layer(&blob[..], &descriptor, &catalogers, &limits).expect("is a layer"));
        });
    }
    group.finish();

    let index = read_layer(&blob[..], &descriptor, &Catalogers::all(), &limits).expect("is a layer");
    let layers = [index.clone(), index];
    criterion.bench_function("squash", |bencher| bencher.iter(|| visible_entries(black_box(&layers))));
}

/// A file for each parser that images give much work to: cataloger, path, contents.
fn files() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let repeat = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<String>().into_bytes();
    let json_list = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<Vec<_>>().join(",");
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.extend((0..8_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    program.extend(b"\0Redis server v=7.2.4 sha=00000000:0\0");
    vec![
        (
            "dpkg",
            "var/lib/dpkg/status",
            repeat(2000, &|n| {
                format!(
                    "Package: lib{n}\nStatus: install ok installed\nPriority: optional\nArchitecture: amd64\n\
                     Source: src{n} (1.{n}-1)\nVersion: 1.{n}-1+b1\nMaintainer: Ann <ann@example.org>\n\
                     Depends: libc6 (>= 2.36), lib{n}-data\nDescription: library {n}\n of no further use.\n\n"
                )
            }),
        ),
        (
            "apk",
            "lib/apk/db/installed",
            repeat(2000, &|n| {
                format!(
                    "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:lib{n}\nV:1.{n}-r0\nA:x86_64\nS:1000\nI:4096\nT:library\n\
                     U:https://example.org\nL:MIT\no:src{n}\nF:usr/lib\nR:lib{n}.so\nZ:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"
                )
            }),
        ),
        (
            "npm",
            "srv/node_modules/left-pad/package.json",
            format!(
                r#"{{"name":"left-pad","version":"1.3.0","license":"MIT","scripts":{{{}}}}}"#,
                json_list(200, &|n| format!(r#""script-{n}":"node {n}""#))
            )
            .into_bytes(),
        ),
        (
            "npm-lock",
            "srv/package-lock.json",
            format!(
                r#"{{"lockfileVersion":3,"packages":{{{}}}}}"#,
                json_list(2000, &|n| format!(
                    r#""node_modules/p{n}":{{"version":"1.{n}.0","resolved":"https://registry.npmjs.org/p{n}/-/p{n}-1.{n}.0.tgz","integrity":"sha512-x"}}"#
                ))
            )
            .into_bytes(),
        ),
        (
            "python",
            "usr/lib/python3/dist-packages/flask-3.0.0.dist-info/METADATA",
            [&b"Metadata-Version: 2.1\nName: flask\nVersion: 3.0.0\nLicense: BSD-3-Clause\n\n"[..], &vec![b'x'; 8192]]
                .concat(),
        ),
        (
            "sbom",
            "usr/share/sbom/app.spdx.json",
            format!(
                r#"{{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[{}]}}"#,
                json_list(2000, &|n| format!(
                    r#"{{"SPDXID":"SPDXRef-{n}","name":"p{n}","versionInfo":"1.{n}","externalRefs":[{{"referenceType":"purl","referenceLocator":"pkg:npm/p{n}@1.{n}"}}]}}"#
                ))
            )
            .into_bytes(),
        ),
        ("classifier", "usr/local/bin/redis-server", program.clone()),
        ("go-binary", "usr/local/bin/redis-server", program),
    ]
}

fn parsers(criterion: &mut Criterion) {
    let catalogers = Catalogers::all();
    let mut group = criterion.benchmark_group("parsers");
    for (name, path, bytes) in files() {
        let cataloger = catalogers.iter().find(|cataloger| cataloger.name() == name).expect("is one of them");
        let file = File { path, size: bytes.len() as u64, executable: true };
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let mut findings = Findings::default();
                cataloger.catalog(&file, &mut Contents::held(&bytes), &mut findings).expect("is well formed");
                findings
            });
        });
    }
    group.finish();
}

fn words(criterion: &mut Criterion) {
    criterion.bench_function("license", |bencher| {
        bencher.iter(|| license_expression([black_box("GPLv2+ and (MIT or Apache License 2.0)")]));
    });
    criterion.bench_function("version", |bencher| {
        bencher.iter(|| compare("deb", black_box("1:2.36-9+deb12u4"), black_box("1:2.36-9+deb12u10")));
    });
}

criterion_group!(benches, layer, parsers, words);
criterion_main!(benches);
