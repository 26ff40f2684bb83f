//! The way to the registry: name, connection, certificate, protocol, clock.

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;

use super::{Check, Notes, Outcome, Said, advice, explain};
use crate::distribution::{BrokenHandshake, Challenge, Handshake};
use crate::secret::redacted;
use crate::{DistributionClient, Error, ErrorKind, Result};

/// A certificate that ends sooner than this is worth a word: those of Let's Encrypt are renewed a month before.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 14);
/// Seconds that clocks may differ by. Amazon refuses requests that are signed five minutes off, and tokens of a minute
/// are lost by less.
const OFF: i64 = 30;

/// Looks at it; `None` if the registry was not reached.
pub(super) async fn look(client: &DistributionClient, notes: &mut Notes<'_>) -> Option<()> {
    let reached = connect(client, notes).await;
    if reached.is_none() {
        for check in [Check::Protocol, Check::Clock] {
            notes.say(check, Said::skipped("the registry was not reached"));
        }
        return None;
    }
    let greeting = notes
        .note(Check::Protocol, async {
            let greeting = client.probe_greeting().await?;
            let said = describe(greeting.status, greeting.challenge.as_ref())?;
            Ok((greeting, said))
        })
        .await;
    let Some(greeting) = greeting else {
        notes.say(Check::Clock, Said::skipped("the registry did not answer"));
        return None;
    };
    notes.say(Check::Clock, clock(greeting.behind));
    Some(())
}

async fn connect(client: &DistributionClient, notes: &mut Notes<'_>) -> Option<()> {
    let is_tls = client.base().scheme() == "https";
    let proxy = match client.proxy() {
        Ok(proxy) => proxy,
        Err(error) => {
            notes.say(Check::Name, Said::failed(&error));
            return None;
        }
    };
    let next = proxy.as_ref().unwrap_or(client.base());
    let addresses = notes
        .note(Check::Name, async {
            let addresses = client.probe_name(next).await?;
            let host = next.host_str().unwrap_or_default();
            let whose = if proxy.is_some() { "the proxy " } else { "" };
            let is_literal = addresses.iter().any(|address| host.trim_matches(['[', ']']) == address.to_string());
            let list: Vec<String> = addresses.iter().take(4).map(ToString::to_string).collect();
            let more = if addresses.len() > list.len() { ", …" } else { "" };
            let said = Said::passed(match is_literal {
                true => format!("{whose}{host} is an address"),
                false => format!("{whose}{host} is at {}{more}", list.join(", ")),
            });
            Ok((addresses, said))
        })
        .await;
    let Some(addresses) = addresses else {
        notes.say(Check::Connection, Said::skipped("there is no address"));
        notes.say(Check::Tls, Said::skipped("there is no connection"));
        return None;
    };
    let connection = notes
        .note(Check::Connection, async {
            let (mut stream, address) = client.probe_connection(next, &addresses).await?;
            match &proxy {
                Some(proxy) if is_tls => {
                    client.probe_tunnel(&mut stream, proxy).await?;
                    Ok((stream, Said::passed(format!("through the proxy {}", redacted(proxy)))))
                }
                Some(proxy) => Ok((stream, Said::passed(format!("to the proxy {}", redacted(proxy))))),
                None => Ok((stream, Said::passed(address.to_string()))),
            }
        })
        .await;
    let Some(stream) = connection else {
        notes.say(Check::Tls, Said::skipped("there is no connection"));
        return None;
    };
    if !is_tls {
        notes.say(Check::Tls, plain(client));
        return Some(());
    }
    notes
        .note(Check::Tls, async {
            match client.probe_tls(stream).await {
                Ok(handshake) => Ok(((), greeted(&handshake, Timestamp::now()))),
                Err(broken) => Err(with_certificate(broken)),
            }
        })
        .await
}

/// Whether it is well that there is no TLS.
fn plain(client: &DistributionClient) -> Said {
    if client.host().is_loopback() {
        return Said::skipped("plain HTTP, to this machine");
    }
    Said::warned(
        "plain HTTP: passwords and images can be read and changed on the way",
        "use HTTPS if the registry has it",
    )
}

fn greeted(handshake: &Handshake, now: Timestamp) -> Said {
    let version = match handshake.version {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let protocol = if handshake.http2 { "HTTP/2" } else { "HTTP/1.1" };
    let Some(certificate) = &handshake.certificate else { return Said::passed(format!("{version}, {protocol}")) };
    let left = certificate.not_after.duration_since(now);
    let detail = format!(
        "{version}, {protocol}, certificate by {}, good until {}",
        certificate.issuer,
        certificate.not_after.strftime("%Y-%m-%d")
    );
    if left < SOON {
        return Said::warned(
            format!("{detail}, in {} days", left.as_hours() / 24),
            "have the registry's certificate renewed",
        );
    }
    Said::passed(detail)
}

/// The error of a handshake with what the certificate says of itself.
fn with_certificate(broken: BrokenHandshake) -> Error {
    let BrokenHandshake { error, certificate } = broken;
    let Some(certificate) = certificate else { return error };
    let about = format!(
        "the certificate of {} is by {} and ends {}",
        certificate.subject,
        certificate.issuer,
        certificate.not_after.strftime("%Y-%m-%d")
    );
    let told = Error::new(error.kind(), format!("{}; {about}", explain(&error)));
    match advice(&error) {
        Some(advice) => told.with_hint(advice),
        None => told,
    }
}

fn describe(status: StatusCode, challenge: Option<&Challenge>) -> Result<Said> {
    let code = status.as_u16();
    match (code, challenge) {
        (401, Some(Challenge::Basic)) => Ok(Said::passed("answers at /v2/, and wants user and password")),
        (401, Some(Challenge::Bearer(bearer))) => {
            Ok(Said::passed(format!("answers at /v2/, and wants tokens of {}", redacted(&bearer.realm))))
        }
        (401, None) => Ok(Said::warned(
            "answers 401 at /v2/ without saying how to sign in",
            "user and password are sent unasked with sign-in=basic",
        )),
        (200..300, _) => Ok(Said::passed("answers at /v2/, and lets everybody in")),
        (403, _) => Ok(Said::warned("answers 403 at /v2/ to a stranger", "sign in; some firewalls answer so, too")),
        (404, _) => Err(Error::new(ErrorKind::Unsupported, "ask /v2/: it is not there, so this is no registry")
            .with_hint("is it the registry's own host and port? Products often have their web pages at another")),
        _ => Err(Error::new(ErrorKind::Unavailable, format!("ask /v2/: it answers {code}"))),
    }
}

fn clock(behind: Option<i64>) -> Said {
    match behind {
        None => Said::skipped("the registry does not say the time"),
        Some(seconds) if seconds.abs() <= OFF => Said::passed("agrees with the registry's"),
        Some(seconds) => {
            let word = if seconds > 0 { "behind" } else { "ahead of" };
            Said {
                outcome: Outcome::Warned,
                detail: format!("this machine's is {} seconds {word} the registry's", seconds.abs()),
                advice: Some("set it right (NTP): tokens and signatures end by the clock".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        assert_eq!(clock(None).outcome, Outcome::Skipped);
        assert_eq!(clock(Some(30)).outcome, Outcome::Passed);
        assert_eq!(clock(Some(90)).detail, "this machine's is 90 seconds behind the registry's");
        assert_eq!(clock(Some(-31)).detail, "this machine's is 31 seconds ahead of the registry's");
    }

    #[test]
    fn greetings() {
        let outcome = |code: u16| describe(StatusCode::from_u16(code).unwrap(), None).map(|said| said.outcome).ok();
        assert_eq!(outcome(200), Some(Outcome::Passed));
        assert_eq!(outcome(401), Some(Outcome::Warned));
        assert_eq!(outcome(404), None);
        assert_eq!(outcome(500), None);
    }
}
