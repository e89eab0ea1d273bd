//! Label noise as [S 1] says: label counts kept, at most round(ε m) labels changed, pristine where unchanged.

use cograd_trace::{Example, Manifest};

use crate::claim::Claim;
use crate::tally::Tally;

pub(crate) fn check(manifest: &Manifest, examples: &[Example], subject: &str) -> Vec<Claim> {
    let mut flags = Tally::default();
    let (mut before, mut after) = ([0_u32; 256], [0_u32; 256]);
    let mut changed = 0;
    for example in examples {
        let unchanged = example.label == example.original_label;
        flags.check(example.pristine == unchanged, || format!("example {} is not", example.example_id));
        before[usize::from(example.original_label)] += 1;
        after[usize::from(example.label)] += 1;
        changed += usize::from(!unchanged);
    }
    let mut counts = Tally::default();
    for (label, (before, after)) in before.iter().zip(&after).enumerate().filter(|(_, (a, b))| **a + **b > 0) {
        counts.check(before == after, || format!("label {label}: {before} before the noise, {after} after it"));
    }
    let picked = (manifest.noise * examples.len() as f64).round() as usize;
    let mut amount = Tally::default();
    amount.check(changed <= picked, || format!("{changed} labels are changed, but only {picked} were picked"));
    amount.check(examples.len() == manifest.train_examples, || format!("there are {} examples", examples.len()));
    amount.note(format!("{changed} of {picked} picked are changed"));
    vec![
        flags.into_claim("an example is pristine where its label is unchanged", subject),
        counts.into_claim("label noise keeps the number of each label", subject),
        amount.into_claim("no more than round(ε m) labels are changed", subject),
    ]
}
