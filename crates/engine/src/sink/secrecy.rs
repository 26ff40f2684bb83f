//! The values of environment variables stay at home unless the user sends them.

use serde_json::Value;
use supercargo_registry::index::{ImageMetadata, Source};

/// What stands in a value's place; the indexer writes the same for what looks like a secret.
const REDACTED: &str = "<redacted>";

/// Takes the values of the image's environment variables out of its metadata, wherever a build wrote them down; the
/// names stay.
pub(crate) fn hide_values(metadata: &mut ImageMetadata) {
    let Source::Image(image) = &mut metadata.source else { return };
    image.config.config.env.iter_mut().for_each(hide_variable);
    for entry in &mut image.config.history {
        entry.created_by.as_mut().map(hide_instruction);
        entry.comment.as_mut().map(hide_instruction);
    }
    for layer in &mut image.layers {
        layer.instruction.as_mut().map(hide_instruction);
    }
    if let Some(text) = image.provenance.as_mut().and_then(|provenance| provenance.dockerfile_text.as_mut()) {
        hide_in_dockerfile(text);
    }
    match serde_json::from_slice::<Value>(&image.raw_config) {
        Ok(mut config) => {
            let before = config.clone();
            hide_in(&mut config);
            if config != before {
                image.redacted = true;
                image.raw_config = config.to_string().into_bytes();
            }
        }
        // What cannot be read cannot be cleaned.
        Err(_) => {
            image.redacted = true;
            image.raw_config = b"{}".to_vec();
        }
    }
}

fn hide_in(config: &mut Value) {
    for run in ["config", "container_config"] {
        let Some(run) = config.get_mut(run) else { continue };
        for list in ["Env", "Cmd", "OnBuild"] {
            let items = run.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
            for item in items {
                if let Value::String(text) = item {
                    // A container's command in a configuration is the instruction that made the last layer.
                    if list == "Env" { hide_variable(text) } else { hide_instruction(text) }
                }
            }
        }
    }
    for entry in config.get_mut("history").and_then(Value::as_array_mut).into_iter().flatten() {
        for field in ["created_by", "comment"] {
            if let Some(Value::String(text)) = entry.get_mut(field) {
                hide_instruction(text);
            }
        }
    }
}

/// The lines keep their numbers: layers name those that made them.
fn hide_in_dockerfile(text: &mut String) {
    let mut goes_on = false;
    let lines = text.lines().map(|line| {
        let ends_open = line.trim_end().ends_with('\\');
        if goes_on {
            goes_on = ends_open;
            return String::new();
        }
        let mut hidden = line.to_owned();
        hide_instruction(&mut hidden);
        goes_on = ends_open && hidden != line;
        hidden
    });
    *text = lines.collect::<Vec<_>>().join("\n");
}

fn hide_variable(text: &mut String) {
    if let Some((name, value)) = text.split_once('=')
        && !value.is_empty()
    {
        *text = format!("{name}={REDACTED}");
    }
}

/// `ENV NAME=value NAME=value`, with the classic builder's decoration or without. What follows the first name goes:
/// values may hold spaces, and then nothing tells where the next name begins.
fn hide_instruction(text: &mut String) {
    const DECORATION: &str = "#(nop)";
    let start = text.find(DECORATION).map_or(0, |at| at + DECORATION.len());
    let rest = &text[start..];
    let instruction = rest.trim_start();
    let Some(arguments) = instruction
        .get(..4)
        .filter(|word| word.eq_ignore_ascii_case("ENV ") || word.eq_ignore_ascii_case("ENV\t"))
        .map(|word| &instruction[word.len()..])
    else {
        return;
    };
    let arguments_at = text.len() - arguments.len();
    let trimmed = arguments.trim_start();
    let name_end = trimmed.find(['=', ' ', '\t']).unwrap_or(trimmed.len());
    if name_end < trimmed.len() {
        *text = format!("{}{}={REDACTED}", &text[..arguments_at], &trimmed[..name_end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_and_names_stay() {
        let check = |text: &str, expected: &str| {
            let mut hidden = text.to_owned();
            hide_instruction(&mut hidden);
            assert_eq!(hidden, expected, "{text}");
        };
        check("ENV A=1", "ENV A=<redacted>");
        check("ENV A=1 B=two words", "ENV A=<redacted>");
        check("env A old form", "env A=<redacted>");
        check("/bin/sh -c #(nop)  ENV PATH=/bin:/usr/bin", "/bin/sh -c #(nop)  ENV PATH=<redacted>");
        check("ENV A", "ENV A");
        check("RUN /bin/sh -c ENV=1 make # buildkit", "RUN /bin/sh -c ENV=1 make # buildkit");
        check("COPY env /env", "COPY env /env");
        check("日本", "日本");
        let mut variable = "A=b=c".to_owned();
        hide_variable(&mut variable);
        assert_eq!(variable, "A=<redacted>");
    }

    #[test]
    fn a_dockerfile_keeps_its_lines() {
        let mut text = "FROM a\nENV A=1 \\\n    B=hidden\nRUN x \\\n  y\nENV C=hidden".to_owned();
        hide_in_dockerfile(&mut text);
        assert_eq!(text, "FROM a\nENV A=<redacted>\n\nRUN x \\\n  y\nENV C=<redacted>");
    }

    #[test]
    fn nothing_is_left_in_a_configuration() {
        let mut config: Value = serde_json::json!({
            "config": { "Env": ["A=hidden", "B="], "Cmd": ["sh"] },
            "container_config": { "Cmd": ["/bin/sh", "-c", "#(nop) ENV A=hidden"], "Env": ["A=hidden"] },
            "history": [{ "created_by": "ENV A=hidden" }, { "created_by": "RUN true" }],
        });
        hide_in(&mut config);
        let text = config.to_string();
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("RUN true") && text.contains("\"B=\""), "{text}");
    }
}
