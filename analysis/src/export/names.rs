//! Names of files from any text.

use std::collections::BTreeSet;

/// Bytes of a name that every file system takes, with room for an ending.
const LONGEST: usize = 200;

/// Names that were given, each once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name for `text` that is one part of a path on every system, and no other text's.
    pub fn unique(&mut self, text: &str) -> String {
        let letter = |letter: char| if letter.is_alphanumeric() || "._+-".contains(letter) { letter } else { '-' };
        let name: String = text.trim().trim_start_matches('.').chars().map(letter).collect();
        let end = (0..=LONGEST.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        let name = if end == 0 { "unnamed" } else { &name[..end] };
        let mut numbered = std::iter::once(name.to_string()).chain((2..).map(|number| format!("{name}-{number}")));
        // Some systems hold names that differ in capitals for one.
        let is_new = |name: &String| !self.0.contains(&name.to_lowercase());
        let name = numbered.find(is_new).unwrap_or_default();
        self.0.insert(name.to_lowercase());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_has_a_flat_name_of_its_own() {
        let mut names = Names::default();
        let given = ["sgd_noise-0.5_seed-1", "my ünïcode / study", "my ünïcode - study", "../x", "", "A", "a"];
        let expected =
            ["sgd_noise-0.5_seed-1", "my-ünïcode---study", "my-ünïcode---study-2", "-x", "unnamed", "A", "a-2"];
        assert_eq!(given.map(|text| names.unique(text)), expected);
        assert_eq!(names.unique(&"ä".repeat(300)).len(), 200);
    }
}
