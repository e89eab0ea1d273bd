//! Update rules at matched training accuracy [S 4.2].

use crate::plain::overfit::Overfit;

/// Where a run first reaches a training accuracy: step, test accuracy and overfit, interpolated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    pub step: f64,
    pub test: Option<f64>,
    pub overfit: Option<f64>,
}

/// Where `curve` first reaches `level`.
pub(crate) fn first_reached(curve: &[Overfit], level: f64) -> Option<Reached> {
    let mut before: Option<(f64, &Overfit)> = None;
    for here in curve {
        let Some(accuracy) = here.train else { continue };
        if accuracy < level {
            before = Some((accuracy, here));
            continue;
        }
        let (part, from) = match before {
            Some((below, from)) if accuracy > below => ((level - below) / (accuracy - below), from),
            _ => (1.0, here),
        };
        let between = |from: f64, to: f64| (1.0 - part) * from + part * to;
        let both = |from: Option<f64>, to: Option<f64>| Some(between(from?, to?));
        return Some(Reached {
            step: between(from.step as f64, here.step as f64),
            test: both(from.test, here.test),
            overfit: both(from.overfit, here.overfit),
        });
    }
    None
}
