//! The certificate that is in use, and how it is replaced.

use std::time::{Duration, SystemTime};

use supercargo_server::Tls;

use super::endpoint::TlsFiles;
use crate::signals::{Hangup, Stop};
use crate::{Error, Result};

/// How often the files are looked at. Certificates are renewed days before they run out.
const LOOK: Duration = Duration::from_secs(30);

/// Reads the certificate and its key.
///
/// # Errors
///
/// If they cannot be read, or do not belong together.
pub(super) fn load(files: &TlsFiles) -> Result<Tls> {
    let (certificate, key) = read(files)?;
    Tls::new(&certificate, &key).map_err(|error| unusable(files, error))
}

fn read(files: &TlsFiles) -> Result<(Vec<u8>, Vec<u8>)> {
    let one = |path: &std::path::Path| {
        std::fs::read(path).map_err(|error| Error::io(format!("read {}", path.display()), error))
    };
    Ok((one(&files.certificate)?, one(&files.key)?))
}

fn unusable(files: &TlsFiles, error: supercargo_server::Error) -> Error {
    Error::failed(format!("use the certificate {}", files.certificate.display()), error)
}

/// Takes new certificates up, when the files change or SIGHUP asks for it, until a stop is asked for. Files that
/// cannot be used leave the old certificate where it is.
pub(super) async fn keep(files: &TlsFiles, tls: &Tls, stop: &Stop) {
    let mut hangup = Hangup::listen();
    let mut seen = times(files);
    let mut stopped = std::pin::pin!(stop.asked());
    loop {
        let asked = tokio::select! {
            () = &mut stopped => return,
            () = hangup.next() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let now = times(files);
        if !asked && now == seen {
            continue;
        }
        let replaced = read(files)
            .and_then(|(certificate, key)| tls.replace(&certificate, &key).map_err(|error| unusable(files, error)));
        match replaced {
            Ok(()) => {
                seen = now;
                tracing::info!(certificate = %files.certificate.display(), "certificate taken up");
            }
            // Renewal writes two files, and this may be between them: the next look finds both.
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "certificate not taken up"),
        }
    }
}

fn times(files: &TlsFiles) -> [Option<SystemTime>; 2] {
    [&files.certificate, &files.key].map(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
}
