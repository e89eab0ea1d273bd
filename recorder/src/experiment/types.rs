//! Values of the wrong type, in the words of a person who writes the file: the key, what it takes, and an example.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// What a parser expects, and what to say instead; `{}` is the value that was written.
const EXPECTED: [(&str, &str); 9] = [
    ("a sequence", "takes a list: `[{}]`"),
    ("f64", "takes a number without quotes, such as 0.1"),
    ("usize", "takes a whole number, 0 or more, without quotes, such as 100"),
    ("u64", "takes a whole number, 0 or more, without quotes, such as 100"),
    ("a boolean", "takes true or false, without quotes"),
    ("path string", "takes a text in quotes: `\"{}\"`"),
    ("a string", "takes a text in quotes: `\"{}\"`"),
    ("string or table", "takes one of its names in quotes"),
    ("struct", "is a section or a table: `{ … }`"),
];

/// The parser's message about a type, if it is one: `text` is the file, `span` where the value stands.
pub(super) fn explained(text: &str, span: Option<Range<usize>>, message: &str) -> Option<String> {
    let written = text.get(span.clone()?)?.trim();
    let key = key_at(text, &span?)?;
    if message.contains("expected internally tagged enum") {
        let example = "{ name = \"winsorized\", percent = 2 }";
        return Some(format!("{key} takes tables with a name, such as {example}, but has `{written}`"));
    }
    let expected = message.strip_prefix("invalid type: ").or(message.strip_prefix("invalid value: "))?;
    let expected = expected.rsplit_once(", expected ")?.1;
    let Some((_, said)) = EXPECTED.iter().find(|(name, _)| expected.starts_with(name)) else {
        return Some(format!("{key}: {message}"));
    };
    let inner = written.trim_matches(['[', ']', '{', '}', '"', '\'']);
    Some(format!("{key} {}, but has `{written}`", said.replace("{}", inner)))
}

/// The key, sections before it, whose value or list holds this span.
fn key_at(text: &str, span: &Range<usize>) -> Option<String> {
    key_in(DeTable::parse(text).ok()?.get_ref(), span).map(|path| path.join("."))
}

/// Parts of that key within a table; the span of a section is its heading alone.
fn key_in(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<String>> {
    table.iter().find_map(|(name, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(inner) => key_in(inner, span),
            _ => None,
        };
        let holds = name.span().start <= span.start && span.end <= value.span().end;
        let path = inner.or_else(|| holds.then(Vec::new))?;
        Some(std::iter::once(name.get_ref().to_string()).chain(path).collect())
    })
}
