//! The service's list of messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::Message;

/// `QueueMessagesList` with a `QueueMessage` for each; members that are not known are passed over.
pub(super) fn messages(document: &[u8]) -> Result<Vec<Message>, String> {
    let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut messages = Vec::new();
    let mut open: Option<Open> = None;
    // What ends early may lack messages, and the end of one.
    let mut is_whole = false;
    let mut value = String::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                if start.local_name().as_ref() == "QueueMessage" {
                    open = Some(Open::default());
                }
                value.clear();
            }
            Event::Empty(start) => is_whole |= start.local_name().as_ref() == "QueueMessagesList",
            Event::Text(text) => value.push_str(&text.xml10_content()),
            Event::CData(text) => value.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => value.push(character),
                _ => value.push_str(resolve_predefined_entity(&reference.xml10_content()).unwrap_or_default()),
            },
            Event::End(end) => {
                let end = end.local_name();
                is_whole |= end.as_ref() == "QueueMessagesList";
                if end.as_ref() == "QueueMessage" {
                    messages.extend(open.take().and_then(Open::close));
                } else if let Some(open) = &mut open {
                    open.set(end.as_ref(), &value);
                }
                value.clear();
            }
            Event::Eof if is_whole => return Ok(messages),
            Event::Eof => return Err("there is no whole QueueMessagesList".to_owned()),
            _ => {}
        }
    }
}

/// A message while it is read.
#[derive(Default)]
struct Open {
    id: Option<String>,
    receipt: Option<String>,
    body: Vec<u8>,
    receptions: u32,
}

impl Open {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "MessageId" => self.id = Some(value.trim().to_owned()),
            "PopReceipt" => self.receipt = Some(value.trim().to_owned()),
            "DequeueCount" => self.receptions = value.trim().parse().unwrap_or_default(),
            "MessageText" => self.body = body(value),
            _ => {}
        }
    }

    fn close(self) -> Option<Message> {
        let Self { id, receipt, body, receptions } = self;
        Some(Message { id: id?, receipt: receipt?, body, receptions })
    }
}

/// What a message says. A queue does not tell which of its messages are base64, and one queue may hold both. The JSON of
/// an event is never base64: it begins with a bracket.
fn body(text: &str) -> Vec<u8> {
    let decoded = STANDARD.decode(text.trim()).ok().filter(|decoded| std::str::from_utf8(decoded).is_ok());
    decoded.unwrap_or_else(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form is that of Microsoft's page on *Get Messages*.
    #[test]
    fn a_list_of_messages() {
        let document = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<QueueMessagesList>\n  <QueueMessage>\n    \
            <MessageId>5974b586-0df3-4e2d-ad0c-18e3892bfca2</MessageId>\n    \
            <InsertionTime>Fri, 09 Oct 2009 21:04:30 GMT</InsertionTime>\n    \
            <ExpirationTime>Fri, 16 Oct 2009 21:04:30 GMT</ExpirationTime>\n    \
            <PopReceipt>YzQ4Yzg1MDItYTc0Ny00OWNjLTkxYTUtZGM0MDFiZDAwYzEw</PopReceipt>\n    \
            <TimeNextVisible>Fri, 09 Oct 2009 23:29:20 GMT</TimeNextVisible>\n    \
            <DequeueCount>3</DequeueCount>\n    \
            <MessageText>PHRlc3Q+dGhpcyBpcyBhIHRlc3QgbWVzc2FnZTwvdGVzdD4=</MessageText>\n  </QueueMessage>\n  \
            <QueueMessage><MessageId>2</MessageId><PopReceipt>r</PopReceipt><DequeueCount>1</DequeueCount>\
            <MessageText>{&quot;a&quot;: &quot;&lt;&#x26;&gt;&quot;}</MessageText></QueueMessage>\n\
            </QueueMessagesList>";
        let found = messages(document.as_bytes()).unwrap();
        let expected = Message {
            id: "5974b586-0df3-4e2d-ad0c-18e3892bfca2".to_owned(),
            receipt: "YzQ4Yzg1MDItYTc0Ny00OWNjLTkxYTUtZGM0MDFiZDAwYzEw".to_owned(),
            body: b"<test>this is a test message</test>".to_vec(),
            receptions: 3,
        };
        assert!(found[0] == expected, "{found:?}");
        assert_eq!((found[1].body.as_slice(), found[1].receptions), (br#"{"a": "<&>"}"#.as_slice(), 1));
    }

    #[test]
    fn lists_that_are_empty_and_what_is_none() {
        assert!(messages(b"<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList />").unwrap().is_empty());
        assert!(messages(b"<QueueMessagesList></QueueMessagesList>").unwrap().is_empty());
        for document in ["", "<html></html>", "<QueueMessagesList>", "{}", "<QueueMessagesList><QueueMessage>"] {
            assert!(messages(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn bodies() {
        let check = |text: &str, expected: &str| assert_eq!(body(text), expected.as_bytes(), "{text}");
        check("eyJpZCI6ICIxIn0=", r#"{"id": "1"}"#);
        check(" eyJpZCI6ICIxIn0=\n", r#"{"id": "1"}"#);
        check(r#"{"id": "1"}"#, r#"{"id": "1"}"#);
        check("[]", "[]");
        check("hello, world", "hello, world");
        check("", "");
    }
}
