//! Finds the commands that end sessions, with their arguments.

use super::value::{Reader, Value};

/// A command that ends sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    ByPattern,
    AllSessions,
    Sessions,
}

impl Command {
    /// The longest name first: one begins with another.
    const ALL: [Self; 3] = [Self::ByPattern, Self::AllSessions, Self::Sessions];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ByPattern => "killAllSessionsByPattern",
            Self::AllSessions => "killAllSessions",
            Self::Sessions => "killSessions",
        }
    }
}

/// A command with an argument.
#[derive(Debug)]
pub(super) struct Call {
    /// Where its name begins, in bytes.
    pub(super) at: usize,
    /// Which it is.
    pub(super) command: Command,
    /// Its argument.
    pub(super) argument: Value,
}

/// Every call in `text`. A name that is only mentioned is none.
pub(super) fn calls(text: &str) -> Vec<Call> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let call = |(at, _): (usize, &str)| {
        let (before, rest) = text.split_at_checked(at)?;
        if before.ends_with(is_word) {
            return None;
        }
        let named = |command: &Command| {
            rest.strip_prefix(command.name()).is_some_and(|behind| !behind.starts_with(is_word))
        };
        let command = Command::ALL.into_iter().find(named)?;
        let argument = argument(text, at, at + command.name().len())?;
        Some(Call { at, command, argument })
    };
    text.match_indices("kill").filter_map(call).collect()
}

/// The argument of a name that ends at `end`.
fn argument(text: &str, start: usize, end: usize) -> Option<Value> {
    let mut reader = Reader::new(text, end);
    let is_quoted = reader.take_quote().is_some();
    reader.skip_blanks();
    if reader.take("=>") || (is_quoted && reader.take(",")) || reader.take("=") {
        // In Python, PHP and others.
    } else if reader.take(":") {
        if let Some(block) = yaml_block(text, start, reader.at()) {
            // A `uid` is `!!binary`, and only its key matters.
            let options = serde_saphyr::options! { ignore_binary_tag_for_string: true, with_snippet: false };
            let parsed = serde_saphyr::from_str_with_options::<serde_json::Value>(&block, options);
            return Some(parsed.map_or(Value::Opaque, Value::from));
        }
    } else {
        return None;
    }
    reader.skip_blanks();
    match reader.peek()? {
        '[' => Some(reader.value().unwrap_or(Value::Opaque)),
        // A variable is one where something ends behind it; words of a sentence are not.
        c if c.is_ascii_alphabetic() || matches!(c, '$' | '_') => {
            reader.value().filter(|_| matches!(reader.peek(), Some(',' | ']' | '}' | ')')))?;
            let words = text.get(end..reader.at())?.split_whitespace().count();
            (words <= 3).then_some(Value::Opaque)
        }
        _ => None,
    }
}

/// Most lines of a block: as many as an argument has bytes for.
const LONGEST: usize = 1_000;

/// The block sequence that stands below a key which begins at `start`, if nothing stands behind its
/// colon; moved to the left edge.
fn yaml_block(text: &str, start: usize, colon: usize) -> Option<String> {
    let (rest_of_line, below) = text.get(colon..)?.split_once('\n')?;
    let rest_of_line = rest_of_line.trim();
    if !(rest_of_line.is_empty() || rest_of_line.starts_with('#')) {
        return None;
    }
    let key_column =
        text.get(..start)?.rsplit('\n').next().unwrap_or_default().trim_start_matches(['-', ' ', '"', '\'']);
    if !key_column.is_empty() {
        return None;
    }
    let indent = |line: &str| line.bytes().take_while(|byte| *byte == b' ').count();
    let mut block = String::new();
    let mut edge = None;
    for line in below.lines().take(LONGEST) {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let is_item = content == "-" || content.starts_with("- ");
        let edge = *edge.get_or_insert(indent(line));
        if (block.is_empty() && !is_item) || indent(line) < edge || (indent(line) == edge && !is_item) {
            break;
        }
        block.push_str(line.get(edge..)?);
        block.push('\n');
    }
    (!block.is_empty()).then_some(block)
}
