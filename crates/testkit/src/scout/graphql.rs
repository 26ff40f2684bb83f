//! As much of GraphQL as clients of this API need: one operation with arguments from variables, fields, and what was
//! asked for of each (<https://spec.graphql.org/October2021/>).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// An operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// `query` or `mutation`.
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

/// A field that is asked for.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// Names of the variables that its arguments take.
    pub(super) arguments: BTreeMap<String, String>,
    pub(super) fields: Vec<Field>,
}

impl Operation {
    pub(super) fn parse(document: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(document)?, at: 0 };
        let kind = parser.name()?;
        if kind != "query" && kind != "mutation" {
            return Err(format!("{kind} is no operation"));
        }
        let name = parser.name()?;
        if parser.takes("(") {
            // The types of variables are checked by the values that come.
            while !parser.takes(")") {
                parser.next()?;
            }
        }
        let fields = parser.selection()?;
        match parser.tokens.get(parser.at) {
            None => Ok(Self { kind, name, fields }),
            Some(token) => Err(format!("{token} after the operation")),
        }
    }
}

/// What was asked for of `value`.
///
/// # Errors
///
/// Names a field that the value has not, and one that holds something although nothing of it was asked for.
pub(super) fn project(value: &Value, fields: &[Field]) -> Result<Value, String> {
    match value {
        Value::Array(values) => values.iter().map(|value| project(value, fields)).collect(),
        Value::Object(object) => {
            if fields.is_empty() {
                return Err("an object is asked for without any of its fields".into());
            }
            let mut projected = Map::new();
            for field in fields {
                let found = object.get(&field.name).ok_or_else(|| format!("there is no field {}", field.name))?;
                projected.insert(field.name.clone(), project(found, &field.fields)?);
            }
            Ok(Value::Object(projected))
        }
        Value::Null => Ok(Value::Null),
        other if fields.is_empty() => Ok(other.clone()),
        _ => Err(format!("{} is asked for of a plain value", fields[0].name)),
    }
}

fn tokens(document: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = document.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => {
                rest = rest[rest.find('\n').unwrap_or(rest.len())..].trim_start();
                continue;
            }
            '(' | ')' | '{' | '}' | '[' | ']' | ':' | '!' | '$' => 1,
            c if is_name(c) => rest.find(|c: char| !is_name(c)).unwrap_or(rest.len()),
            other => return Err(format!("{other:?} is not understood")),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    Ok(tokens)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("the document ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn name(&mut self) -> Result<String, String> {
        let token = self.next()?;
        if token.starts_with(is_name) { Ok(token) } else { Err(format!("{token} is no name")) }
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_here = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(is_here);
        is_here
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.takes(token) { Ok(()) } else { Err(format!("{token} is missing")) }
    }

    fn selection(&mut self) -> Result<Vec<Field>, String> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.takes("}") {
            let name = self.name()?;
            let mut arguments = BTreeMap::new();
            if self.takes("(") {
                while !self.takes(")") {
                    let argument = self.name()?;
                    self.expect(":")?;
                    self.expect("$")?;
                    arguments.insert(argument, self.name()?);
                }
            }
            let nested =
                if self.tokens.get(self.at).is_some_and(|next| next == "{") { self.selection()? } else { Vec::new() };
            fields.push(Field { name, arguments, fields: nested });
        }
        if fields.is_empty() { Err("nothing is asked for".into()) } else { Ok(fields) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_are_read_and_answered_with_what_they_ask_for() {
        let operation =
            Operation::parse("query Q($a: [String!]!, $b: T) { # note\n one(x: $a, y: $b) { id, many { n } } }")
                .unwrap();
        assert_eq!((operation.kind.as_str(), operation.name.as_str()), ("query", "Q"));
        let one = &operation.fields[0];
        assert_eq!(one.arguments, BTreeMap::from([("x".into(), "a".into()), ("y".into(), "b".into())]));
        let value = json!({"id": 1, "hidden": 2, "many": [{"n": null, "m": 1}]});
        assert_eq!(project(&value, &one.fields).unwrap(), json!({"id": 1, "many": [{"n": null}]}));
        assert_eq!(project(&json!({"many": 1}), &one.fields).unwrap_err(), "there is no field id");
        assert!(project(&json!({"a": 1}), &[]).is_err());
    }

    #[test]
    fn what_is_no_operation_is_refused() {
        for document in [
            "",
            "fragment F",
            "query Q {}",
            "query Q { a",
            "query Q { a(x: 1) }",
            "query Q { a } b",
            "query Q { a @x }",
        ] {
            assert!(Operation::parse(document).is_err(), "{document}");
        }
    }
}
