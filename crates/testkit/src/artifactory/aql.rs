//! A reader of JFrog's query language, as its manual describes it: `items.find(…)` with criteria in JSON, then
//! `.include(…)`, `.sort(…)`, `.offset(…)` and `.limit(…)`.

use serde_json::{Map, Value};

/// Longest query, by JFrog's page on performance.
const LONGEST: usize = 6000;

/// A query that was understood.
#[derive(Debug)]
pub(super) struct Query {
    criteria: Value,
    include: Vec<String>,
    sort: Option<(bool, Vec<String>)>,
    offset: usize,
    limit: Option<usize>,
}

/// A stored file.
pub(super) type Item = Map<String, Value>;

impl Query {
    /// # Errors
    /// What Artifactory says of a query that it does not take.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("query is longer than {LONGEST} characters"));
        }
        let syntax = || "Failed to parse query, it looks like there is syntax error".to_owned();
        let mut rest = text.trim().strip_prefix("items.find").ok_or_else(syntax)?;
        let mut query = Self {
            criteria: serde_json::from_str(argument(&mut rest).ok_or_else(syntax)?).map_err(|_| syntax())?,
            include: Vec::new(),
            sort: None,
            offset: 0,
            limit: None,
        };
        while !rest.is_empty() {
            let (name, after) = rest.strip_prefix('.').and_then(|rest| rest.split_once('(')).ok_or_else(syntax)?;
            rest = &rest[rest.len() - after.len() - 1..];
            let argument = argument(&mut rest).ok_or_else(syntax)?;
            match name {
                "include" => query.include = serde_json::from_str(&format!("[{argument}]")).map_err(|_| syntax())?,
                "sort" => {
                    let order: Map<String, Value> = serde_json::from_str(argument).map_err(|_| syntax())?;
                    let (direction, fields) = order.into_iter().next().ok_or_else(syntax)?;
                    let fields: Vec<String> = serde_json::from_value(fields).map_err(|_| syntax())?;
                    // "You can only sort by fields that are displayed."
                    if let Some(odd) = fields.iter().find(|field| !query.include.contains(field)) {
                        return Err(format!("{odd} is sorted by and not included"));
                    }
                    query.sort = Some((direction == "$desc", fields));
                }
                "offset" => query.offset = argument.parse().map_err(|_| syntax())?,
                "limit" => query.limit = Some(argument.parse().map_err(|_| syntax())?),
                _ => return Err(syntax()),
            }
        }
        // Users who are no administrators must ask for these.
        match ["name", "repo", "path"].into_iter().find(|field| !query.include.iter().any(|named| named == field)) {
            Some(field) => Err(format!("for permissions reasons AQL demands the field {field}")),
            None => Ok(query),
        }
    }

    /// The items that it asks for, of which the server gives no more than `most`.
    pub(super) fn select(&self, mut items: Vec<Item>, most: Option<usize>) -> Result<Vec<Value>, String> {
        let mut chosen = Vec::new();
        for item in items.drain(..) {
            if holds(&self.criteria, &item)? {
                chosen.push(item);
            }
        }
        if let Some((descending, fields)) = &self.sort {
            let key =
                |item: &Item| -> Vec<String> { fields.iter().map(|field| text(item, field).to_owned()).collect() };
            chosen.sort_by(|a, b| if *descending { key(b).cmp(&key(a)) } else { key(a).cmp(&key(b)) });
        }
        let limit = self.limit.unwrap_or(usize::MAX).min(most.unwrap_or(usize::MAX));
        let shown = chosen.into_iter().skip(self.offset).take(limit);
        Ok(shown
            .map(|item| Value::Object(item.into_iter().filter(|(field, _)| self.include.contains(field)).collect()))
            .collect())
    }
}

/// What stands in the parentheses at the beginning of `rest`, which then begins after them.
fn argument<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.strip_prefix('(')?;
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            *rest = &text[at + 1..];
            return Some(&text[..at]);
        }
    }
    None
}

fn holds(criteria: &Value, item: &Item) -> Result<bool, String> {
    let object = criteria.as_object().ok_or("criteria are objects")?;
    for (name, value) in object {
        let parts = || value.as_array().ok_or("$and and $or take lists");
        let holds_here = match name.as_str() {
            "$and" => {
                let mut all = true;
                for part in parts()? {
                    all &= holds(part, item)?;
                }
                all
            }
            "$or" => {
                let mut any = false;
                for part in parts()? {
                    any |= holds(part, item)?;
                }
                any
            }
            field => compares(text(item, field), value)?,
        };
        if !holds_here {
            return Ok(false);
        }
    }
    Ok(true)
}

fn compares(found: &str, wanted: &Value) -> Result<bool, String> {
    let (operator, wanted) = match wanted {
        Value::String(wanted) => ("$eq", wanted.as_str()),
        Value::Object(object) if object.len() == 1 => {
            let (operator, wanted) = object.iter().next().ok_or("an operator is missing")?;
            (operator.as_str(), wanted.as_str().ok_or("values are strings here")?)
        }
        _ => return Err("a criterion has one operator".to_owned()),
    };
    Ok(match operator {
        "$eq" => found == wanted,
        "$ne" => found != wanted,
        "$gt" => found > wanted,
        "$gte" => found >= wanted,
        "$lt" => found < wanted,
        "$lte" => found <= wanted,
        "$match" => matches(found, wanted),
        "$nmatch" => !matches(found, wanted),
        other => return Err(format!("{other} is no operator")),
    })
}

/// `*` stands for any characters.
fn matches(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((before, after)) => {
            let Some(rest) = text.strip_prefix(before) else { return false };
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(&rest[at..], after))
        }
    }
}

fn text<'a>(item: &'a Item, field: &str) -> &'a str {
    item.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(repo: &str, path: &str, updated: &str) -> Item {
        let value = json!({"repo": repo, "path": path, "name": "manifest.json", "updated": updated});
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn queries_select() {
        let items = vec![item("a", "app/2", "2026-02"), item("a", "app/1", "2026-01"), item("b", "app/3", "2026-03")];
        let check = |text: &str, expected: &[&str]| {
            let rows = Query::parse(text).unwrap().select(items.clone(), None).unwrap();
            let paths: Vec<_> = rows.iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect();
            assert_eq!(paths, expected, "{text}");
        };
        let include = r#".include("repo","path","name","updated")"#;
        check(&format!(r#"items.find({{"repo":"a"}}){include}.sort({{"$asc":["path"]}})"#), &["app/1", "app/2"]);
        check(
            &format!(
                r#"items.find({{"updated":{{"$gte":"2026-02"}}}}){include}.sort({{"$desc":["updated"]}}).limit(1)"#
            ),
            &["app/3"],
        );
        check(
            &format!(
                r#"items.find({{"$or":[{{"repo":"b"}},{{"path":{{"$match":"*/1"}}}}]}}){include}.sort({{"$asc":["path"]}}).offset(1)"#
            ),
            &["app/3"],
        );
    }

    #[test]
    fn queries_that_are_refused() {
        for (text, why) in [
            ("builds.find({})", "syntax"),
            (r#"items.find({"repo":"a")"#, "syntax"),
            (r#"items.find({"repo":"a"}).include("repo","name")"#, "path"),
            (r#"items.find({}).include("repo","name","path").sort({"$asc":["updated"]})"#, "sorted by"),
        ] {
            assert!(Query::parse(text).unwrap_err().contains(why), "{text}");
        }
        assert!(Query::parse(&format!("items.find({{}}){}", " ".repeat(6000))).is_err());
    }
}
