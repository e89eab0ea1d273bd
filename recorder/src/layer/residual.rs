//! A block with a way around it (He et al. 2016).

use candle_core::{Module, Result, Tensor};

use super::{Block, Layer, Layers, named};

/// output = shortcut(x) + body(x); without a shortcut x itself is added.
pub struct Residual {
    body: Box<dyn Block>,
    shortcut: Option<Box<dyn Block>>,
}

impl Residual {
    /// The identity around a body.
    pub fn new(body: impl Block + 'static) -> Residual {
        Residual { body: Box::new(body), shortcut: None }
    }

    /// A block of its own around a body, where shapes change.
    pub fn with_shortcut(body: impl Block + 'static, shortcut: impl Block + 'static) -> Residual {
        Residual { body: Box::new(body), shortcut: Some(Box::new(shortcut)) }
    }
}

impl Module for Residual {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.forward(input)?,
            None => input.clone(),
        };
        around + self.body.forward(input)?
    }
}

impl Layers for Residual {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        let shortcut = self.shortcut.iter().flat_map(|shortcut| named("shortcut", shortcut.as_ref()));
        named("body", self.body.as_ref()).into_iter().chain(shortcut).collect()
    }
}
