//! A tolerant reader of one argument as people write it: in JavaScript, JSON, Python, YAML's flow
//! style, PHP, and any of these inside a string of a shell script. What it does not understand is
//! [`Value::Opaque`], never a guess.

/// Most bytes of one argument: room for 200 people. A runbook for more generates its commands.
const LONGEST: usize = 16 * 1024;
/// Deepest nesting that is looked into.
const DEEPEST: usize = 32;

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A string that is all there.
    Text(String),
    /// A variable, a call, a placeholder, a number.
    Opaque,
    /// A list.
    List(Vec<Value>),
    /// A map, by key.
    Map(Map),
}

/// A map as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// In order; keys may repeat.
    pub(super) entries: Vec<(String, Value)>,
    /// Something else is merged into it: there may be more keys.
    pub(super) has_more: bool,
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(written, _)| written == key).map(|(_, value)| value)
    }
}

/// Whether a string stands for something that is put in later: `$USER`, `${user}`, `{{ user }}`,
/// `%(user)s`, `#{user}`, `<user>`. The database `$external` is a name.
pub(super) fn is_template(text: &str) -> bool {
    text != "$external"
        && (text.contains(['$', '{', '}', '<', '>', '\\']) || text.contains("%(") || text == "%s")
}

/// Reads a text from one place on. Every position is that of an ASCII character or the end.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        let mut end = at.saturating_add(LONGEST).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self { text, at, end }
    }

    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over `token`, if it comes next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let comes = self.rest().starts_with(token);
        if comes {
            self.at += token.len();
        }
        comes
    }

    fn step(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// Blanks, line ends, comments; escaped ones too, as they stand inside a string.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            if rest.starts_with(char::is_whitespace) {
                self.step();
            } else if ["\\n", "\\t", "\\r", "\\\n"].iter().any(|escaped| rest.starts_with(escaped)) {
                self.at += 2;
            } else if rest.starts_with("//") || rest.starts_with('#') {
                self.skip_line();
            } else if rest.starts_with("/*") {
                self.at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else {
                return;
            }
        }
    }

    /// A quotation mark with the backslashes before it, which together end the string too.
    pub(super) fn take_quote(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let slashes = rest.bytes().take_while(|byte| *byte == b'\\').count();
        let is_quote = matches!(rest.as_bytes().get(slashes), Some(b'"' | b'\'' | b'`'));
        let quote = is_quote.then(|| rest.get(..=slashes)).flatten()?;
        self.at += quote.len();
        Some(quote)
    }

    /// A string, if one comes next and ends.
    fn take_string(&mut self) -> Option<Value> {
        let mut reader = *self;
        let quote = reader.take_quote()?;
        let start = reader.at;
        loop {
            let rest = reader.rest();
            if rest.starts_with(quote) {
                break;
            }
            match reader.peek()? {
                '\n' if quote != "`" => return None,
                // What is escaped does not end the string.
                '\\' if quote.len() == 1 => {
                    reader.step();
                    reader.step();
                }
                _ => reader.step(),
            }
        }
        let text = reader.text.get(start..reader.at)?;
        reader.at += quote.len();
        *self = reader;
        Some(if is_template(text) { Value::Opaque } else { Value::Text(text.to_owned()) })
    }

    /// Something else, up to what ends it.
    fn skip_opaque(&mut self) {
        let mut depth = 0usize;
        while let Some(next) = self.peek() {
            match next {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => return,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => return,
                '"' | '\'' | '`' | '\\' if self.take_string().is_some() => continue,
                _ => {}
            }
            self.step();
        }
    }

    /// The value that comes next; `None` where it does not end or is not well formed.
    pub(super) fn value(&mut self) -> Option<Value> {
        self.value_at(0)
    }

    fn value_at(&mut self, depth: usize) -> Option<Value> {
        self.skip_blanks();
        let start = *self;
        let read = match self.peek()? {
            '[' | '{' if depth >= DEEPEST => None,
            '[' => Some(self.list(depth)?),
            '{' => Some(Value::Map(self.map(depth)?)),
            _ => self.take_string(),
        };
        if let Some(value) = read
            && !self.is_continued(depth)
        {
            return Some(value);
        }
        *self = start;
        self.skip_opaque();
        (self.at > start.at).then_some(Value::Opaque)
    }

    /// Whether what stands behind a value, such as `+ name` or `.map(..)`, makes something else of it. The
    /// outermost one may also stand in a sentence.
    fn is_continued(&self, depth: usize) -> bool {
        let mut behind = *self;
        behind.skip_blanks();
        match behind.peek() {
            None | Some(',' | ']' | '}' | ')' | ':' | '=') => false,
            Some('.') if depth == 0 => {
                behind.step();
                behind.peek().is_some_and(char::is_alphabetic)
            }
            Some(next) => depth > 0 || matches!(next, '+' | '(' | '['),
        }
    }

    /// `[..]`; with `=>` in it, it is a map.
    fn list(&mut self, depth: usize) -> Option<Value> {
        self.take("[");
        let (mut items, mut map) = (Vec::new(), Map::default());
        loop {
            self.skip_blanks();
            if self.take("]") {
                let is_map = items.is_empty() && !map.entries.is_empty();
                return Some(if is_map { Value::Map(map) } else { Value::List(items) });
            }
            let value = self.value_at(depth + 1)?;
            self.skip_blanks();
            match value {
                Value::Text(key) if self.take("=>") => map.entries.push((key, self.value_at(depth + 1)?)),
                value => items.push(value),
            }
            self.skip_blanks();
            if !self.take(",") && self.peek() != Some(']') {
                return None;
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Map> {
        self.take("{");
        let mut map = Map::default();
        loop {
            self.skip_blanks();
            if self.take("}") {
                return Some(map);
            }
            match self.key() {
                Some(key) => {
                    self.skip_blanks();
                    let has_value = ["=>", ":", "="].iter().any(|sign| self.take(sign));
                    let value = if has_value { self.value_at(depth + 1)? } else { Value::Opaque };
                    map.entries.push((key, value));
                }
                None => {
                    let start = self.at;
                    self.skip_opaque();
                    if self.at == start {
                        return None;
                    }
                    map.has_more = true;
                }
            }
            self.skip_blanks();
            if !self.take(",") && self.peek() != Some('}') {
                return None;
            }
        }
    }

    /// A key that is written out.
    fn key(&mut self) -> Option<String> {
        if let Some(Value::Text(key)) = self.take_string() {
            return Some(key);
        }
        let word = self
            .rest()
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'));
        let word = self.rest().get(..word.count()).filter(|word| !word.is_empty())?;
        self.at += word.len();
        Some(word.to_owned())
    }
}

/// From what a YAML reader made of a block.
impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(text) if !is_template(&text) => Self::Text(text),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(entries) => Self::Map(Map {
                entries: entries.into_iter().map(|(key, value)| (key, value.into())).collect(),
                has_more: false,
            }),
            serde_json::Value::String(_)
            | serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_) => Self::Opaque,
        }
    }
}
