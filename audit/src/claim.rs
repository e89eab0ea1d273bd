//! What an audit says: claims, each with a verdict and a reason.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind};

use serde::Serialize;

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It was checked and holds.
    #[serde(rename = "pass")]
    Pass,
    /// It was checked and does not hold.
    #[serde(rename = "fail")]
    Fail,
    /// What is there does not tell; the reason says what would.
    #[serde(rename = "not checkable")]
    NotCheckable,
    /// It is odd, but contradicts nothing.
    #[serde(rename = "note")]
    Note,
}

impl Verdict {
    /// All verdicts, in the order in which they are counted.
    pub const ALL: [Verdict; 4] = [Verdict::Pass, Verdict::Fail, Verdict::NotCheckable, Verdict::Note];

    /// The verdict as tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::NotCheckable => "not checkable",
            Verdict::Note => "note",
        }
    }
}

/// One claim that a study makes, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// What is claimed.
    pub claim: String,
    /// The run or the file that it is about.
    pub subject: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was compared, or what is wrong, or why it cannot be told.
    pub why: String,
    /// Largest deviation between a published and a recomputed number, in units of the number's scale; `None` if no
    /// numbers were compared.
    pub deviation: Option<f64>,
    /// The deviation that is allowed there.
    pub allowed: Option<f64>,
}

/// Whether the operating system refused, which contradicts nothing.
pub(crate) fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let is_of_the_file =
                [ErrorKind::NotFound, ErrorKind::InvalidInput, ErrorKind::InvalidData, ErrorKind::UnexpectedEof];
            return !is_of_the_file.contains(&error.kind());
        }
        cause = error.source();
    }
    false
}

impl Claim {
    /// That something can be read and is as it should be, which it is not: it fails, unless the operating system refused.
    pub(crate) fn unread(claim: &str, subject: &str, error: &(dyn Error + 'static), why: impl Display) -> Claim {
        match is_refusal(error) {
            true => Claim::unchecked(claim, subject, format!("{why}: make it readable")),
            false => Claim::fail(claim, subject, why.to_string()),
        }
    }

    /// A claim that holds because of something other than a comparison of numbers.
    pub(crate) fn pass(claim: &str, subject: &str, why: impl Into<String>) -> Claim {
        Claim::new(claim, subject, Verdict::Pass, why.into())
    }

    /// A claim that does not hold.
    pub(crate) fn fail(claim: &str, subject: &str, why: impl Into<String>) -> Claim {
        Claim::new(claim, subject, Verdict::Fail, why.into())
    }

    /// A claim that cannot be checked.
    pub(crate) fn unchecked(claim: &str, subject: &str, why: impl Into<String>) -> Claim {
        Claim::new(claim, subject, Verdict::NotCheckable, why.into())
    }

    /// Something odd that contradicts nothing.
    pub(crate) fn note(claim: &str, subject: &str, why: impl Into<String>) -> Claim {
        Claim::new(claim, subject, Verdict::Note, why.into())
    }

    fn new(claim: &str, subject: &str, verdict: Verdict, why: String) -> Claim {
        Claim { claim: claim.to_string(), subject: subject.to_string(), verdict, why, deviation: None, allowed: None }
    }
}

/// The result of an audit. Its JSON has the form that `docs/audit.md` describes.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// Version of the JSON form: a field may be added without another, none changes its meaning.
    pub format: u32,
    /// Directory of the study.
    pub study: String,
    /// Every claim, in the order in which it was judged.
    pub claims: Vec<Claim>,
}

impl Audit {
    /// Number of claims with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.claims.iter().filter(|claim| claim.verdict == verdict).count()
    }

    /// How many claims have each verdict, in words.
    pub fn tally(&self) -> String {
        Verdict::ALL.map(|verdict| format!("{} {}", self.count(verdict), verdict.as_str())).join(", ")
    }

    /// Whether no claim fails.
    pub fn is_clean(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }
}
