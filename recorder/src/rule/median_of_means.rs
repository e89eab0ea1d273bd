//! Median of means: M3 for three groups (Zielinski, Krishnan & Chatterjee 2020, arXiv 2003.07422).

use super::{RuleError, Step, UpdateRule};
use crate::network::{self, DescendBy, Network};

/// w ← w − η · the coordinate-wise median of the mean gradients of groups of the minibatch.
///
/// Groups are consecutive examples and differ in size by at most one; an even number of them has two medians, whose mean
/// is taken. A minibatch of fewer examples than groups has a group an example.
#[derive(Clone, Copy, Debug)]
pub struct MedianOfMeans {
    /// Groups, at least 1.
    pub groups: usize,
}

impl UpdateRule for MedianOfMeans {
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> Result<(), RuleError> {
        step.ensure_finite()?;
        let groups = self.groups.clamp(1, step.pass.batch().max(1));
        let descend = DescendBy { scale: step.learning_rate as f32, rule: network::MedianOfMeans { groups } };
        for ((layer, inputs), deltas) in network.layers().iter().zip(step.pass.layer_inputs()).zip(step.deltas.layers())
        {
            layer.weight().inplace_op3(inputs, deltas, &descend)?;
            layer.bias().inplace_op2(deltas, &descend)?;
        }
        Ok(())
    }
}
