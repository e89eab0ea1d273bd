//! The part of a run's record that is analysed: which steps, layers and sampled examples.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cograd_trace::{Examples, Run, TraceError};

use crate::example_file;
use crate::{AnalysisError, ExampleSelection, Options, Span};

/// Which part of the record of a run is analysed.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    steps: Option<Span>,
    /// Names of all layers of the run.
    pub(crate) layer_names: Vec<String>,
    /// Which of them are analysed.
    chosen: Vec<bool>,
    /// Ids of the sampled examples chosen, ascending.
    pub(crate) sampled: Vec<u32>,
    /// Ids of the examples that those were sampled from, ascending: all, or those of all that are chosen.
    pub(crate) population: Vec<u32>,
    /// The parameters with chosen coordinates, layer by layer.
    pub(crate) strata: Vec<Stratum>,
    /// Rows of the examples chosen in the recorded gradients; `None`: all.
    rows: Option<Vec<usize>>,
    /// Coordinates chosen in the recorded gradients; `None`: all.
    pub(crate) columns: Option<Vec<usize>>,
}

/// A parameter, from which coordinates were drawn.
#[derive(Clone, Debug)]
pub(crate) struct Stratum {
    /// Place of its layer.
    pub(crate) layer: usize,
    /// Number of its values; `None` if it is not known.
    pub(crate) size: Option<u64>,
    /// Its coordinates among the chosen ones.
    pub(crate) columns: Vec<usize>,
}

impl Selection {
    /// The part of `run`, whose examples are given, that the options ask for.
    pub(crate) fn new(run: &Run, examples: &Examples, options: &Options) -> Result<Selection, AnalysisError> {
        let manifest = run.manifest();
        let in_run = |source: TraceError| AnalysisError::in_run(run, source);
        let layers = run.layers().map_err(in_run)?;
        let layer_names: Vec<String> = layers.iter().map(|layer| layer.name.clone()).collect();
        let chosen = chosen_layers(&manifest.run, &layer_names, options.layers.as_deref())?;
        let parameters = run.parameters().map_err(in_run)?;
        let mut layer_of = vec![0; parameters.len()];
        for (place, layer) in layers.iter().enumerate() {
            layer.parameters.iter().for_each(|&parameter| layer_of[parameter] = place);
        }
        let of_coordinate: Vec<usize> =
            run.coordinates().map_err(in_run)?.iter().map(|coordinate| coordinate.parameter as usize).collect();
        let kept: Vec<usize> =
            (0..of_coordinate.len()).filter(|&column| chosen[layer_of[of_coordinate[column]]]).collect();
        let mut strata: Vec<Stratum> = Vec::new();
        let mut order: Vec<usize> = (0..kept.len()).collect();
        let parameter = |place: usize| of_coordinate[kept[place]];
        order.sort_by_key(|&place| (layer_of[parameter(place)], parameter(place)));
        for of_parameter in order.chunk_by(|&a, &b| parameter(a) == parameter(b)) {
            let parameter = parameter(of_parameter[0]);
            let layer = layer_of[parameter];
            let size = layers[layer].size.map(|_| parameters[parameter].size());
            strata.push(Stratum { layer, size, columns: of_parameter.to_vec() });
        }
        let all = kept.len() == of_coordinate.len();
        let mut selection = Selection {
            steps: options.steps,
            layer_names,
            chosen,
            sampled: examples.sampled_ids(),
            population: (0..examples.len() as u32).collect(),
            strata,
            rows: None,
            columns: (!all).then_some(kept),
        };
        if let Some(examples) = &options.examples {
            selection.choose_examples(&manifest.run, manifest.train_examples, examples)?;
        }
        selection.check_steps(run)?;
        Ok(selection)
    }

    fn choose_examples(&mut self, run: &str, m: usize, examples: &ExampleSelection) -> Result<(), AnalysisError> {
        let ids: Option<BTreeSet<u32>> = match examples {
            ExampleSelection::Ids(_) => None,
            ExampleSelection::File(path) => {
                let ids: BTreeSet<u32> = example_file::read(path, false, m)?.example_ids.into_iter().collect();
                if let Some(id) = ids.last().filter(|&&id| id as usize >= m) {
                    let message = format!("it names example {id}, but run {run} has examples 0 to {}", m - 1);
                    return Err(AnalysisError::ExampleFile { path: path.clone(), message });
                }
                Some(ids)
            }
        };
        let is_chosen = |id: &u32| match (examples, &ids) {
            (ExampleSelection::Ids(span), _) => span.contains(i64::from(*id)),
            (ExampleSelection::File(_), ids) => ids.as_ref().is_some_and(|ids| ids.contains(id)),
        };
        self.population.retain(is_chosen);
        let chosen: Vec<bool> = self.sampled.iter().map(is_chosen).collect();
        let rows: Vec<usize> = (0..chosen.len()).filter(|&row| chosen[row]).collect();
        if rows.is_empty() {
            let examples = examples.to_string();
            return Err(AnalysisError::NoExample { run: run.to_string(), examples, sampled: chosen.len() });
        }
        self.sampled = rows.iter().map(|&row| self.sampled[row]).collect();
        self.rows = Some(rows);
        Ok(())
    }

    fn check_steps(&self, run: &Run) -> Result<(), AnalysisError> {
        let Some(steps) = self.steps else { return Ok(()) };
        let recorded = || run.manifest().recorded_steps.iter().chain(run.population_steps());
        match (recorded().min(), recorded().max()) {
            (Some(&first), Some(&last)) if !recorded().any(|&step| steps.contains(step)) => {
                Err(AnalysisError::NoStep { run: run.manifest().run.clone(), steps, first, last })
            }
            _ => Ok(()),
        }
    }

    /// Whether the step is analysed.
    pub(crate) fn has_step(&self, step: i64) -> bool {
        self.steps.is_none_or(|steps| steps.contains(step))
    }

    /// Whether the layer at this place is analysed.
    pub(crate) fn has_layer(&self, layer: usize) -> bool {
        self.chosen.get(layer).copied().unwrap_or(false)
    }

    /// Whether all layers are.
    pub(crate) fn has_all_layers(&self) -> bool {
        self.chosen.iter().all(|chosen| *chosen)
    }

    /// Number of the chosen coordinates.
    pub(crate) fn coordinates(&self) -> usize {
        self.strata.iter().map(|stratum| stratum.columns.len()).sum()
    }

    /// The rows of the chosen examples, of gradients of all sampled ones with so many coordinates each.
    pub(crate) fn of_examples<'a>(&self, gradients: &'a [f32], coordinates: usize) -> Cow<'a, [f32]> {
        let Some(rows) = &self.rows else { return Cow::Borrowed(gradients) };
        rows.iter().flat_map(|&row| &gradients[row * coordinates..(row + 1) * coordinates]).copied().collect()
    }
}

/// Which layers have a name that one of the patterns fits; all without patterns.
fn chosen_layers(run: &str, names: &[String], patterns: Option<&[String]>) -> Result<Vec<bool>, AnalysisError> {
    let Some(patterns) = patterns else { return Ok(vec![true; names.len()]) };
    match patterns.iter().find(|pattern| !names.iter().any(|name| fits(pattern, name))) {
        Some(pattern) => {
            Err(AnalysisError::UnknownLayer { run: run.to_string(), pattern: pattern.clone(), known: names.join(", ") })
        }
        None => Ok(names.iter().map(|name| patterns.iter().any(|pattern| fits(pattern, name))).collect()),
    }
}

/// Whether a name fits a pattern: `*` stands for any text, `?` for any one letter, and a number N alone for `layer.N`.
fn fits(pattern: &str, name: &str) -> bool {
    if !pattern.is_empty() && pattern.bytes().all(|letter| letter.is_ascii_digit()) {
        return name == pattern || name.strip_prefix("layer.") == Some(pattern);
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // Of each beginning of the name, whether the pattern so far fits it.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for letter in pattern {
        let before = fits.clone();
        fits[0] = before[0] && letter == '*';
        for place in 0..name.len() {
            fits[place + 1] = match letter {
                '*' => before[place + 1] || fits[place],
                '?' => before[place],
                letter => before[place] && name[place] == letter,
            };
        }
    }
    fits[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "blocks.0.attention"),
            ("blocks.*.attention.*", "blocks.3.attention.query"),
            ("blocks.?.mlp", "blocks.1.mlp"),
            ("head", "head"),
            ("1", "layer.1"),
            ("*a*b*", "xxaxxbxx"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("blocks.?.mlp", "blocks.10.mlp"), ("1", "layer.11"), ("a*", "ba"), ("?", "")]
        {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
