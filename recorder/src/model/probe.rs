//! What a model's examples say at its present weights: gradients at coordinates, and the population.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{DType, Error, Result, Tensor, Var, bail};
use cograd_trace::Parameter;
use rayon::prelude::*;

use super::{Gradients, Model};
use crate::layer::{Layer, Use, materialised, values};
use crate::network::{LayerPopulation, first_non_finite_row};

/// One parameter of a model.
struct Tracked<'a> {
    name: String,
    kind: &'static str,
    var: &'a Var,
    /// Where it is used: layer, and place among that layer's parameters. Empty if no tapped layer covers it.
    users: Vec<(usize, usize)>,
}

/// A model with its parameters in order.
pub(crate) struct Probe<'a> {
    model: &'a dyn Model,
    layers: Vec<(String, &'a dyn Layer)>,
    tracked: Vec<Tracked<'a>>,
}

/// A forward and backward pass over a part of a batch.
pub(super) struct Pass {
    pub losses: Vec<f64>,
    /// The uses of every layer.
    uses: Vec<Vec<Use>>,
    /// Those of parameters without a tapped layer among them.
    gradients: GradStore,
}

/// Examples of a part of a batch at most, and values of their inputs, so that what a part computes stays in cache. Parts are what threads
/// work on, and the same for any number of them. Two examples at least, so that the check of a recording sees whether they influence each
/// other.
const PART: usize = 8;
const PART_VALUES: usize = 10_000;

/// Examples of a part, of so many values each.
pub(crate) fn part(values: usize) -> usize {
    (PART_VALUES / values.max(1)).clamp(2, PART)
}

/// What all examples say at one step.
pub(crate) struct Population {
    pub losses: Vec<f64>,
    /// By parameter, ⟨g_i, G⟩ of every example.
    pub contributions: Vec<Vec<f64>>,
    /// By parameter, ‖g_i‖² of every example.
    pub self_terms: Vec<Vec<f64>>,
    /// By parameter, ‖G‖².
    pub norms_sq: Vec<f64>,
}

impl<'a> Probe<'a> {
    pub fn new(model: &'a dyn Model) -> Probe<'a> {
        let layers = model.layers();
        let mut tracked: Vec<Tracked<'a>> = Vec::new();
        let mut add = |name: String, kind, var: &'a Var, user: Option<(usize, usize)>| {
            let known = tracked.iter().position(|other| other.var.as_tensor().id() == var.as_tensor().id());
            match known {
                Some(place) => tracked[place].users.extend(user),
                None => tracked.push(Tracked { name, kind, var, users: user.into_iter().collect() }),
            }
        };
        for (place, (name, layer)) in layers.iter().enumerate() {
            for (parameter, (part, var)) in layer.parameters().into_iter().enumerate() {
                let name = if name.is_empty() { part.to_string() } else { format!("{name}.{part}") };
                // The reference lives as long as the model, from which the layer was borrowed.
                add(name, layer.kind(), var, Some((place, parameter)));
            }
        }
        for (name, var) in model.other_parameters() {
            add(name, "parameter", var, None);
        }
        Probe { model, layers, tracked }
    }

    /// Every parameter as the trace describes it.
    pub fn parameters(&self) -> Vec<Parameter> {
        let shape = |var: &Var| var.dims().iter().map(|&length| length as u64).collect::<Vec<u64>>();
        self.tracked.iter().map(|it| Parameter::new(&it.name, &shape(it.var), Some(it.kind))).collect()
    }

    /// Every parameter itself.
    pub fn vars(&self) -> Vec<&'a Var> {
        self.tracked.iter().map(|it| it.var).collect()
    }

    /// Values of every parameter, row-major.
    pub fn weights(&self) -> Result<Vec<cograd_trace::Tensor>> {
        let tensor = |it: &Tracked<'_>| {
            let (name, shape) = (it.name.clone(), it.var.dims().to_vec());
            Ok(cograd_trace::Tensor { name, shape, values: values(it.var.as_tensor())? })
        };
        self.tracked.iter().map(tensor).collect()
    }

    /// The loss of every example.
    #[cfg(test)]
    pub fn losses(&self, inputs: &Tensor, labels: &Tensor) -> Result<Vec<f64>> {
        Ok(self.passes(inputs, labels)?.into_iter().flat_map(|pass| pass.losses).collect())
    }

    /// The losses of a batch, and the gradients of every example at the coordinates of each parameter, `[B, d]` row-major.
    pub fn gradients_at(
        &self,
        inputs: &Tensor,
        labels: &Tensor,
        coordinates: &[Vec<usize>],
    ) -> Result<(Vec<f64>, Vec<f32>)> {
        let of_parts = self.of_parts(inputs, labels, |inputs, labels| {
            let pass = self.pass(inputs, labels)?;
            let rows = self.rows_at(&pass, (inputs, labels), coordinates)?;
            Ok((pass.losses, rows))
        })?;
        let (losses, rows): (Vec<_>, Vec<_>) = of_parts.into_iter().unzip();
        Ok((losses.concat(), rows.concat()))
    }

    fn rows_at(
        &self,
        pass: &Pass,
        (inputs, labels): (&Tensor, &Tensor),
        coordinates: &[Vec<usize>],
    ) -> Result<Vec<f32>> {
        let mut columns = Vec::new();
        for (it, coordinates) in self.tracked.iter().zip(coordinates) {
            columns.push(self.values_at(pass, it, inputs, labels, coordinates)?);
        }
        let mut rows = Vec::with_capacity(columns.iter().map(Vec::len).sum());
        for example in 0..pass.losses.len() {
            for (column, coordinates) in columns.iter().zip(coordinates) {
                let of_example = &column[example * coordinates.len()..][..coordinates.len()];
                rows.extend(of_example.iter().map(|&value| value as f32));
            }
        }
        Ok(rows)
    }

    /// The gradients of a minibatch, as update rules ask for them.
    ///
    /// # Errors
    /// A parameter of no tapped layer, or the tensor library refuses.
    pub fn minibatch(&self, inputs: &Tensor, labels: &Tensor) -> Result<Gradients<'_>> {
        if let Some(it) = self.tracked.iter().find(|it| it.users.is_empty()) {
            bail!("parameter {} belongs to no tapped layer: no update rule can have its gradients", it.name);
        }
        Ok(Gradients { probe: self, parts: self.passes(inputs, labels)? })
    }

    /// The sum of the gradients of some passes, each example's times its factor if there are such, by parameter.
    pub(super) fn sum(&self, passes: &[Pass], factors: Option<&[f32]>) -> Result<Vec<Tensor>> {
        self.tracked.par_iter().map(|it| self.sum_of(passes, it, factors)).collect()
    }

    fn sum_of(&self, passes: &[Pass], it: &Tracked<'_>, factors: Option<&[f32]>) -> Result<Tensor> {
        let mut sum = vec![0.0; it.var.elem_count()];
        let mut first = 0;
        for pass in passes {
            for (layer, parameter, taken) in pass.uses(it) {
                let layer = self.layers[layer].1;
                match factors {
                    None => layer.add_sum(taken, parameter, &mut sum)?,
                    Some(factors) => {
                        let factors = &factors[first..first + pass.losses.len()];
                        layer.add_sum(&taken.times(factors)?, parameter, &mut sum)?;
                    }
                }
            }
            if it.users.is_empty() {
                let of_pass = values(gradient_of(&pass.gradients, it)?)?;
                sum.iter_mut().zip(of_pass).for_each(|(sum, value)| *sum += value);
            }
            first += pass.losses.len();
        }
        Tensor::from_vec(sum, it.var.shape(), it.var.device())
    }

    /// ‖g_i‖² of every example over all parameters of tapped layers.
    pub(super) fn norms_sq(&self, passes: &[Pass]) -> Result<Vec<f64>> {
        let of_pass = |pass: &Pass| -> Result<Vec<f64>> {
            let mut norms_sq = vec![0.0; pass.losses.len()];
            for it in &self.tracked {
                let uses: Vec<_> = pass.uses(it).collect();
                let of_parameter = self.self_terms_of_uses(&uses, pass.losses.len())?;
                norms_sq.iter_mut().zip(of_parameter).for_each(|(sum, value)| *sum += value);
            }
            Ok(norms_sq)
        };
        Ok(passes.par_iter().map(of_pass).collect::<Result<Vec<_>>>()?.concat())
    }

    /// The gradient of every example in some rows of a parameter, `[B, values]`.
    pub(super) fn gradients_of_rows(&self, passes: &[Pass], parameter: usize, rows: Range<usize>) -> Result<Tensor> {
        let of_pass = |pass: &Pass| {
            let mut sum: Option<Tensor> = None;
            for (layer, parameter, taken) in pass.uses(&self.tracked[parameter]) {
                let of_use = self.layers[layer].1.gradients_of_rows(taken, parameter, rows.clone())?;
                sum = Some(match sum {
                    None => of_use,
                    Some(sum) => (sum + of_use)?,
                });
            }
            match sum {
                Some(sum) => sum.flatten_from(1)?.contiguous(),
                None => bail!("parameter {} is not used", self.tracked[parameter].name),
            }
        };
        Tensor::cat(&passes.par_iter().map(of_pass).collect::<Result<Vec<Tensor>>>()?, 0)
    }

    /// The first layer and example of which an input or a gradient at an output is not finite.
    pub(super) fn first_not_finite(&self, passes: &[Pass]) -> Result<Option<(&'static str, usize, usize)>> {
        for layer in 0..self.layers.len() {
            for what in ["activations", "deltas"] {
                let mut first = 0;
                for pass in passes {
                    for taken in &pass.uses[layer] {
                        let tensor = if what == "deltas" { &taken.output_gradient } else { &taken.input };
                        if tensor.dtype() != DType::F32 {
                            continue;
                        }
                        if let Some(example) = first_non_finite_row(&tensor.flatten_from(1)?.contiguous()?)? {
                            return Ok(Some((what, layer, first + example)));
                        }
                    }
                    first += pass.losses.len();
                }
            }
        }
        Ok(None)
    }

    fn values_at(
        &self,
        pass: &Pass,
        it: &Tracked<'_>,
        inputs: &Tensor,
        labels: &Tensor,
        coordinates: &[usize],
    ) -> Result<Vec<f64>> {
        if coordinates.is_empty() {
            return Ok(Vec::new());
        }
        if it.users.is_empty() {
            let at = |gradient: Tensor| materialised::gradients_at(&gradient.unsqueeze(0)?, coordinates);
            return Ok(self.one_by_one(it, inputs, labels, at)?.concat());
        }
        let mut sum = vec![0.0; pass.losses.len() * coordinates.len()];
        for (layer, parameter, taken) in pass.uses(it) {
            let values = self.layers[layer].1.gradients_at(taken, parameter, coordinates)?;
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Ok(sum)
    }

    /// Contributions and self terms of all examples, in two passes over them in `batches` of inputs and labels.
    pub fn population<I: Iterator<Item = Result<(Tensor, Tensor)>>>(
        &self,
        batches: impl Fn() -> I,
    ) -> Result<Population> {
        let totals = self.totals(batches())?;
        let none = || vec![Vec::new(); self.tracked.len()];
        let norms_sq = totals.iter().map(|total| total.sqr()?.sum_all()?.to_scalar()).collect::<Result<_>>()?;
        let mut found = Population { losses: Vec::new(), contributions: none(), self_terms: none(), norms_sq };
        for batch in batches() {
            let (inputs, labels) = batch?;
            let of_parts = self.of_parts(&inputs, &labels, |inputs, labels| {
                let pass = self.pass(inputs, labels)?;
                let of_parameter = |(it, total): (&Tracked<'_>, &Tensor)| {
                    let contributions = self.contributions(&pass, it, inputs, labels, total)?;
                    Ok((contributions, self.self_terms(&pass, it, inputs, labels)?))
                };
                let said = self.tracked.iter().zip(&totals).map(of_parameter).collect::<Result<Vec<_>>>()?;
                Ok((pass.losses, said))
            })?;
            for (losses, said) in of_parts {
                found.losses.extend(losses);
                for (place, (contributions, self_terms)) in said.into_iter().enumerate() {
                    found.contributions[place].extend(contributions);
                    found.self_terms[place].extend(self_terms);
                }
            }
        }
        Ok(found)
    }

    /// The gradient of every parameter, summed over all examples, in f64.
    fn totals(&self, batches: impl Iterator<Item = Result<(Tensor, Tensor)>>) -> Result<Vec<Tensor>> {
        let mut totals: Option<Vec<Tensor>> = None;
        for batch in batches {
            let (inputs, labels) = batch?;
            let sums = self.sum(&self.passes(&inputs, &labels)?, None)?;
            let these = sums.iter().map(|sum| sum.to_dtype(DType::F64)).collect::<Result<Vec<Tensor>>>()?;
            totals = Some(match totals {
                None => these,
                Some(sums) => sums.iter().zip(&these).map(|(sum, these)| sum + these).collect::<Result<_>>()?,
            });
        }
        Ok(totals.unwrap_or_default())
    }

    fn contributions(
        &self,
        pass: &Pass,
        it: &Tracked<'_>,
        inputs: &Tensor,
        labels: &Tensor,
        total: &Tensor,
    ) -> Result<Vec<f64>> {
        if it.users.is_empty() {
            let product = |gradient: Tensor| materialised::contributions(&gradient.unsqueeze(0)?, total);
            return Ok(self.one_by_one(it, inputs, labels, product)?.concat());
        }
        let total = total.to_dtype(it.var.dtype())?;
        let mut sum = vec![0.0; pass.losses.len()];
        for (layer, parameter, taken) in pass.uses(it) {
            let contributions = self.layers[layer].1.contributions(taken, parameter, &total)?;
            sum.iter_mut().zip(contributions).for_each(|(sum, contribution)| *sum += contribution);
        }
        Ok(sum)
    }

    fn self_terms(&self, pass: &Pass, it: &Tracked<'_>, inputs: &Tensor, labels: &Tensor) -> Result<Vec<f64>> {
        let uses: Vec<_> = pass.uses(it).collect();
        if uses.is_empty() {
            let square = |gradient: Tensor| materialised::self_terms(&gradient.unsqueeze(0)?);
            return Ok(self.one_by_one(it, inputs, labels, square)?.concat());
        }
        self.self_terms_of_uses(&uses, pass.losses.len())
    }

    /// Self terms of several uses do not add up: there the gradient of each example is formed.
    fn self_terms_of_uses(&self, uses: &[(usize, usize, &Use)], examples: usize) -> Result<Vec<f64>> {
        match uses {
            [(layer, parameter, taken)] => self.layers[*layer].1.self_terms(taken, *parameter),
            _ => (0..examples).map(|example| self.squared_sum(uses, example)).collect(),
        }
    }

    /// ‖Σ over uses of the gradient of one example‖².
    fn squared_sum(&self, uses: &[(usize, usize, &Use)], example: usize) -> Result<f64> {
        let mut sum: Option<Tensor> = None;
        for (layer, parameter, taken) in uses {
            let gradient =
                self.layers[*layer].1.gradients(&taken.example(example)?, *parameter)?.to_dtype(DType::F64)?;
            sum = Some(match sum {
                None => gradient,
                Some(sum) => (sum + gradient)?,
            });
        }
        sum.map_or(Ok(0.0), |sum| sum.sqr()?.sum_all()?.to_scalar())
    }

    /// What `of` says of each part of a batch, in order.
    fn of_parts<T: Send>(
        &self,
        inputs: &Tensor,
        labels: &Tensor,
        of: impl Fn(&Tensor, &Tensor) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let examples = inputs.dim(0)?;
        let part = part(inputs.elem_count() / examples.max(1));
        let of_part = |place: usize| {
            let (first, length) = (place * part, part.min(examples - place * part));
            of(&inputs.narrow(0, first, length)?, &labels.narrow(0, first, length)?)
        };
        (0..examples.div_ceil(part)).into_par_iter().map(of_part).collect()
    }

    fn passes(&self, inputs: &Tensor, labels: &Tensor) -> Result<Vec<Pass>> {
        self.of_parts(inputs, labels, |inputs, labels| self.pass(inputs, labels))
    }

    /// A forward and backward pass of the summed loss with all taps open; every parameter must have a gradient.
    fn pass(&self, inputs: &Tensor, labels: &Tensor) -> Result<Pass> {
        self.layers.iter().for_each(|(_, layer)| layer.tap().open());
        let passed = self.backward(inputs, labels);
        // Every tap is closed, whatever happened, so that training goes on without them.
        let uses: Vec<Result<Vec<Use>>> = self.layers.iter().map(|(_, layer)| layer.tap().close()).collect();
        let (losses, gradients) = passed?;
        let uses = uses.into_iter().enumerate().map(|(layer, uses)| {
            // The error of the layer's first parameter says more than the tap's own.
            let is_of_layer = |it: &&Tracked<'_>| it.users.iter().any(|(user, _)| *user == layer);
            uses.map_err(|error| self.tracked.iter().find(is_of_layer).map_or(error, no_gradient))
        });
        let uses = uses.collect::<Result<_>>()?;
        let pass = Pass { losses, uses, gradients };
        for it in &self.tracked {
            if pass.uses(it).next().is_none() {
                gradient_of(&pass.gradients, it)?;
            }
        }
        Ok(pass)
    }

    /// The losses of some examples, and the gradients of their sum.
    fn backward(&self, inputs: &Tensor, labels: &Tensor) -> Result<(Vec<f64>, GradStore)> {
        let losses = self.model.losses(inputs, labels)?;
        if losses.dims() != [inputs.dim(0)?] {
            bail!(
                "the model returned losses of shape {:?} for {} examples, not one an example",
                losses.dims(),
                inputs.dim(0)?
            );
        }
        Ok((losses.to_dtype(DType::F64)?.to_vec1()?, losses.sum_all()?.backward()?))
    }

    /// The gradient of one parameter by plain autograd, one example at a time.
    fn one_by_one<T>(
        &self,
        it: &Tracked<'_>,
        inputs: &Tensor,
        labels: &Tensor,
        take: impl Fn(Tensor) -> Result<T>,
    ) -> Result<Vec<T>> {
        let single = |example: usize| {
            let (_, gradients) = self.backward(&inputs.narrow(0, example, 1)?, &labels.narrow(0, example, 1)?)?;
            take(gradient_of(&gradients, it)?.clone())
        };
        (0..inputs.dim(0)?).map(single).collect()
    }
}

impl Population {
    /// The same by layer, in the order of the layers' first parameters.
    pub fn by_layer(self, parameters: &[Parameter]) -> Vec<LayerPopulation> {
        let mut layers: Vec<(&str, LayerPopulation)> = Vec::new();
        let by_parameter = self.contributions.into_iter().zip(self.self_terms).zip(self.norms_sq);
        for (parameter, ((contributions, self_terms), gradient_norm_sq)) in parameters.iter().zip(by_parameter) {
            match layers.iter_mut().find(|(layer, _)| *layer == parameter.layer) {
                None => {
                    layers.push((&parameter.layer, LayerPopulation { contributions, self_terms, gradient_norm_sq }))
                }
                Some((_, layer)) => {
                    layer.contributions.iter_mut().zip(contributions).for_each(|(sum, value)| *sum += value);
                    layer.self_terms.iter_mut().zip(self_terms).for_each(|(sum, value)| *sum += value);
                    layer.gradient_norm_sq += gradient_norm_sq;
                }
            }
        }
        layers.into_iter().map(|(_, layer)| layer).collect()
    }
}

impl Probe<'_> {
    /// The largest difference of recorded gradients from plain autograd over batches of one, relative to the norm of the
    /// example's gradient, and the parameter that has it.
    pub fn largest_difference(
        &self,
        inputs: &Tensor,
        labels: &Tensor,
        coordinates: &[Vec<usize>],
    ) -> Result<(f64, String)> {
        let pass = self.pass(inputs, labels)?;
        let square = |gradient: Tensor| Ok(materialised::self_terms(&gradient.unsqueeze(0)?)?[0]);
        let mut norms_sq = vec![0.0; pass.losses.len()];
        let mut differences = Vec::new();
        for (it, coordinates) in self.tracked.iter().zip(coordinates) {
            let squares = self.one_by_one(it, inputs, labels, square)?;
            norms_sq.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
            let plain = |gradient: Tensor| materialised::gradients_at(&gradient.unsqueeze(0)?, coordinates);
            let plain = self.one_by_one(it, inputs, labels, plain)?;
            let recorded = self.values_at(&pass, it, inputs, labels, coordinates)?;
            let recorded = recorded.chunks(coordinates.len().max(1));
            for (example, (plain, recorded)) in plain.iter().zip(recorded).enumerate() {
                let largest = plain.iter().zip(recorded).map(|(plain, recorded)| (plain - recorded).abs());
                differences.push((example, largest.fold(0.0, f64::max), &it.name));
            }
        }
        let relative = differences.into_iter().map(|(example, difference, name)| {
            let norm = norms_sq[example].sqrt();
            (if norm > 0.0 { difference / norm } else { difference }, name)
        });
        let largest = relative.max_by(|one, other| one.0.total_cmp(&other.0));
        Ok(largest.map_or((0.0, String::new()), |(difference, name)| (difference, name.clone())))
    }
}

impl Pass {
    /// Every use of a parameter: layer, place among its parameters, and what the tap kept.
    fn uses(&self, it: &Tracked<'_>) -> impl Iterator<Item = (usize, usize, &Use)> {
        let users = it.users.clone();
        users
            .into_iter()
            .flat_map(|(layer, parameter)| self.uses[layer].iter().map(move |taken| (layer, parameter, taken)))
    }
}

/// The gradient of a parameter, which it must have.
fn gradient_of<'g>(gradients: &'g GradStore, it: &Tracked<'_>) -> Result<&'g Tensor> {
    gradients.get(it.var.as_tensor()).ok_or_else(|| no_gradient(it))
}

fn no_gradient(it: &Tracked<'_>) -> Error {
    Error::Msg(format!(
        "parameter {} received no gradient: the loss does not depend on it, or an operation without a derivative (candle's \
         fused softmax, normalisations and attention) comes after it",
        it.name
    ))
}

/// Batches of at most so many examples, in order.
pub(super) fn batches<'t>(
    inputs: &'t Tensor,
    labels: &'t Tensor,
    batch: usize,
) -> impl Iterator<Item = Result<(Tensor, Tensor)>> + 't {
    let (examples, batch) = (inputs.dims().first().copied().unwrap_or_default(), batch.max(1));
    let one = move |start: usize| {
        let length = batch.min(examples - start);
        Ok((inputs.narrow(0, start, length)?, labels.narrow(0, start, length)?))
    };
    (0..examples).step_by(batch).map(one)
}
