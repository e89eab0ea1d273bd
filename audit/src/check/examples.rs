//! Label noise as [S 1] says: pristine where unchanged, and of the recorder's own runs label counts kept, at most round(ε m)
//! labels changed.

use std::collections::BTreeMap;

use cograd_trace::Manifest;

use crate::check::seeds::is_ours;
use crate::claim::Claim;
use crate::examples::{Examples, texts};
use crate::tally::Tally;

pub(crate) fn check(manifest: &Manifest, examples: &Examples, subject: &str) -> Vec<Claim> {
    let claims = [
        "an example is pristine where its label is unchanged",
        "label noise keeps the number of each label",
        "no more than round(ε m) labels are changed",
    ];
    let (Some(label), Some(original)) = (&examples.label, &examples.original_label) else {
        return Vec::new();
    };
    let (after, before) = (texts(label), texts(original));
    let mut flags = Tally::default();
    let mut counts: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    let mut changed = 0;
    for (example, labels) in after.iter().zip(&before).enumerate() {
        let (Some(after), Some(before)) = labels else { continue };
        if let Some(pristine) = &examples.pristine {
            flags.check(pristine[example] == (after == before), || format!("example {example} is not"));
        }
        counts.entry(before).or_default()[0] += 1;
        counts.entry(after).or_default()[1] += 1;
        changed += usize::from(after != before);
    }
    let flags = flags.into_claim(claims[0], subject);
    let Some(noise) = manifest.conditions.number("noise").filter(|_| is_ours(manifest)) else { return vec![flags] };
    let mut kept = Tally::default();
    for (label, [before, after]) in counts {
        kept.check(before == after, || format!("label {label}: {before} before the noise, {after} after it"));
    }
    let picked = (noise * examples.count as f64).round() as usize;
    let mut amount = Tally::default();
    amount.check(changed <= picked, || format!("{changed} labels are changed, but only {picked} were picked"));
    amount.check(examples.count == manifest.train_examples, || format!("there are {} examples", examples.count));
    let amount = amount.noting(format!("{changed} of {picked} picked are changed"));
    // Only permuted labels stay as many as they were.
    let kept = manifest.conditions.get("data.noise").is_none().then(|| kept.into_claim(claims[1], subject));
    [Some(flags), kept, Some(amount.into_claim(claims[2], subject))].into_iter().flatten().collect()
}
