//! An AWS Lambda function for EventBridge rules, SNS topics and SQS queues.
//!
//! | Trigger | Event | When something is not passed on |
//! | --- | --- | --- |
//! | EventBridge | the envelope itself (`detail-type`, `source`, …) | the invocation fails; Lambda repeats it twice, then the rule's or the function's dead-letter queue has it |
//! | SNS | `Records[].Sns.Message` | the same |
//! | SQS | `Records[].body`, up to 10 000 | `batchItemFailures` names the messages (the trigger needs `ReportBatchItemFailures`); they come again |

use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Destination, Error, ErrorKind, Message, Result, Settings};

/// Answers invocations until the platform ends the process. The runtime's own address is a variable that the platform
/// sets and `lambda_runtime` reads.
///
/// # Errors
///
/// If the settings name no destination, or the platform does not answer.
pub async fn run(settings: &Settings<'_>) -> Result<()> {
    let destination = Destination::of_settings(settings)?;
    let destination = &destination;
    let answer = service_fn(async move |event: LambdaEvent<Value>| {
        handle(destination, event.payload).await.map_err(|error| error.to_string())
    });
    lambda_runtime::run(answer)
        .await
        .map_err(|error| Error::new(ErrorKind::Runtime, "answer invocations").with_source(error))
}

/// What a trigger is told.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Everything was passed on.
    Done {},
    /// For SQS: the messages that are to come again.
    Partial {
        /// One for each.
        #[serde(rename = "batchItemFailures")]
        failures: Vec<ItemFailure>,
    },
}

/// A message of a batch that is to come again.
#[derive(Debug, PartialEq, Serialize)]
pub struct ItemFailure {
    /// Its `messageId`.
    #[serde(rename = "itemIdentifier")]
    pub item: String,
}

/// Passes on what an invocation brings.
///
/// # Errors
///
/// [`ErrorKind::Malformed`] for what is no event of the triggers above; [`ErrorKind::Destination`].
pub async fn handle(destination: &Destination, payload: Value) -> Result<Answer> {
    let Invocation { messages, items } = read(&payload)?;
    let outcome = destination.put(&messages).await;
    let Some(items) = items else {
        return outcome.into_iter().collect::<Result<Vec<()>>>().map(|_| Answer::Done {});
    };
    let failures = outcome.into_iter().zip(items).filter(|(outcome, _)| outcome.is_err());
    Ok(Answer::Partial { failures: failures.map(|(_, item)| ItemFailure { item }).collect() })
}

#[derive(Debug, PartialEq)]
struct Invocation {
    messages: Vec<Message>,
    /// What SQS calls each of them.
    items: Option<Vec<String>>,
}

fn read(payload: &Value) -> Result<Invocation> {
    let strange = |why: &str| Error::new(ErrorKind::Malformed, format!("read the event: {why}"));
    let Some(records) = payload.get("Records") else {
        if payload.get("detail-type").is_some() {
            let messages = vec![Message { body: payload.to_string() }];
            return Ok(Invocation { messages, items: None });
        }
        return Err(strange("it comes neither from EventBridge nor from SNS nor from SQS"));
    };
    let records = records.as_array().ok_or_else(|| strange("its records are no list"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (mut messages, mut items) = (Vec::new(), Vec::new());
    for record in records {
        // SNS writes the name of the member with a capital, SQS does not.
        let origin = record.get("eventSource").or_else(|| record.get("EventSource")).and_then(Value::as_str);
        let body = match origin {
            Some("aws:sqs") => {
                items.push(text(&record["messageId"]).ok_or_else(|| strange("a message has no messageId"))?);
                text(&record["body"])
            }
            Some("aws:sns") => text(&record["Sns"]["Message"]),
            other => return Err(strange(&format!("a record of {}", json!(other)))),
        };
        messages.push(Message { body: body.ok_or_else(|| strange("a record has no message"))? });
    }
    if !items.is_empty() && items.len() != messages.len() {
        return Err(strange("its records come from different services"));
    }
    let items = (!items.is_empty()).then_some(items);
    Ok(Invocation { messages, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_triggers() {
        let check = |payload: &Value, expected: Option<(&[&str], Option<&[&str]>)>| {
            let found = read(payload);
            let Some((bodies, items)) = expected else {
                assert_eq!(found.unwrap_err().kind(), ErrorKind::Malformed, "{payload}");
                return;
            };
            let found = found.unwrap_or_else(|error| panic!("{payload}: {error}"));
            let list = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            let found_bodies: Vec<_> = found.messages.into_iter().map(|message| message.body).collect();
            assert_eq!((found_bodies, found.items), (list(bodies), items.map(list)), "{payload}");
        };
        let rule = json!({"detail-type": "ECR Image Action", "source": "aws.ecr", "detail": {}});
        check(&rule, Some((&[&rule.to_string()], None)));
        let sqs = |id: &str, body: &str| json!({"messageId": id, "body": body, "eventSource": "aws:sqs"});
        check(&json!({"Records": [sqs("1", "a"), sqs("2", "b")]}), Some((&["a", "b"], Some(&["1", "2"]))));
        let sns = json!({"EventSource": "aws:sns", "Sns": {"Message": "a", "MessageId": "1"}});
        check(&json!({"Records": [sns]}), Some((&["a"], None)));
        check(&json!({"Records": []}), Some((&[], None)));
        check(&json!({"Records": [sns, sqs("1", "a")]}), None);
        check(&json!({"Records": [{"eventSource": "aws:s3"}]}), None);
        check(&json!({"Records": 1}), None);
        check(&json!({"hello": 1}), None);
        check(&json!([]), None);
    }

    #[test]
    fn answers() {
        let text = |answer: &Answer| serde_json::to_string(answer).unwrap();
        assert_eq!(text(&Answer::Done {}), "{}");
        let failures = vec![ItemFailure { item: "1".into() }];
        assert_eq!(text(&Answer::Partial { failures }), r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#);
    }
}
