//! The paper's predictions: what each says, and the number that it is judged by [S 5].

/// A prediction of the paper.
#[derive(Debug)]
pub struct Prediction {
    /// Its name in `predictions.parquet`.
    pub name: &'static str,
    /// Section of the paper.
    pub section: &'static str,
    /// What the paper predicts.
    pub statement: &'static str,
    /// The number that it is judged by.
    pub measured_as: &'static str,
    /// The quantities of its rows, and what they are compared with.
    pub quantities: &'static [Quantity],
}

/// A number that a prediction is judged by.
#[derive(Debug)]
pub struct Quantity {
    /// Its name in `predictions.parquet`.
    pub name: &'static str,
    /// What it is, in words.
    pub about: &'static str,
    /// How it is written.
    pub unit: Unit,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As it is.
    Plain,
    /// A number of steps; infinite is never reached.
    Steps,
    /// A fraction, written in percent.
    Percent,
}

/// Largest p-value that counts as evidence.
pub const SIGNIFICANT: f64 = 0.05;

/// How far the training accuracy may lie above the proper accuracy: a corrupt label is right by chance now and then.
pub const TOLERANCE: f64 = 0.01;

const fn quantity(name: &'static str, about: &'static str, unit: Unit) -> Quantity {
    Quantity { name, about, unit }
}

/// The predictions, in the order of the paper.
pub const PREDICTIONS: [Prediction; 10] = [
    Prediction {
        name: "slower_learning",
        section: "2.2",
        statement: "More noise, slower learning",
        measured_as: "first evaluated step with at most half of the initial training loss, rising with ε",
        quantities: &[quantity("half_loss_step", "half of the initial training loss is reached at step", Unit::Steps)],
    },
    Prediction {
        name: "pristine_first",
        section: "2.2",
        statement: "Pristine examples are learned before corrupt ones",
        measured_as: "median learning step of pristine / corrupt training examples, at each ε with both",
        quantities: &[quantity(
            "median_learned_step",
            "median learning step of pristine against corrupt examples",
            Unit::Steps,
        )],
    },
    Prediction {
        name: "pristine_slower",
        section: "2.2",
        statement: "The fewer pristine examples, the slower they are learned",
        measured_as: "median learning step of the pristine training examples, rising with ε",
        quantities: &[quantity(
            "median_learned_step",
            "half of the pristine examples are learned by step",
            Unit::Steps,
        )],
    },
    Prediction {
        name: "smaller_gradient",
        section: "2.3",
        statement: "Early on, the more noise, the smaller the gradient norm",
        measured_as: "−Δ training loss per step over the first ten steps, falling with ε",
        quantities: &[quantity("early_slope", "early on the training loss falls per step by", Unit::Plain)],
    },
    Prediction {
        name: "crosses_over",
        section: "2.4",
        statement: "α starts above its null and crosses over (25 %, 50 % noise)",
        measured_as: "α at step 0 above |P|/n; crossover statistic positive with p ≤ 0.05",
        quantities: &[
            quantity("first_share", "α at step 0 against the group size", Unit::Plain),
            quantity("crossover", "the crossover statistic", Unit::Plain),
        ],
    },
    Prediction {
        name: "early_contribution",
        section: "2.4",
        statement: "Pristine examples contribute more early on",
        measured_as: "D after the first ten steps positive with p ≤ 0.05, at each ε with both groups",
        quantities: &[quantity("difference_10", "D after ten steps", Unit::Plain)],
    },
    Prediction {
        name: "less_overfit",
        section: "3.2",
        statement: "The larger c, the less overfit",
        measured_as: "overfit at the last evaluation, falling with c at each ε",
        quantities: &[quantity("final_overfit", "the final overfit", Unit::Percent)],
    },
    Prediction {
        name: "lower_accuracy",
        section: "3.2",
        statement: "The larger c, the lower the training accuracy",
        measured_as: "training accuracy at the last evaluation, falling with c at each ε > 0",
        quantities: &[quantity("final_train_accuracy", "the final training accuracy", Unit::Percent)],
    },
    Prediction {
        name: "proper_accuracy",
        section: "3.3",
        statement: "For c > 1 the training accuracy does not exceed the proper accuracy",
        measured_as: "largest training accuracy of the run at most |P|/m + 0.01, at each c > 1 and ε with corrupt examples",
        quantities: &[quantity(
            "max_train_accuracy",
            "the largest training accuracy against the proper accuracy",
            Unit::Percent,
        )],
    },
    Prediction {
        name: "slower_overfit",
        section: "3.3",
        statement: "The larger c, the slower overfit grows",
        measured_as: "least-squares slope of overfit over the run, falling with c at each ε",
        quantities: &[quantity("overfit_slope", "the slope of overfit per 1 000 steps", Unit::Percent)],
    },
];

/// The prediction with this name.
pub fn prediction(name: &str) -> Option<&'static Prediction> {
    PREDICTIONS.iter().find(|prediction| prediction.name == name)
}
