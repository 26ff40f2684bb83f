//! What CloudFormation tells of a stack: the set-up of an integration announces itself that way.

use serde::Deserialize;
use serde_json::Value;

use crate::findings::{Left, ignored, key, malformed, short};
use crate::{EventTime, SetupNotice, SetupState};

/// The members of a notification. Their values may hold quotes and lines of their own, so a line begins a member
/// only with one of these.
const MEMBERS: [&str; 13] = [
    "StackId",
    "Timestamp",
    "EventId",
    "LogicalResourceId",
    "Namespace",
    "PhysicalResourceId",
    "PrincipalId",
    "ResourceProperties",
    "ResourceStatus",
    "ResourceStatusReason",
    "ResourceType",
    "StackName",
    "ClientRequestToken",
];

/// Reads the text that a stack publishes to its notification topics, lines of `Member='value'`; `None` if it is
/// something else.
pub(crate) fn from_notification(message: &str, message_id: &str) -> Option<Result<SetupNotice, Left>> {
    if !message.starts_with("StackId='") {
        return None;
    }
    let member = |name: &str| members(message).find(|(member, _)| *member == name).map(|(_, value)| value);
    let (Some(id), Some(status)) = (member("StackId"), member("ResourceStatus")) else {
        return Some(malformed("the notification names no stack, or no status"));
    };
    if member("ResourceType") != Some("AWS::CloudFormation::Stack") || member("PhysicalResourceId") != Some(id) {
        let resource = member("LogicalResourceId").unwrap_or_default();
        return Some(ignored(format!("resource {} of a stack is {}", short(resource), short(status))));
    }
    Some(Ok(SetupNotice {
        id: short(id),
        name: short(member("StackName").unwrap_or_else(|| stack_name(id))),
        state: state(status),
        status: short(status),
        reason: member("ResourceStatusReason").filter(|reason| !reason.is_empty()).map(short),
        time: member("Timestamp").and_then(EventTime::parse),
        dedup_key: key(member("EventId").unwrap_or(message_id).to_owned()),
    }))
}

fn members(message: &str) -> impl Iterator<Item = (&str, &str)> {
    let begins = |at: usize| {
        let line = message.get(at..)?;
        let (name, _) = line.split_once("='")?;
        MEMBERS.iter().find(|member| **member == name).map(|member| (at, *member))
    };
    let lines = std::iter::once(0).chain(message.match_indices('\n').map(|(at, _)| at + 1));
    let mut starts = lines.filter_map(begins).peekable();
    std::iter::from_fn(move || {
        let (at, name) = starts.next()?;
        let end = starts.peek().map_or(message.len(), |(next, _)| *next);
        let value = message.get(at + name.len() + 2..end).unwrap_or_default();
        Some((name, value.trim_end_matches('\n').strip_suffix('\'').unwrap_or(value)))
    })
}

/// Reads the detail of EventBridge's `CloudFormation Stack Status Change`.
pub(crate) fn from_event(detail: &Value, time: Option<&str>, event: Option<&str>) -> Result<SetupNotice, Left> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Detail {
        stack_id: String,
        status_details: Details,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Details {
        status: String,
        status_reason: Option<String>,
    }
    let detail = Detail::deserialize(detail).map_err(|error| Left::Malformed(error.to_string()))?;
    let Some(event) = event else { return malformed("it has no id") };
    let reason = detail.status_details.status_reason;
    Ok(SetupNotice {
        name: short(stack_name(&detail.stack_id)),
        id: short(&detail.stack_id),
        state: state(&detail.status_details.status),
        status: short(&detail.status_details.status),
        reason: reason.as_deref().filter(|reason| !reason.is_empty()).map(short),
        time: time.and_then(EventTime::parse),
        dedup_key: key(event.to_owned()),
    })
}

/// The name in `arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UUID`.
fn stack_name(id: &str) -> &str {
    id.split('/').nth(1).unwrap_or_default()
}

fn state(status: &str) -> SetupState {
    match status {
        "DELETE_COMPLETE" => SetupState::Removed,
        status if status.ends_with("_IN_PROGRESS") => SetupState::InProgress,
        // A change that was taken back leaves a stack that works; one that was never made leaves none.
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_COMPLETE" => SetupState::Complete,
        _ => SetupState::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "arn:aws:cloudformation:eu-west-1:210987654321:stack/registry-events/0a1b2c3d";

    fn message(kind: &str, resource: &str, status: &str) -> String {
        format!(
            "StackId='{STACK}'\nTimestamp='2026-01-02T03:04:05.678Z'\nEventId='9f8e'\nLogicalResourceId='Rule'\n\
             Namespace='210987654321'\nPhysicalResourceId='{resource}'\nPrincipalId='AROA'\n\
             ResourceProperties='{{\"Description\":\"it's\nStackName is='x'\n\"}}\n'\nResourceStatus='{status}'\n\
             ResourceStatusReason=''\nResourceType='{kind}'\nStackName='registry-events'\nClientRequestToken='null'\n"
        )
    }

    #[test]
    fn the_stack_itself_is_a_notice_and_its_resources_are_not() {
        let text = message("AWS::CloudFormation::Stack", STACK, "CREATE_COMPLETE");
        let notice = from_notification(&text, "m").unwrap().unwrap();
        assert_eq!((notice.id.as_str(), notice.name.as_str()), (STACK, "registry-events"));
        assert_eq!((notice.state, notice.status.as_str()), (SetupState::Complete, "CREATE_COMPLETE"));
        assert_eq!((notice.reason, notice.dedup_key.as_str()), (None, "9f8e"));
        assert_eq!(notice.time.unwrap().raw, "2026-01-02T03:04:05.678Z");

        let text = message("AWS::Events::Rule", "Rule", "CREATE_FAILED");
        let left = from_notification(&text, "m").unwrap().unwrap_err();
        assert_eq!(left, Left::Ignored("resource Rule of a stack is CREATE_FAILED".to_owned()));
        assert!(from_notification("Hello", "m").is_none());
        assert!(matches!(from_notification("StackId='", "m"), Some(Err(Left::Malformed(_)))));
    }

    #[test]
    fn states() {
        for (status, expected) in [
            ("CREATE_IN_PROGRESS", SetupState::InProgress),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", SetupState::InProgress),
            ("UPDATE_COMPLETE", SetupState::Complete),
            ("UPDATE_ROLLBACK_COMPLETE", SetupState::Complete),
            ("ROLLBACK_COMPLETE", SetupState::Failed),
            ("CREATE_FAILED", SetupState::Failed),
            ("DELETE_COMPLETE", SetupState::Removed),
        ] {
            assert_eq!(state(status), expected, "{status}");
        }
    }
}
