//! Which group each example is of [S 2.4].

use std::collections::BTreeMap;
use std::path::Path;

use cograd_trace::ExampleColumn;

use crate::examples::{integers, texts};
use crate::plain::example_file;

/// The place of the group of an example that a file does not name.
const UNNAMED: usize = usize::MAX;
/// Labels that are groups of themselves where nothing is asked for, at most.
const FEW: usize = 20;
/// Groups that are compared in pairs, at most.
const MOST: usize = 100;

/// A column of the examples of a run, by its name; `None` if there is none.
pub(crate) type Columns<'a> = &'a dyn Fn(&str) -> Result<Option<ExampleColumn>, String>;

/// The groups of all m examples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    /// Names of the groups, in order.
    pub names: Vec<String>,
    /// Place of each example's group; [`UNNAMED`] if it is in none.
    pub of: Vec<usize>,
}

/// What the examples of some runs are grouped by if nothing is asked for.
pub(crate) fn chosen(runs: &[Columns<'_>]) -> Result<&'static str, String> {
    let all = |name: &str, holds: &dyn Fn(ExampleColumn) -> bool| -> Result<bool, String> {
        for run in runs {
            if !run(name)?.is_some_and(holds) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let are_few = |column: ExampleColumn| distinct(&texts(&column)).len() <= FEW;
    Ok(match (all("pristine", &|_| true)?, all("label", &are_few)?) {
        (true, _) => "pristine",
        (false, true) => "label",
        (false, false) => "all",
    })
}

impl Grouping {
    /// All `examples` of a run by `by`; the reason if it cannot be told from the study alone.
    pub(crate) fn new(by: &str, examples: usize, columns: Columns<'_>) -> Result<Grouping, String> {
        if by == "learned" {
            let column = columns("learned_step")?;
            let steps = integers(&column).ok_or("the run does not say when examples were learned")?;
            return Ok(Grouping::learned(steps));
        }
        let name = if by == "original-label" { "original_label" } else { by };
        if let Some(column) = columns(name)? {
            return Ok(Grouping::of_column(name, &column));
        }
        if by == "all" {
            return Ok(Grouping { names: vec!["all".to_string()], of: vec![0; examples] });
        }
        if let Some((name, parts)) = by.rsplit_once(':')
            && let (Ok(parts), Some(column)) = (parts.parse(), columns(name)?)
        {
            return Grouping::quantiles(&column, parts);
        }
        Grouping::of_file(Path::new(by), examples)
    }

    /// By the values of a column, numbers in their order; examples without one are `missing`.
    pub(crate) fn of_column(name: &str, column: &ExampleColumn) -> Grouping {
        let of = texts(column);
        let named = |names: [&str; 2]| names.map(str::to_string).to_vec();
        match column {
            ExampleColumn::Booleans(flags) if name == "pristine" => {
                let of = flags.iter().map(|flag| flag.map(|is| if is { "pristine" } else { "corrupt" }.to_string()));
                Grouping::named(named(["pristine", "corrupt"]), of.collect())
            }
            ExampleColumn::Booleans(_) => Grouping::named(named(["true", "false"]), of),
            _ => Grouping::named(in_order(distinct(&of)), of),
        }
    }

    /// The ⌊m'/2⌋ of the m' learned ones with the smallest (learned step, id) are early, all others late.
    fn learned(steps: &[Option<i64>]) -> Grouping {
        let mut order: Vec<usize> = (0..steps.len()).filter(|&example| steps[example].is_some()).collect();
        order.sort_by_key(|&example| (steps[example], example));
        let mut of = vec![1; steps.len()];
        order[..order.len() / 2].iter().for_each(|&example| of[example] = 0);
        Grouping { names: vec!["early".to_string(), "late".to_string()], of }
    }

    /// Group j holds the values from above boundary j − 1 to boundary j, which is the ⌈jm'/K⌉-th of the m' values; the last
    /// holds those above all boundaries. Groups without an example are none.
    fn quantiles(column: &ExampleColumn, parts: usize) -> Result<Grouping, String> {
        let values: Vec<Option<f64>> = match column {
            ExampleColumn::Integers(values) => values.iter().map(|value| value.map(|value| value as f64)).collect(),
            ExampleColumn::Numbers(values) => values.iter().map(|value| value.map(|value| value + 0.0)).collect(),
            _ => return Err("only numbers have quantiles".to_string()),
        };
        let mut sorted: Vec<f64> = values.iter().copied().flatten().collect();
        sorted.sort_by(f64::total_cmp);
        if !(2..=MOST).contains(&parts) || sorted.is_empty() {
            return Err(format!("{} values have no {parts} quantiles", sorted.len()));
        }
        let boundaries: Vec<f64> = (1..parts).map(|j| sorted[(j * sorted.len()).div_ceil(parts) - 1]).collect();
        let name = |group: usize| match group {
            0 => format!("≤ {}", boundaries[0]),
            last if last == boundaries.len() => format!("> {}", boundaries[last - 1]),
            _ => format!("{} – {}", boundaries[group - 1], boundaries[group]),
        };
        let group = |value: f64| boundaries.iter().filter(|boundary| value > **boundary).count();
        let of: Vec<Option<usize>> = values.into_iter().map(|value| value.map(group)).collect();
        let names = (0..parts).filter(|group| of.contains(&Some(*group))).map(name).collect();
        Ok(Grouping::named(names, of.into_iter().map(|group| group.map(name)).collect()))
    }

    /// By a file that names examples and groups.
    fn of_file(path: &Path, examples: usize) -> Result<Grouping, String> {
        let outside = |why: String| format!("the examples were grouped by a file, which is not of the study: {why}");
        let rows = example_file::read(path, Some("group")).map_err(outside)?;
        let names: Vec<Option<String>> = rows.iter().map(|(_, group)| Some(group.clone())).collect();
        let names = in_order(distinct(&names));
        let mut of = vec![UNNAMED; examples];
        for (example, group) in &rows {
            let place = of.get_mut(*example).ok_or_else(|| outside(format!("it names example {example}")))?;
            *place = names.iter().position(|name| name == group).unwrap_or(UNNAMED);
        }
        Ok(Grouping { names, of })
    }

    /// Of the name of each example's group; those without one are a group of their own, the last, which a value of its name joins.
    fn named(mut names: Vec<String>, of: Vec<Option<String>>) -> Grouping {
        if of.contains(&None) {
            names.retain(|name| name != "missing");
            names.push("missing".to_string());
        }
        let last = names.len().saturating_sub(1);
        let places: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let place = |name: &Option<String>| name.as_ref().map_or(last, |name| places[name.as_str()]);
        Grouping { of: of.iter().map(place).collect(), names }
    }

    /// The groups of the examples at `places`.
    pub(crate) fn of_some(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| self.of[place]).collect()
    }

    /// The reason if an example at `places` is in no group.
    pub(crate) fn check(&self, places: &[usize]) -> Result<(), String> {
        match places.iter().find(|&&place| self.of[place] == UNNAMED) {
            Some(place) => Err(format!("the file that the examples were grouped by has no group for example {place}")),
            None => Ok(()),
        }
    }
}

/// The labels that the examples at `places` have, in order, and the place of each one's among them; `None` if one has none, or
/// they are too many.
pub(crate) fn classes(labels: &ExampleColumn, places: &[usize]) -> Option<(Vec<String>, Vec<usize>)> {
    let all = texts(labels);
    let of: Vec<Option<String>> = places.iter().map(|&place| all[place].clone()).collect();
    let names = in_order(distinct(&of));
    let is_known = !of.contains(&None) && names.len() <= MOST;
    is_known.then(|| (names.clone(), Grouping::named(names, of).of))
}

/// The texts that there are, sorted, each once.
fn distinct(texts: &[Option<String>]) -> Vec<String> {
    let texts: std::collections::BTreeSet<&String> = texts.iter().flatten().collect();
    texts.into_iter().cloned().collect()
}

/// In the order of their numbers if all are numbers, else of their bytes.
fn in_order(names: Vec<String>) -> Vec<String> {
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    let Some(numbers) = numbers else { return names };
    let mut numbered: Vec<(f64, String)> = numbers.into_iter().zip(names).collect();
    numbered.sort_by(|a, b| a.0.total_cmp(&b.0));
    numbered.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Result<Option<ExampleColumn>, String> {
        Ok(match name {
            "pristine" => Some(ExampleColumn::Booleans([true, false, false, true, true].map(Some).to_vec())),
            "label" => Some(ExampleColumn::Integers([3, 10, 3, 7, 10].map(Some).to_vec())),
            "original_label" => Some(ExampleColumn::Texts(["b", "a", "b", "a", "é"].map(|t| Some(t.into())).to_vec())),
            "learned_step" => Some(ExampleColumn::Integers(vec![Some(5), None, Some(2), Some(5), Some(9)])),
            "tokens" => Some(ExampleColumn::Numbers(vec![Some(0.5), Some(10.0), None, Some(2.0), Some(-0.0)])),
            "source" => Some(ExampleColumn::Texts(
                ["web", "missing", "", "web", "a"].map(|t| Some(t.to_string()).filter(|t| !t.is_empty())).to_vec(),
            )),
            "rare" => Some(ExampleColumn::Booleans(vec![None, Some(false), Some(true), None, None])),
            _ => None,
        })
    }

    #[test]
    fn groups_by_hand() {
        let groups = |by| Grouping::new(by, 5, &column).unwrap();
        assert_eq!(groups("pristine").of, [0, 1, 1, 0, 0]);
        assert_eq!(groups("label").names, ["3", "7", "10"]);
        assert_eq!(groups("label").of, [0, 2, 0, 1, 2]);
        assert_eq!(groups("original-label").names, ["a", "b", "é"]);
        assert_eq!(groups("learned").of, [0, 1, 0, 1, 1]);
        assert_eq!(groups("tokens").names, ["0", "0.5", "2", "10", "missing"]);
        assert_eq!(
            (groups("rare").names, groups("rare").of),
            (vec!["true".into(), "false".into(), "missing".into()], vec![2, 1, 0, 2, 2])
        );
        // A value of the name joins those that have none.
        assert_eq!(groups("source").names, ["a", "web", "missing"]);
        assert_eq!(groups("source").of, [1, 2, 2, 1, 0]);
        assert_eq!(groups("all"), Grouping { names: vec!["all".into()], of: vec![0; 5] });
        assert!(Grouping::new("nowhere.csv", 5, &column).is_err());
        let labels = column("label").unwrap().unwrap();
        assert_eq!(classes(&labels, &[1, 2, 4]), Some((vec!["3".into(), "10".into()], vec![1, 0, 1])));
        assert_eq!(classes(&column("rare").unwrap().unwrap(), &[0, 1]), None);
    }

    #[test]
    fn quantiles_are_cut_at_values_and_equal_values_stay_together() {
        let of = |values: &[i64], parts| {
            let column = ExampleColumn::Integers(values.iter().copied().map(Some).collect());
            Grouping::quantiles(&column, parts).unwrap()
        };
        assert_eq!(of(&[5, 1, 4, 2, 3], 2).names, ["≤ 3", "> 3"]);
        assert_eq!(of(&[5, 1, 4, 2, 3], 2).of, [1, 0, 1, 0, 0]);
        assert_eq!(of(&[1, 2, 3, 4, 5, 6], 3).names, ["≤ 2", "2 – 4", "> 4"]);
        // The boundaries are 1, 1 and 2: nothing is between the first two.
        assert_eq!(of(&[1, 1, 1, 1, 2, 3], 4).names, ["≤ 1", "1 – 2", "> 2"]);
        assert_eq!(of(&[7, 7, 7], 4).names, ["≤ 7"]);
        let tokens = Grouping::new("tokens:2", 5, &column).unwrap();
        assert_eq!(
            (tokens.names, tokens.of),
            (vec!["≤ 0.5".into(), "> 0.5".into(), "missing".into()], vec![0, 1, 2, 1, 0])
        );
        assert!(Grouping::new("original_label:2", 5, &column).is_err());
    }

    #[test]
    fn without_a_wish_it_is_pristine_or_a_label_of_few_values() {
        let many = |name: &str| Ok((name == "label").then(|| ExampleColumn::Integers((0..21).map(Some).collect())));
        let labels = |name: &str| if name == "label" { column("label") } else { Ok(None) };
        assert_eq!(chosen(&[&column, &column]), Ok("pristine"));
        assert_eq!(chosen(&[&column, &labels]), Ok("label"));
        assert_eq!(chosen(&[&column, &many]), Ok("all"));
    }

    #[test]
    fn groups_of_a_file_are_in_the_order_of_their_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("groups.csv");
        std::fs::write(&path, "example_id,group\n0,10\n1,9\n2,10\n4,9\n").unwrap();
        let grouping = Grouping::new(path.to_str().unwrap(), 5, &column).unwrap();
        assert_eq!(grouping.names, ["9", "10"]);
        assert_eq!(grouping.of, [1, 0, 1, UNNAMED, 0]);
        assert!(grouping.check(&[0, 1]).is_ok() && grouping.check(&[3]).is_err());
        std::fs::write(&path, "example_id,group\n7,10\n").unwrap();
        assert!(Grouping::new(path.to_str().unwrap(), 5, &column).is_err());
    }
}
