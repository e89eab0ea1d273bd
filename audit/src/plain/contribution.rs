//! Contributions s_i = ⟨g_i, g⟩ and self terms q_i = ‖g_i‖², by coordinate, example by example [S 2].

/// Contributions and self terms of n examples, over some coordinates, at one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    pub contributions: Vec<f64>,
    pub self_terms: Vec<f64>,
    /// Sums of the absolute terms of the contributions, to which their rounding is proportional.
    pub sizes: Vec<f64>,
}

/// Of gradients, one row an example, over the coordinates at `places`.
pub(crate) fn terms(rows: &[&[f32]], places: &[usize]) -> Terms {
    let (mut total, mut absolute) = (vec![0.0; places.len()], vec![0.0; places.len()]);
    for row in rows {
        for (c, &place) in places.iter().enumerate() {
            total[c] += f64::from(row[place]);
            absolute[c] += f64::from(row[place]).abs();
        }
    }
    let mut terms = Terms::default();
    for row in rows {
        let (mut contribution, mut self_term, mut size) = (0.0, 0.0, 0.0);
        for (c, &place) in places.iter().enumerate() {
            let value = f64::from(row[place]);
            contribution += value * total[c];
            self_term += value * value;
            size += value.abs() * absolute[c];
        }
        terms.contributions.push(contribution);
        terms.self_terms.push(self_term);
        terms.sizes.push(size);
    }
    terms
}

impl Terms {
    /// Of n examples over no coordinate.
    pub(crate) fn of_none(examples: usize) -> Terms {
        let zeros = vec![0.0; examples];
        Terms { contributions: zeros.clone(), self_terms: zeros.clone(), sizes: zeros }
    }

    /// Adds those of other coordinates, times `scale`.
    pub(crate) fn add(&mut self, other: &Terms, scale: f64) {
        for (sums, values) in [
            (&mut self.contributions, &other.contributions),
            (&mut self.self_terms, &other.self_terms),
            (&mut self.sizes, &other.sizes),
        ] {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += scale * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_examples_by_hand() {
        let rows: [&[f32]; 2] = [&[1.0, 2.0, 9.0], &[3.0, -1.0, 9.0]];
        let found = terms(&rows, &[0, 1]);
        assert_eq!((&found.contributions[..], &found.self_terms[..]), (&[6.0, 11.0][..], &[5.0, 10.0][..]));
        assert_eq!(found.sizes, [10.0, 15.0]);
        let mut sum = Terms::of_none(2);
        sum.add(&found, 2.0);
        sum.add(&found, 1.0);
        assert_eq!(sum.contributions, [18.0, 33.0]);
    }
}
