//! Which examples are similar, against plain loops over raw gradients, by hand, and at its edges.

use cograd_trace::ExampleColumn;

use crate::support::*;

const NEIGHBOURS: usize = 5;

/// A run of n examples with labels and learned steps, of three layers; examples 3 and 8 have the gradients of example 0, and
/// example 5 has none.
fn run(n: usize, steps: &[i64]) -> Synthetic {
    let mut run = Synthetic::new(&vec![true; n], 11, steps, 7).with_layers(3);
    for (_, gradients) in &mut run.steps {
        let first = gradients[..11].to_vec();
        [3, 8].iter().for_each(|&copy| gradients[copy * 11..][..11].copy_from_slice(&first));
        gradients[5 * 11..][..11].fill(0.0);
    }
    let learned = (0..n as i64).map(|i| (i % 7 != 3).then_some(10 * (i * 5 % 9))).collect();
    run.with_column("label", integers((0..n as i64).map(|i| i * i % 3)))
        .with_column("learned_step", ExampleColumn::Integers(learned))
}

/// The cosine of two examples; `None` if a gradient is 0.
fn cosine(gradients: &[f32], i: usize, j: usize) -> Option<f64> {
    let row = |i: usize| gradients[i * 11..][..11].iter().map(|&value| f64::from(value));
    let inner = |i: usize, j: usize| row(i).zip(row(j)).map(|(a, b)| a * b).sum::<f64>();
    let norms = inner(i, i).sqrt() * inner(j, j).sqrt();
    (norms > 0.0).then(|| inner(i, j) / norms)
}

#[test]
fn neighbours_and_blocks_are_those_of_plain_loops() {
    let n = 45;
    let run = run(n, &(0..14).collect::<Vec<i64>>());
    let analysed = analysed(std::slice::from_ref(&run), &only(&["similarity"]));
    let (neighbours, similarity, coherence) =
        (analysed.table("neighbours"), analysed.table("similarity"), analysed.table("coherence"));
    let label = |i: usize| i * i % 3;
    for step in [0, 1, 2, 5, 10, 13] {
        let gradients = &run.steps[step].1;
        let mut row = neighbours.rows(&[("step", &step.to_string())]).into_iter();
        for i in (0..n).filter(|&i| i != 5) {
            let mut near: Vec<(i64, usize)> = (0..n)
                .filter(|&j| j != i)
                .filter_map(|j| Some((-(cosine(gradients, i, j)? * 2_f64.powi(40)).round() as i64, j)))
                .collect();
            near.sort_unstable();
            for (rank, &(_, j)) in near[..NEIGHBOURS].iter().enumerate() {
                let row = row.next().unwrap();
                let columns = ["example_id", "rank", "neighbour", "same_class"].map(|name| neighbours.text(name, row));
                let same = (label(i) == label(j)).to_string();
                assert_eq!(columns, [i.to_string(), (rank + 1).to_string(), j.to_string(), same]);
                assert_close(neighbours.number("cosine", row).unwrap(), cosine(gradients, i, j).unwrap(), 1e-12);
            }
        }
        assert!(row.next().is_none());
        let learned = |i: usize| if i % 7 == 3 { i64::MAX } else { 10 * (i as i64 * 5 % 9) };
        for order in ["class", "learned_step"] {
            let mut examples: Vec<usize> = (0..n).collect();
            examples.sort_by_key(|&i| (if order == "class" { label(i) } else { 0 }, learned(i), i));
            // No class of squares modulo 3 is empty but the last: 15 zeros and 30 ones.
            let sizes: &[(usize, usize)] = if order == "class" { &[(15, 10), (30, 21)] } else { &[(45, 32)] };
            let mut blocks: Vec<&[usize]> = Vec::new();
            let mut first = 0;
            for &(size, parts) in sizes {
                let of = &examples[first..first + size];
                blocks.extend((0..parts).map(|part| &of[part * size / parts..(part + 1) * size / parts]));
                first += size;
            }
            let rows = similarity.rows(&[("step", &step.to_string()), ("order", order)]);
            assert_eq!(rows.len(), blocks.len() * (blocks.len() + 1) / 2);
            for row in rows {
                let [a, b] = ["block_a", "block_b"].map(|name| similarity.text(name, row).parse::<usize>().unwrap());
                let pairs = blocks[a].iter().flat_map(|&i| blocks[b].iter().map(move |&j| (i, j)));
                let pairs = pairs.filter(|&(i, j)| if a == b { i < j } else { true });
                let cosines: Vec<f64> = pairs.filter_map(|(i, j)| cosine(gradients, i, j)).collect();
                assert_eq!(similarity.text("pairs", row), cosines.len().to_string());
                let mean = similarity.number("cosine", row);
                assert_eq!(mean.is_some(), !cosines.is_empty());
                let expected = cosines.iter().sum::<f64>() / cosines.len() as f64;
                mean.iter().for_each(|mean| assert!((mean - expected).abs() < 1e-12));
            }
        }
        let of_step = |statistic: &str| -> f64 {
            let wanted = [("step", &*step.to_string()), ("statistic", statistic), ("layer", "null")];
            coherence.value("value", &wanted).unwrap()
        };
        let nearest = neighbours.rows(&[("step", &step.to_string()), ("rank", "1")]);
        let mean = |of: &dyn Fn(usize) -> f64| nearest.iter().map(|&row| of(row)).sum::<f64>() / 44.0;
        assert_close(of_step("similarity_nearest"), mean(&|row| neighbours.number("cosine", row).unwrap()), 1e-12);
        let same = mean(&|row| f64::from(u8::from(neighbours.boolean("same_class", row).unwrap())));
        assert_close(of_step("similarity_nearest_same_class"), same, 1e-12);
        // Example 5, of label 1, has no gradient.
        let chance = (15.0 * 14.0 + 29.0 * 28.0) / (44.0 * 43.0);
        assert_close(of_step("similarity_nearest_same_class_chance"), chance, 1e-12);
    }
    assert_eq!(neighbours.len(), 6 * 44 * NEIGHBOURS);
    assert_eq!(coherence.len(), 3 * 14, "of all layers together only");
}

#[test]
fn without_labels_and_learned_steps_there_are_neighbours_and_no_order() {
    let mut run = run(9, &[0, 4]);
    run.columns.retain(|(name, _)| *name == "pristine");
    let without = analysed(std::slice::from_ref(&run), &only(&["similarity"]));
    assert_eq!((without.table("similarity").len(), without.table("neighbours").len()), (0, 2 * 8 * NEIGHBOURS));
    assert!(without.table("neighbours").texts("same_class", &[]).iter().all(|text| text == "null"));
    assert_eq!(without.table("coherence").len(), 2);
    // That no example was learned orders nothing; one class is one order.
    let run =
        run.with_column("learned_step", ExampleColumn::Integers(vec![None; 9])).with_column("label", integers([4; 9]));
    let one = analysed(&[run], &only(&["similarity"]));
    let table = one.table("similarity");
    assert_eq!(table.len(), 2 * 9 * 10 / 2);
    assert!(table.texts("order", &[]).iter().all(|order| order == "class"));
    assert!(table.texts("name_a", &[]).iter().all(|name| name == "4"));
    let chance = one.table("coherence").numbers("value", &[("statistic", "similarity_nearest_same_class_chance")]);
    assert_eq!(chance, [Some(1.0); 2]);
}

#[test]
fn fewer_examples_than_neighbours_have_those_that_there_are() {
    let two = Synthetic { steps: vec![(0, vec![3.0, 0.0, 0.0, 4.0])], ..Synthetic::new(&[true, false], 2, &[], 0) };
    let found = analysed(&[two], &only(&["similarity"]));
    let rows = found.table("neighbours").all(&["run", "rule", "noise", "seed"]);
    assert_eq!(rows, [["0", "0", "1", "1", "0", "null"], ["0", "1", "1", "0", "0", "null"]]);
    let one = Synthetic { steps: vec![(0, vec![3.0, 0.0])], ..Synthetic::new(&[true], 2, &[], 0) };
    let found = analysed(&[one], &only(&["similarity"]));
    assert_eq!(found.table("neighbours").len(), 0);
    assert_eq!(found.table("coherence").numbers("value", &[]), [None; 2], "of the layer and of all together");
    let blocks = found.table("similarity");
    assert_eq!((blocks.texts("pairs", &[]), blocks.numbers("cosine", &[])), (vec!["0".to_string()], vec![None]));
}
