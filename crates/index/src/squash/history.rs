//! Which instruction made which layer.

use crate::config::History;

/// A layer's instruction: its index in the history and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) ordinal: u32,
    pub(crate) text: Option<String>,
}

/// The instructions of an image's layers, lowest first; none if the history does not fit the layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instructions(Vec<Instruction>);

impl Instructions {
    pub(super) fn of(history: &[History], layers: usize) -> Self {
        let made: Vec<_> = history
            .iter()
            .zip(0_u32..)
            .filter(|(entry, _)| !entry.empty_layer)
            .map(|(entry, ordinal)| Instruction { ordinal, text: entry.created_by.as_deref().and_then(plain) })
            .collect();
        // A history with too few or too many entries cannot be matched by order, and there is nothing else to match.
        if made.len() == layers { Self(made) } else { Self::default() }
    }

    pub(crate) fn get(&self, layer: usize) -> Option<&Instruction> {
        self.0.get(layer)
    }
}

/// An instruction without what builders wrap it in: the classic builder's `/bin/sh -c #(nop) ` and `|2 A=1 B=2 ` for
/// build arguments, BuildKit's `# buildkit`.
fn plain(created_by: &str) -> Option<String> {
    let text = created_by.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    let text = match text.strip_prefix("/bin/sh -c #(nop) ") {
        Some(instruction) => instruction.trim_start().to_owned(),
        None => match (text.strip_prefix("RUN "), without_arguments(text.strip_prefix("RUN ").unwrap_or(text))) {
            (Some(_), command) => format!("RUN {}", command.strip_prefix("/bin/sh -c ").unwrap_or(command)),
            (None, command) => match command.strip_prefix("/bin/sh -c ") {
                Some(command) => format!("RUN {command}"),
                None => command.to_owned(),
            },
        },
    };
    (!text.is_empty()).then_some(text)
}

/// The command after `|<n> NAME=value … `. Values may hold blanks and are not quoted, so the command is known to
/// begin only where the shell is named; without one the text is left as it is.
fn without_arguments(text: &str) -> &str {
    let counted = text
        .strip_prefix('|')
        .and_then(|rest| rest.split_once(' '))
        .is_some_and(|(count, _)| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()));
    match text.find("/bin/sh -c ") {
        Some(at) if counted => &text[at..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_lose_their_wrapping() {
        let check = |written: &str, expected: &str| assert_eq!(plain(written).as_deref(), Some(expected), "{written}");
        check("/bin/sh -c #(nop) ADD file:1a2b in / ", "ADD file:1a2b in /");
        check("/bin/sh -c #(nop)  CMD [\"bash\"]", "CMD [\"bash\"]");
        check("/bin/sh -c apt-get update", "RUN apt-get update");
        check("RUN /bin/sh -c apt-get update # buildkit", "RUN apt-get update");
        check("RUN |2 A=1 B=x y /bin/sh -c make # buildkit", "RUN make");
        check("|1 V=3 /bin/sh -c make", "RUN make");
        check("COPY /app /app # buildkit", "COPY /app /app");
        check("crane append", "crane append");
        assert_eq!(plain("  "), None);
    }

    #[test]
    fn empty_instructions_count_for_the_ordinal_only() {
        let entry =
            |text: &str, empty_layer| History { created_by: Some(text.into()), empty_layer, ..History::default() };
        let history = [entry("ADD a /", false), entry("ENV X=1", true), entry("COPY b /", false)];
        let found = Instructions::of(&history, 2);
        assert_eq!(found.get(1).map(|i| i.ordinal), Some(2));
        assert!(Instructions::of(&history, 3).get(0).is_none(), "a history that does not fit is not used");
    }
}
