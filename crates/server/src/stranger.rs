//! Senders that prove nothing, by their address.
//!
//! A secret cannot be guessed at any speed (sixteen characters at least, compared in constant time); what a stranger
//! can do is to make us read and hash bodies. So an address that keeps failing is told to come back later, before its
//! body is read. It is told 503 and not 429 or 401, because its next delivery may have the right secret by then, and
//! Artifactory and SNS never repeat what was answered with a 4xx.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use http::StatusCode;
use tokio::time::Instant;

use crate::connection::Bounded;

/// Deliveries without proof that an address has at once. A registry with an old secret sends some, and then one a
/// second for ever (CNCF Distribution), which it may.
const BURST: u32 = 60;
/// After this much time it has one more.
const REFILL: Duration = Duration::from_secs(1);
/// How long a proof speaks for its address. Behind a proxy all senders have one, and must not be shut out by a
/// stranger among them.
const CREDIT: Duration = Duration::from_secs(600);
/// Addresses that are remembered. More than that are read as if they were new.
const ADDRESSES: usize = 4096;

/// Whom a connection is with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// What is known of addresses.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    known: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug)]
struct Record {
    /// Deliveries without proof that it still has, as of `since`.
    left: u32,
    since: Instant,
    /// Until when a proof speaks for it.
    credit: Option<Instant>,
    is_told: bool,
}

impl Record {
    fn refill(&mut self, now: Instant) {
        let more = u32::try_from(now.duration_since(self.since).as_millis() / REFILL.as_millis()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(BURST);
        self.since += REFILL.saturating_mul(more);
        if self.left == BURST {
            self.since = now;
            self.is_told = false;
        }
    }

    fn has_credit(&self, now: Instant) -> bool {
        self.credit.is_some_and(|until| now < until)
    }
}

impl Strangers {
    /// Whether a delivery from there is read; how long to wait otherwise.
    ///
    /// # Errors
    ///
    /// [`Limited`].
    pub(crate) fn admit(&self, peer: Option<Peer>, now: Instant) -> Result<(), Limited> {
        let Some(peer) = peer else { return Ok(()) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = known.get_mut(&network(peer)) else { return Ok(()) };
        record.refill(now);
        if record.left > 0 || record.has_credit(now) {
            return Ok(());
        }
        Err(Limited { is_news: !std::mem::replace(&mut record.is_told, true), wait: REFILL.saturating_mul(BURST / 2) })
    }

    /// Notes what a delivery from there was answered.
    pub(crate) fn note(&self, peer: Option<Peer>, answered: StatusCode, now: Instant) {
        let Some(peer) = peer else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(peer);
        if known.len() >= ADDRESSES && !known.contains_key(&network) {
            known.retain(|_, record| {
                record.refill(now);
                record.left < BURST || record.has_credit(now)
            });
            if known.len() >= ADDRESSES {
                return;
            }
        }
        let fresh = || Record { left: BURST, since: now, credit: None, is_told: false };
        let record = known.entry(network).or_insert_with(fresh);
        record.refill(now);
        match answered {
            StatusCode::UNAUTHORIZED => record.left = record.left.saturating_sub(1),
            answered if answered.is_success() => record.credit = Some(now + CREDIT),
            _ => {}
        }
    }
}

/// A delivery that is not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Limited {
    /// The first since it was last in order.
    pub(crate) is_news: bool,
    pub(crate) wait: Duration,
}

/// Of an address of version 6 the half that a customer has one of.
fn network(peer: Peer) -> IpAddr {
    match peer.0.ip().to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer(SocketAddr::new(address.parse().unwrap(), 1234)))
    }

    /// Deliveries without proof that are read, of `count`.
    fn read(strangers: &Strangers, peer: Option<Peer>, count: u32, now: Instant) -> u32 {
        let one = |_: &u32| {
            let admitted = strangers.admit(peer, now).is_ok();
            if admitted {
                strangers.note(peer, StatusCode::UNAUTHORIZED, now);
            }
            admitted
        };
        u32::try_from((0..count).filter(one).count()).unwrap()
    }

    #[test]
    fn an_address_that_keeps_failing_is_limited_and_others_are_not() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        assert_eq!(read(&strangers, peer("192.0.2.1"), 1000, now), BURST);
        assert_eq!(read(&strangers, peer("192.0.2.2"), 1, now), 1);
        assert_eq!(read(&strangers, peer("::ffff:192.0.2.1"), 10, now), 0, "it is the same address");
        assert_eq!(read(&strangers, peer("2001:db8::1"), 1000, now), BURST);
        assert_eq!(read(&strangers, peer("2001:db8::2"), 10, now), 0, "a customer has as many as he likes");
        assert_eq!(read(&strangers, peer("2001:db8:0:1::1"), 1, now), 1);
        assert_eq!(read(&strangers, None, 1000, now), 1000);
        // One a second goes on, and after a minute it is forgotten.
        assert_eq!(read(&strangers, peer("192.0.2.1"), 10, now + Duration::from_secs(3)), 3);
        assert_eq!(read(&strangers, peer("192.0.2.1"), 1000, now + Duration::from_secs(120)), BURST);
    }

    #[test]
    fn a_proof_speaks_for_its_address_for_a_while() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        strangers.note(peer("192.0.2.1"), StatusCode::ACCEPTED, now);
        assert_eq!(read(&strangers, peer("192.0.2.1"), 1000, now), 1000);
        assert_eq!(read(&strangers, peer("192.0.2.1"), 1000, now + CREDIT), BURST);
    }

    #[test]
    fn it_is_told_once() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        read(&strangers, peer("192.0.2.1"), BURST, now);
        let news = |now| strangers.admit(peer("192.0.2.1"), now).unwrap_err().is_news;
        assert!(news(now));
        assert!(!news(now));
        let later = now + Duration::from_secs(300);
        read(&strangers, peer("192.0.2.1"), BURST, later);
        assert!(news(later));
    }

    #[test]
    fn addresses_without_end_take_no_more_memory() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        for number in 0..10_000_u32 {
            let address = IpAddr::V4(number.into());
            strangers.note(Some(Peer(SocketAddr::new(address, 1))), StatusCode::UNAUTHORIZED, now);
        }
        assert_eq!(strangers.known.lock().unwrap().len(), ADDRESSES);
        let later = now + Duration::from_secs(5);
        strangers.note(peer("192.0.2.1"), StatusCode::UNAUTHORIZED, later);
        assert_eq!(strangers.known.lock().unwrap().len(), 1, "who behaves is forgotten");
    }
}
