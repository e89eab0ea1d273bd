//! The class stiffness matrix: stiffness between every two classes, and within each.
//!
//! ```text
//! C(a, b) = mean stiffness of the pairs i ≠ j with one example in class a and one in class b
//! ```
//!
//! By sign and by cosine; classes are the labels trained on. Zero gradients and halves as in
//! `stiffness`. Missing where there is no such pair. Source: Fort et al. 2019; [S 8].

use crate::sample::{Pair, Part, Sample, Series};
use crate::statistic::stiffness::mean_of_pair;
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "class_stiffness",
    about: "the class stiffness matrix: mean sign and mean cosine of ⟨g_i, g_j⟩, by pair of classes",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Pairs(compute),
};

fn compute(part: &Part, sample: &Sample, series: &mut Series) {
    let Some(classes) = sample.classes() else { return };
    for (of_cosines, name) in [(false, "class_stiffness_sign"), (true, "class_stiffness_cosine")] {
        let [of_classes, counts] = &part.stiffness(sample, of_cosines).classes;
        for (pair, (a, b)) in classes.pairs().enumerate() {
            let mean = mean_of_pair(sample, classes, [of_classes, counts], pair);
            series.add_measured(name, Pair::Classes(a, b), mean);
        }
    }
}
