//! Tokens and the audit log.

use serde_json::json;

use super::fixture::{MINUTE, actor};
use super::{Outcome, Subject, refused};
use crate::access::{NewToken, Role, TokenId};
use crate::audit::{Actor, AuditFilter, NewAuditEntry};
use crate::error::ErrorKind;
use crate::page::Page;

fn new(name: &str, hash: u8) -> NewToken {
    NewToken { name: name.to_owned(), role: Role::Editor, scope: vec!["main".to_owned()], hash: [hash; 32] }
}

pub(super) async fn a_token_is_found_by_its_hash(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_token(new("ci", 1), &actor()).await?;
    assert_eq!((made.name.as_str(), made.role, &made.scope[..]), ("ci", Role::Editor, &["main".to_owned()][..]));
    assert_eq!((made.used_at, made.revoked_at), (None, None));
    assert_eq!(store.token_by_hash(&[2; 32]).await?, None);

    let used = store.token_by_hash(&[1; 32]).await?.expect("the token is known");
    assert!(used.id == made.id && used.used_at.is_some());
    subject.clock.advance(MINUTE / 2);
    let soon = store.token_by_hash(&[1; 32]).await?.expect("the token is known");
    assert_eq!(soon.used_at, used.used_at, "a use is noted once a minute");
    subject.clock.advance(MINUTE);
    let later = store.token_by_hash(&[1; 32]).await?.expect("the token is known");
    assert!(later.used_at > used.used_at);
    assert_eq!(store.tokens().await?, [later]);
    Ok(())
}

pub(super) async fn a_revoked_token_is_none(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let made = store.create_token(new("ci", 1), &actor()).await?;
    assert_eq!(refused(store.create_token(new("ci", 2), &actor()).await), ErrorKind::Conflict);
    for bad in ["", " ", "a\nb", &"a".repeat(101)] {
        assert_eq!(refused(store.create_token(new(bad, 3), &actor()).await), ErrorKind::Invalid, "{bad:?}");
    }
    store.revoke_token(made.id, &actor()).await?;
    assert_eq!(store.token_by_hash(&[1; 32]).await?, None);
    store.revoke_token(made.id, &actor()).await?;
    assert_eq!(refused(store.revoke_token(TokenId(99), &actor()).await), ErrorKind::NotFound);

    let next = store.create_token(new("ci", 2), &actor()).await?;
    let tokens = store.tokens().await?;
    assert_eq!(tokens.iter().map(|token| token.id).collect::<Vec<_>>(), [made.id, next.id]);
    assert!(tokens[0].revoked_at.is_some() && tokens[1].revoked_at.is_none());

    let log = store.audit(&AuditFilter::default(), &Page::default()).await?.items;
    let told: Vec<_> = log.iter().rev().map(|entry| (entry.action.as_str(), entry.subject.as_str())).collect();
    assert_eq!(told, [("token.create", "ci"), ("token.revoke", "ci"), ("token.create", "ci")]);
    assert_eq!(log[0].details, json!({"id": next.id, "role": "editor", "scope": ["main"]}));
    Ok(())
}

pub(super) async fn the_log_is_read_from_its_end(subject: &Subject) -> Outcome {
    let store = &*subject.store;
    let alice = Actor::command_line("alice");
    for (number, action) in
        ["token.create", "token.revoke", "tokens", "event.replay", "token.create"].iter().enumerate()
    {
        let who = if number == 3 { &alice } else { &Actor::supercargo() };
        let entry = NewAuditEntry::new(who, *action, number.to_string());
        store.record(entry.with_details(json!({"number": number}))).await?;
        subject.clock.advance(MINUTE);
    }
    let first = store.audit(&AuditFilter::default(), &Page::first(2)).await?;
    assert_eq!(first.items.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["4", "3"]);
    assert_eq!((&first.items[1].actor, &first.items[1].details), (&alice, &json!({"number": 3})));
    let rest = Page::after(first.next.expect("there are five"), 10);
    let rest = store.audit(&AuditFilter::default(), &rest).await?;
    assert_eq!((rest.items.len(), rest.next), (3, None));

    let since = rest.items[0].at;
    for (filter, expected) in [
        (AuditFilter { actor: Some("cli:alice".to_owned()), ..AuditFilter::default() }, "3"),
        (AuditFilter { action: Some("token".to_owned()), ..AuditFilter::default() }, "4 1 0"),
        (AuditFilter { action: Some("token.create".to_owned()), ..AuditFilter::default() }, "4 0"),
        (AuditFilter { action: Some("tok".to_owned()), ..AuditFilter::default() }, ""),
        (AuditFilter { subject: Some("2".to_owned()), ..AuditFilter::default() }, "2"),
        (AuditFilter { since: Some(since), ..AuditFilter::default() }, "4 3 2"),
    ] {
        let found = store.audit(&filter, &Page::default()).await?.items;
        let found: Vec<_> = found.iter().map(|entry| entry.subject.as_str()).collect();
        assert_eq!(found.join(" "), expected, "{filter:?}");
    }
    Ok(())
}
