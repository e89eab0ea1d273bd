//! Which examples are similar, from the cosines of every two gradients [S 8.4].

use crate::plain::pairs::Gram;

/// Neighbours of an example, and blocks of an order where there are no more classes.
const NEIGHBOURS: usize = 5;
const BLOCKS: usize = 32;
/// Cosines that are nearer to each other than this may be ranked either way: they are compared as multiples of 2⁻⁴⁰.
const ROUNDING: f64 = 3e-12;

/// What the examples of a run are told apart by, and the steps at which that is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Similar {
    pub steps: Vec<i64>,
    /// The step at which each example was learned; `None` if that is not known of any.
    pub learned: Option<Vec<Option<i64>>>,
}

/// The neighbour of a rank, and those that rounding may put there instead.
#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    pub cosine: f64,
    /// The least and the largest cosine of those.
    pub cosines: [f64; 2],
    /// Ascending.
    pub candidates: Vec<usize>,
}

/// The mean cosine over pairs of two blocks.
pub(crate) struct Block {
    pub order: &'static str,
    pub places: [usize; 2],
    pub names: [String; 2],
    pub pairs: usize,
    pub sum: f64,
}

/// The cosine of two examples; `None` if one has no gradient.
fn cosine(gram: &Gram, i: usize, j: usize) -> Option<f64> {
    let norms = [i, j].map(|example| gram.at(example, example).sqrt());
    norms.iter().all(|norm| *norm > 0.0 && norm.is_finite()).then(|| gram.at(i, j) / norms[0] / norms[1])
}

/// The neighbours of each example, the nearest first.
pub(crate) fn neighbours(gram: &Gram) -> Vec<Vec<Neighbour>> {
    let of_example = |i: usize| {
        let others = (0..gram.examples).filter(|&j| j != i);
        let mut near: Vec<(f64, usize)> = others.filter_map(|j| Some((cosine(gram, i, j)?, j))).collect();
        near.sort_by(|one, other| other.0.total_cmp(&one.0));
        let neighbour = |&(cosine, _): &(f64, usize)| {
            let may_be = || near.iter().filter(|(other, _)| (other - cosine).abs() <= ROUNDING);
            let mut candidates: Vec<usize> = may_be().map(|(_, j)| *j).collect();
            candidates.sort_unstable();
            let end = |bound: fn(f64, f64) -> f64| may_be().map(|(other, _)| *other).fold(cosine, bound);
            Neighbour { cosine, cosines: [end(f64::min), end(f64::max)], candidates }
        };
        near.iter().take(NEIGHBOURS).map(neighbour).collect()
    };
    (0..gram.examples).map(of_example).collect()
}

impl Similar {
    /// Of these analysed steps, ascending: the first at or after each of 0, 1, 2, 5, 10, 20, 50, …, and the last.
    pub(crate) fn new(steps: &[i64], learned: Option<Vec<Option<i64>>>) -> Similar {
        let mut chosen = Vec::new();
        let (mut mark, mut turn) = (0_i64, 0);
        while let Some(&step) = steps.iter().find(|step| **step >= mark) {
            chosen.push(step);
            let next = match (mark, turn) {
                (0, _) => Some(1),
                (_, 1) => (mark / 2).checked_mul(5),
                _ => mark.checked_mul(2),
            };
            turn = if mark == 0 { 0 } else { (turn + 1) % 3 };
            let Some(next) = next else { break };
            mark = next;
        }
        chosen.extend(steps.last());
        chosen.dedup();
        Similar { steps: chosen, learned: learned.filter(|steps| steps.iter().any(Option::is_some)) }
    }

    /// The blocks of both orders; `classes` are names and classes of the examples, if they have any.
    pub(crate) fn blocks(&self, gram: &Gram, classes: Option<(&[String], &[usize])>) -> Vec<Block> {
        let sorted = |mut examples: Vec<usize>| {
            let step = |example: usize| self.learned.as_ref().map(|steps| (steps[example].is_none(), steps[example]));
            examples.sort_by_key(|&example| (step(example), example));
            examples
        };
        let mut blocks = Vec::new();
        if let Some((names, of)) = classes {
            let mut parts: Vec<(String, Vec<usize>)> = Vec::new();
            for (class, name) in names.iter().enumerate() {
                let members = sorted((0..of.len()).filter(|example| of[*example] == class).collect());
                let number = (BLOCKS * members.len() / of.len()).max(1);
                parts.extend(cut(&members, number).map(|part| (name.clone(), part.to_vec())));
            }
            blocks.extend(pairs(gram, "class", &parts));
        }
        if let Some(steps) = &self.learned {
            let text = |example: usize| steps[example].map_or("never".to_string(), |step| step.to_string());
            let named = |part: &[usize]| match part {
                [first, .., last] if text(*first) != text(*last) => format!("{} – {}", text(*first), text(*last)),
                _ => text(part[0]),
            };
            let examples = sorted((0..gram.examples).collect());
            let parts: Vec<(String, Vec<usize>)> =
                cut(&examples, BLOCKS).map(|part| (named(part), part.to_vec())).collect();
            blocks.extend(pairs(gram, "learned_step", &parts));
        }
        blocks
    }
}

/// So many parts of nearly one size, or as many as there are members.
fn cut(members: &[usize], number: usize) -> impl Iterator<Item = &[usize]> {
    let number = number.min(members.len());
    (0..number).map(move |part| &members[part * members.len() / number..(part + 1) * members.len() / number])
}

fn pairs(gram: &Gram, order: &'static str, parts: &[(String, Vec<usize>)]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (a, (first, of_first)) in parts.iter().enumerate() {
        for (b, (second, of_second)) in parts.iter().enumerate().skip(a) {
            let both = of_first.iter().flat_map(|i| of_second.iter().map(move |j| (*i, *j)));
            let both = both.filter(|(i, j)| a != b || i < j);
            let cosines: Vec<f64> = both.filter_map(|(i, j)| cosine(gram, i, j)).collect();
            let names = [first.clone(), second.clone()];
            blocks.push(Block { order, places: [a, b], names, pairs: cosines.len(), sum: cosines.iter().sum() });
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_by_hand() {
        let all: Vec<i64> = (0..=130).collect();
        assert_eq!(Similar::new(&all, None).steps, [0, 1, 2, 5, 10, 20, 50, 100, 130]);
        assert_eq!(Similar::new(&[3, 30, 31, 300], None).steps, [3, 30, 300]);
        assert_eq!(Similar::new(&[i64::MAX], None).steps, [i64::MAX]);
    }

    #[test]
    fn neighbours_and_blocks_by_hand() {
        let gram = Gram::new(&[vec![3.0, 4.0], vec![-4.0, 3.0], vec![6.0, 8.0], vec![0.0, 0.0], vec![3.0, 4.0]]);
        let near = neighbours(&gram);
        assert_eq!((near[0][0].candidates.clone(), near[0][2].candidates.clone()), (vec![2, 4], vec![1]));
        assert!(near[3].is_empty() && near[1].iter().all(|of| of.cosine.abs() < 1e-12));
        let similar = Similar::new(&[0], Some(vec![Some(5), None, Some(5), Some(2), Some(9)]));
        let names = ["a".to_string(), "b".to_string()];
        let blocks = similar.blocks(&gram, Some((&names, &[0, 1, 0, 1, 0])));
        let of = |order: &str, a: usize, b: usize| {
            blocks.iter().find(|block| block.order == order && block.places == [a, b]).unwrap()
        };
        assert_eq!(of("class", 0, 1).names, ["a", "a"]);
        assert_eq!((of("class", 0, 1).pairs, of("class", 3, 4).pairs), (1, 0));
        assert_eq!(of("learned_step", 0, 4).names, ["2", "never"]);
        assert!((of("learned_step", 1, 3).sum - 1.0).abs() < 1e-12);
    }
}
