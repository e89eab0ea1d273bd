//! What a model's examples say at its present weights: gradients at coordinates, and the population.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var, bail};
use cograd_trace::Parameter;

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

/// A forward and backward pass over a batch.
pub(super) struct Pass {
    pub losses: Vec<f64>,
    /// The uses of every layer.
    pub uses: Vec<Vec<Use>>,
}

/// What autograd found of a batch.
pub(super) struct Backward {
    /// `[B]`, from which there is a way back.
    losses: Tensor,
    gradients: GradStore,
}

impl Backward {
    fn losses(&self) -> Result<Vec<f64>> {
        self.losses.to_dtype(DType::F64)?.to_vec1()
    }
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
        self.backward(inputs, labels)?.losses()
    }

    /// The losses of a batch, and the gradients of every example at the coordinates of each parameter, `[B, d]` row-major.
    pub fn gradients_at(
        &self,
        inputs: &Tensor,
        labels: &Tensor,
        coordinates: &[Vec<usize>],
    ) -> Result<(Vec<f64>, Vec<f32>)> {
        let pass = self.pass(inputs, labels)?;
        let examples = pass.losses.len();
        let mut columns = Vec::new();
        for (it, coordinates) in self.tracked.iter().zip(coordinates) {
            columns.push(self.values_at(&pass, it, inputs, labels, coordinates)?);
        }
        let row = |example: usize| {
            let part = move |(column, coordinates): (&'_ Vec<f64>, &Vec<usize>)| {
                column[example * coordinates.len()..][..coordinates.len()].iter().map(|&value| value as f32).collect()
            };
            columns.iter().zip(coordinates).map(part).collect::<Vec<Vec<f32>>>().concat()
        };
        let rows = (0..examples).map(row).collect::<Vec<_>>().concat();
        Ok((pass.losses, rows))
    }

    /// The gradients of a minibatch, as update rules ask for them.
    ///
    /// # Errors
    /// A parameter of no tapped layer, or the tensor library refuses.
    pub fn minibatch(&self, inputs: &Tensor, labels: &Tensor) -> Result<Gradients<'_>> {
        if let Some(it) = self.tracked.iter().find(|it| it.users.is_empty()) {
            bail!("parameter {} belongs to no tapped layer: no update rule can have its gradients", it.name);
        }
        let (pass, backward) = self.tapped(inputs, labels)?;
        Ok(Gradients { probe: self, pass, backward })
    }

    /// The sum of a minibatch's gradients, each times its factor, by parameter.
    pub(super) fn weighted_sum(&self, backward: &Backward, factors: &[f32]) -> Result<Vec<Tensor>> {
        let factors = Tensor::new(factors, backward.losses.device())?;
        let gradients = (&backward.losses * factors)?.sum_all()?.backward()?;
        self.tracked.iter().map(|it| gradient_of(&gradients, it)?.contiguous()).collect()
    }

    /// The sum of a minibatch's gradients, by parameter.
    pub(super) fn sum(&self, backward: &Backward) -> Result<Vec<Tensor>> {
        self.tracked.iter().map(|it| gradient_of(&backward.gradients, it)?.contiguous()).collect()
    }

    /// ‖g_i‖² of every example over all parameters of tapped layers.
    pub(super) fn norms_sq(&self, pass: &Pass) -> Result<Vec<f64>> {
        let mut norms_sq = vec![0.0; pass.losses.len()];
        for it in &self.tracked {
            let uses: Vec<_> = pass.uses(it).collect();
            let of_parameter = self.self_terms_of_uses(&uses, pass.losses.len())?;
            norms_sq.iter_mut().zip(of_parameter).for_each(|(sum, value)| *sum += value);
        }
        Ok(norms_sq)
    }

    /// The gradient of every example in some rows of a parameter, `[B, values]`.
    pub(super) fn gradients_of_rows(&self, pass: &Pass, parameter: usize, rows: Range<usize>) -> Result<Tensor> {
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
    }

    /// The first layer and example of which an input or a gradient at an output is not finite.
    pub(super) fn first_not_finite(&self, pass: &Pass) -> Result<Option<(&'static str, usize, usize)>> {
        for (layer, uses) in pass.uses.iter().enumerate() {
            for taken in uses {
                for (what, tensor) in [("activations", &taken.input), ("deltas", &taken.output_gradient)] {
                    if tensor.dtype() != DType::F32 {
                        continue;
                    }
                    if let Some(example) = first_non_finite_row(&tensor.flatten_from(1)?.contiguous()?)? {
                        return Ok(Some((what, layer, example)));
                    }
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
            let pass = self.pass(&inputs, &labels)?;
            for (place, (it, total)) in self.tracked.iter().zip(&totals).enumerate() {
                found.contributions[place].extend(self.contributions(&pass, it, &inputs, &labels, total)?);
                found.self_terms[place].extend(self.self_terms(&pass, it, &inputs, &labels)?);
            }
            found.losses.extend(pass.losses);
        }
        Ok(found)
    }

    /// The gradient of every parameter, summed over all examples, in f64.
    fn totals(&self, batches: impl Iterator<Item = Result<(Tensor, Tensor)>>) -> Result<Vec<Tensor>> {
        let mut totals: Option<Vec<Tensor>> = None;
        for batch in batches {
            let (inputs, labels) = batch?;
            let backward = self.backward(&inputs, &labels)?;
            let gradient = |it: &Tracked<'_>| gradient_of(&backward.gradients, it)?.to_dtype(DType::F64);
            let these = self.tracked.iter().map(gradient).collect::<Result<Vec<Tensor>>>()?;
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

    /// A forward and backward pass of the summed loss with all taps open.
    fn pass(&self, inputs: &Tensor, labels: &Tensor) -> Result<Pass> {
        Ok(self.tapped(inputs, labels)?.0)
    }

    /// The same, and what the backward pass found.
    fn tapped(&self, inputs: &Tensor, labels: &Tensor) -> Result<(Pass, Backward)> {
        self.layers.iter().for_each(|(_, layer)| layer.tap().open());
        let passed = self.backward(inputs, labels);
        // Every tap is closed, whatever happened, so that training goes on without them.
        let uses: Vec<Result<Vec<Use>>> = self.layers.iter().map(|(_, layer)| layer.tap().close()).collect();
        let backward = passed?;
        let named = |(uses, (name, _)): (Result<Vec<Use>>, &(String, &dyn Layer))| {
            uses.map_err(|error| candle_core::Error::Msg(format!("layer {name}: {error}")))
        };
        let uses = uses.into_iter().zip(&self.layers).map(named).collect::<Result<_>>()?;
        Ok((Pass { losses: backward.losses()?, uses }, backward))
    }

    /// The losses of a batch and the gradient of their sum; every parameter must have one.
    fn backward(&self, inputs: &Tensor, labels: &Tensor) -> Result<Backward> {
        let losses = self.model.losses(inputs, labels)?;
        if losses.dims() != [inputs.dim(0)?] {
            bail!(
                "losses have the shape {:?}, but must be one number for each of {} examples",
                losses.dims(),
                inputs.dim(0)?
            );
        }
        let gradients = losses.sum_all()?.backward()?;
        self.tracked.iter().try_for_each(|it| gradient_of(&gradients, it).map(drop))?;
        Ok(Backward { losses, gradients })
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
            let backward = self.backward(&inputs.narrow(0, example, 1)?, &labels.narrow(0, example, 1)?)?;
            take(gradient_of(&backward.gradients, it)?.clone())
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
    let Some(gradient) = gradients.get(it.var.as_tensor()) else {
        bail!(
            "parameter {} received no gradient: the loss does not depend on it, or an operation without a derivative \
             (candle's fused softmax, normalisations and attention) comes after it",
            it.name
        )
    };
    Ok(gradient)
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
