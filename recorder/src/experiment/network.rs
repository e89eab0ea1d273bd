//! The networks that an experiment can name.

use serde::{Deserialize, Serialize};

use super::rule::Problem;

/// The network of every run, and the weights that it begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct NetworkSettings {
    /// What it is made of.
    pub kind: NetworkKind,
    /// Snapshot of another run, STUDY/RUN@STEP, whose weights are the initial ones; `{seed}` is the seed of the run.
    pub initial: Option<String>,
}

/// The kinds of networks, with their settings; `docs/experiments.md` describes each.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkKind {
    /// Fully connected, ReLU between layers.
    Mlp {
        /// Units of each hidden layer, from the input on; empty for a linear classifier.
        hidden: Vec<usize>,
    },
    /// Convolutions with pooling, then dense layers (LeCun et al. 1998).
    Convnet {
        /// Channels of each convolution.
        channels: Vec<usize>,
        /// Side of their kernels.
        kernel: usize,
        /// Units of each hidden dense layer.
        hidden: Vec<usize>,
    },
    /// A residual network with group normalisation (He et al. 2016, Wu & He 2018).
    Resnet {
        /// Channels of each stage; every stage but the first halves the image.
        channels: Vec<usize>,
        /// Residual blocks of a stage.
        blocks: usize,
        /// Groups of every normalisation.
        groups: usize,
    },
    /// A transformer's encoder over tokens (Vaswani et al. 2017), normalised before each part.
    Transformer {
        /// Width of every position.
        width: usize,
        /// Blocks of attention and a dense part.
        depth: usize,
        /// Heads of an attention.
        heads: usize,
        /// Tokens that are read of an example.
        context: usize,
    },
}

impl NetworkKind {
    /// Its name in experiments, traces and conditions.
    pub fn name(&self) -> &'static str {
        match self {
            NetworkKind::Mlp { .. } => "mlp",
            NetworkKind::Convnet { .. } => "convnet",
            NetworkKind::Resnet { .. } => "resnet",
            NetworkKind::Transformer { .. } => "transformer",
        }
    }

    /// Settings that are impossible with any data: the key and what is allowed.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match self {
            NetworkKind::Mlp { hidden } => units("network.hidden", "a layer of 0 units passes nothing on", hidden),
            NetworkKind::Convnet { channels, kernel, hidden } => {
                units("network.channels", "a convolution of 0 channels passes nothing on", channels)?;
                units("network.kernel", "a kernel of side 0 sees nothing", &[*kernel])?;
                units("network.hidden", "a layer of 0 units passes nothing on", hidden)
            }
            NetworkKind::Resnet { channels, blocks, groups } => {
                units("network.channels", "a stage of 0 channels passes nothing on", channels)?;
                units("network.blocks", "a stage of 0 blocks is none", &[*blocks])?;
                units("network.groups", "a normalisation has at least one group", &[*groups])?;
                let uneven = channels.iter().find(|channels| *channels % groups != 0);
                match (channels.is_empty(), uneven) {
                    (true, _) => Err(("network.channels", "empty: name the channels of at least one stage".into())),
                    (_, Some(channels)) => Err((
                        "network.groups",
                        format!("{groups}: {channels} channels cannot be normalised in so many groups of equal size"),
                    )),
                    _ => Ok(()),
                }
            }
            NetworkKind::Transformer { width, depth, heads, context } => {
                units("network.width", "a position of width 0 holds nothing", &[*width])?;
                units("network.depth", "a transformer has at least one block", &[*depth])?;
                units("network.heads", "an attention has at least one head", &[*heads])?;
                units("network.context", "at least one token must be read", &[*context])?;
                match width % heads {
                    0 => Ok(()),
                    _ => Err(("network.heads", format!("{heads}: a width of {width} cannot be divided among them"))),
                }
            }
        }
    }
}

/// Largest setting of a network: beyond it no parameter could be counted.
const MOST: usize = 1_000_000_000;

fn units(key: &'static str, nothing: &str, numbers: &[usize]) -> Result<(), Problem> {
    if numbers.contains(&0) {
        return Err((key, format!("{nothing}: every number is at least 1")));
    }
    match numbers.iter().find(|number| **number > MOST) {
        Some(number) => Err((key, format!("{number} units: a network has at most {MOST} parameters"))),
        None => Ok(()),
    }
}

/// The section as it is written: the keys of every kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default, skip_serializing_if = "Name::is_mlp")]
    kind: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    #[default]
    Mlp,
    Convnet,
    Resnet,
    Transformer,
}

impl Name {
    fn is_mlp(&self) -> bool {
        *self == Name::Mlp
    }
}

impl TryFrom<Keys> for NetworkSettings {
    type Error = String;

    fn try_from(mut keys: Keys) -> Result<NetworkSettings, String> {
        let kind = match keys.kind {
            Name::Mlp => NetworkKind::Mlp { hidden: keys.hidden.take().ok_or("missing field `hidden`")? },
            Name::Convnet => NetworkKind::Convnet {
                channels: keys.channels.take().unwrap_or_else(|| vec![6, 16]),
                kernel: keys.kernel.take().unwrap_or(5),
                hidden: keys.hidden.take().unwrap_or_else(|| vec![120, 84]),
            },
            Name::Resnet => NetworkKind::Resnet {
                channels: keys.channels.take().unwrap_or_else(|| vec![16, 32, 64]),
                blocks: keys.blocks.take().unwrap_or(1),
                groups: keys.groups.take().unwrap_or(8),
            },
            Name::Transformer => NetworkKind::Transformer {
                width: keys.width.take().unwrap_or(64),
                depth: keys.depth.take().unwrap_or(2),
                heads: keys.heads.take().unwrap_or(4),
                context: keys.context.take().unwrap_or(64),
            },
        };
        let initial = keys.initial.take();
        // What is left belongs to another kind.
        let left = [
            ("channels", keys.channels.is_some()),
            ("kernel", keys.kernel.is_some()),
            ("hidden", keys.hidden.is_some()),
            ("blocks", keys.blocks.is_some()),
            ("groups", keys.groups.is_some()),
            ("width", keys.width.is_some()),
            ("depth", keys.depth.is_some()),
            ("heads", keys.heads.is_some()),
            ("context", keys.context.is_some()),
        ];
        match left.into_iter().find(|(_, is_there)| *is_there) {
            Some((key, _)) => {
                Err(format!("network.{key}: a network of kind = \"{}\" has no such key: remove it", kind.name()))
            }
            None => Ok(NetworkSettings { kind, initial }),
        }
    }
}

impl From<NetworkSettings> for Keys {
    fn from(settings: NetworkSettings) -> Keys {
        let others = Keys { initial: settings.initial, ..Keys::default() };
        match settings.kind {
            NetworkKind::Mlp { hidden } => Keys { hidden: Some(hidden), ..others },
            NetworkKind::Convnet { channels, kernel, hidden } => Keys {
                kind: Name::Convnet,
                channels: Some(channels),
                kernel: Some(kernel),
                hidden: Some(hidden),
                ..others
            },
            NetworkKind::Resnet { channels, blocks, groups } => Keys {
                kind: Name::Resnet,
                channels: Some(channels),
                blocks: Some(blocks),
                groups: Some(groups),
                ..others
            },
            NetworkKind::Transformer { width, depth, heads, context } => Keys {
                kind: Name::Transformer,
                width: Some(width),
                depth: Some(depth),
                heads: Some(heads),
                context: Some(context),
                ..others
            },
        }
    }
}
