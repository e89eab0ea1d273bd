//! What a run must remember to go on as if it had never stopped, and when it is saved.
//!
//! Nothing random is among it: labels, samples and the order of examples are functions of the seed and the step
//! ([`crate::random`]). The bytes are a safetensors file, which [`cograd_trace::RunWriter::checkpoint`] keeps together
//! with the writer's place.

use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::error::RecordError;
use crate::experiment::CheckpointSettings;
use crate::training::{Evaluated, METRICS, SETS, State};

/// What the update carries: the rule's memories and the optimizer's.
const UPDATE: [&str; 2] = ["rule", "optimizer"];

/// After how long the first checkpoint of a process is due, if not sooner: until then nothing of the run can be seen.
const FIRST: Duration = Duration::from_secs(2);

/// Tells when a checkpoint is due.
pub(crate) struct Interval {
    /// The longest time between two, and that until the next, which doubles up to it.
    seconds: Option<(Duration, Duration)>,
    steps: Option<u64>,
    last: (Instant, u64),
}

impl Interval {
    /// Counts from now and from `step` on.
    pub fn new(settings: &CheckpointSettings, step: u64) -> Interval {
        let seconds = Duration::try_from_secs_f64(settings.every_seconds).unwrap_or(Duration::MAX);
        Interval {
            seconds: (!seconds.is_zero()).then_some((seconds, seconds.min(FIRST))),
            steps: (settings.every_steps > 0).then_some(settings.every_steps),
            last: (Instant::now(), step),
        }
    }

    /// Whether one is due before step `step`.
    pub fn is_due(&self, step: u64) -> bool {
        let (time, last) = self.last;
        step > last
            && (self.steps.is_some_and(|steps| step - last >= steps)
                || self.seconds.is_some_and(|(_, next)| time.elapsed() >= next))
    }

    /// One was taken before step `step`.
    pub fn taken(&mut self, step: u64) {
        self.last = (Instant::now(), step);
        if let Some((longest, next)) = &mut self.seconds {
            *next = next.saturating_mul(2).min(*longest);
        }
    }
}

/// The bytes of a state.
pub(crate) fn encode(state: &State) -> Result<Vec<u8>, RecordError> {
    let mut tensors = Tensors::default();
    tensors.add("step", Dtype::U64, [state.step], u64::to_le_bytes);
    for cograd_trace::Tensor { name, values, .. } in state.network.weights()? {
        tensors.add(name, Dtype::F32, values, f32::to_le_bytes);
    }
    for (part, memories) in UPDATE.into_iter().zip(state.update.state()) {
        for (index, values) in memories.into_iter().enumerate() {
            tensors.add(format!("{part}.{index}"), Dtype::F32, values, f32::to_le_bytes);
        }
    }
    let learned = state.learned_steps.iter().map(|step| step.unwrap_or(-1));
    tensors.add("learned_steps", Dtype::I64, learned, i64::to_le_bytes);
    let metrics = || state.metrics.iter();
    tensors.add("metrics.step", Dtype::I64, metrics().map(|metric| metric.step), i64::to_le_bytes);
    tensors.add("metrics.set", Dtype::U8, metrics().map(|metric| metric.set), u8::to_le_bytes);
    tensors.add("metrics.metric", Dtype::U8, metrics().map(|metric| metric.metric), u8::to_le_bytes);
    tensors.add("metrics.examples", Dtype::U32, metrics().map(|metric| metric.examples), u32::to_le_bytes);
    tensors.add("metrics.value", Dtype::F64, metrics().map(|metric| metric.value), f64::to_le_bytes);
    Ok(tensors.serialize()?)
}

/// Named vectors on their way into a safetensors file.
#[derive(Default)]
struct Tensors(Vec<(String, Dtype, usize, Vec<u8>)>);

impl Tensors {
    fn add<T, const N: usize>(
        &mut self,
        name: impl Into<String>,
        kind: Dtype,
        values: impl IntoIterator<Item = T>,
        to_bytes: impl Fn(T) -> [u8; N],
    ) {
        let mut bytes = Vec::new();
        values.into_iter().for_each(|value| bytes.extend_from_slice(&to_bytes(value)));
        self.0.push((name.into(), kind, bytes.len() / N, bytes));
    }

    fn serialize(&self) -> Result<Vec<u8>, SafeTensorError> {
        let views = self.0.iter().map(|(name, kind, length, bytes)| {
            TensorView::new(*kind, vec![*length], bytes).map(|view| (name.as_str(), view))
        });
        safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, None)
    }
}

/// Makes `initial`, the state of a run before its first step, the state that was encoded.
///
/// # Errors
/// The message, if the bytes are not those of a state of this run; `initial` is then of no use.
pub(crate) fn decode(bytes: &[u8], initial: &mut State) -> Result<(), String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let saved = Saved(&tensors);
    let step = saved.read("step", Dtype::U64, u64::from_le_bytes)?;
    initial.step = *step.first().ok_or("step is empty")?;
    let weights = initial.network.parameters().into_iter().map(|parameter| {
        let values = saved.read(&parameter.name, Dtype::F32, f32::from_le_bytes)?;
        match values.len() as u64 == parameter.size() {
            true => Ok(values),
            false => Err(format!("{} has {} values, not {}", parameter.name, values.len(), parameter.size())),
        }
    });
    let weights = weights.collect::<Result<Vec<_>, String>>()?;
    initial.network.set_weights(weights).map_err(|error| error.to_string())?;
    let memories = |part: &str| {
        let names = (0..).map(|index| format!("{part}.{index}")).take_while(|name| tensors.tensor(name).is_ok());
        names.map(|name| saved.read(&name, Dtype::F32, f32::from_le_bytes)).collect::<Result<Vec<_>, _>>()
    };
    initial.update.restore([memories(UPDATE[0])?, memories(UPDATE[1])?]);
    let learned = saved.read("learned_steps", Dtype::I64, i64::from_le_bytes)?;
    if learned.len() != initial.learned_steps.len() {
        return Err(format!("learned_steps has {} values, not {}", learned.len(), initial.learned_steps.len()));
    }
    initial.learned_steps = learned.into_iter().map(|step| (step >= 0).then_some(step)).collect();
    initial.metrics = metrics(&saved)?;
    Ok(())
}

struct Saved<'a>(&'a SafeTensors<'a>);

impl Saved<'_> {
    fn read<T, const N: usize>(&self, name: &str, kind: Dtype, of: impl Fn([u8; N]) -> T) -> Result<Vec<T>, String> {
        let tensor = self.0.tensor(name).map_err(|error| format!("{name}: {error}"))?;
        if tensor.dtype() != kind {
            return Err(format!("{name} is {:?}, not {kind:?}", tensor.dtype()));
        }
        Ok(tensor.data().as_chunks::<N>().0.iter().map(|bytes| of(*bytes)).collect())
    }
}

fn metrics(saved: &Saved<'_>) -> Result<Vec<Evaluated>, String> {
    let steps = saved.read("metrics.step", Dtype::I64, i64::from_le_bytes)?;
    let sets = saved.read("metrics.set", Dtype::U8, u8::from_le_bytes)?;
    let names = saved.read("metrics.metric", Dtype::U8, u8::from_le_bytes)?;
    let examples = saved.read("metrics.examples", Dtype::U32, u32::from_le_bytes)?;
    let values = saved.read("metrics.value", Dtype::F64, f64::from_le_bytes)?;
    let metric = |row: usize| {
        Some(Evaluated {
            step: *steps.get(row)?,
            set: *sets.get(row).filter(|set| usize::from(**set) < SETS.len())?,
            metric: *names.get(row).filter(|metric| usize::from(**metric) < METRICS.len())?,
            examples: *examples.get(row)?,
            value: *values.get(row)?,
        })
    };
    (0..steps.len()).map(|row| metric(row).ok_or_else(|| format!("metrics: row {row} is incomplete"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Gradients;
    use crate::network::Layer;
    use crate::network::testing::network;
    use crate::optimizer::{Momentum, Update};
    use crate::rule::{RuleError, Step, UpdateRule};

    /// A rule that does nothing but remember.
    #[derive(Default)]
    struct Remembering(Vec<Vec<f32>>);

    impl UpdateRule for Remembering {
        fn descend(&mut self, _: &Layer, _: usize, _: &Step<'_>) -> Result<(), RuleError> {
            Ok(())
        }
        fn direction(&mut self, _: u64, _: &Gradients<'_>) -> Result<Vec<candle_core::Tensor>, RuleError> {
            Ok(Vec::new())
        }
        fn state(&self) -> Vec<Vec<f32>> {
            self.0.clone()
        }
        fn restore(&mut self, state: Vec<Vec<f32>>) {
            self.0 = state;
        }
    }

    fn state(seed: u64, rule: &[&[f32]]) -> State {
        let metric = |step, set| Evaluated { step, set, metric: 1, examples: 7, value: 0.1 + 0.2 };
        let momentum = Momentum { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
        let mut update = Update::new(Box::<Remembering>::default(), Some(Box::new(momentum)));
        update.restore([rule.iter().map(|values| values.to_vec()).collect(), vec![vec![-0.0, 0.1]]]);
        State {
            step: 1 << 40,
            network: Box::new(network(&[5, 4, 3], seed)),
            update,
            learned_steps: vec![None, Some(0), Some(99)],
            metrics: vec![metric(0, 2), metric(1 << 40, 3)],
        }
    }

    fn initial() -> State {
        State { step: 0, learned_steps: vec![None; 3], metrics: Vec::new(), ..state(2, &[]) }
    }

    #[test]
    fn a_state_comes_back_bit_for_bit() {
        let state = state(1, &[&[1.0, -0.0, f32::MIN_POSITIVE / 2.0], &[]]);
        let mut restored = initial();
        decode(&encode(&state).unwrap(), &mut restored).unwrap();
        assert_eq!(restored.step, state.step);
        assert_eq!(restored.network.weights().unwrap(), state.network.weights().unwrap());
        assert_eq!((restored.learned_steps, restored.metrics), (state.learned_steps.clone(), state.metrics.clone()));
        let bits = |state: [Vec<Vec<f32>>; 2]| {
            state.map(|part| part.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        assert_eq!(bits(restored.update.state()), bits(state.update.state()));
        assert_eq!(restored.update.state().map(|part| part.len()), [2, 1]);
    }

    #[test]
    fn the_state_of_another_run_or_no_state_is_refused() {
        let bytes = encode(&state(1, &[])).unwrap();
        let mut wider = State { network: Box::new(network(&[6, 4, 3], 1)), ..initial() };
        assert!(decode(&bytes, &mut wider).is_err());
        let mut more_examples = State { learned_steps: vec![None; 4], ..initial() };
        assert!(decode(&bytes, &mut more_examples).unwrap_err().contains("learned_steps"));
        assert!(decode(b"nonsense", &mut initial()).is_err());
    }

    #[test]
    fn a_state_whose_step_is_not_that_of_its_evaluations_is_told() {
        let at = |step| {
            let metric = |step| Evaluated { step, set: 0, metric: 0, examples: 1, value: 1.0 };
            State { step, metrics: [0, 0, 3, 3].map(metric).to_vec(), ..state(1, &[]) }
        };
        let due = [0, 3, 9];
        assert!([4, 9].iter().all(|&step| at(step).has_evaluated(&due)));
        assert!([0, 3, 10].iter().all(|&step| !at(step).has_evaluated(&due)));
    }

    #[test]
    fn a_checkpoint_is_due_by_steps_or_by_time_and_never_twice_at_a_step() {
        let settings = |every_seconds, every_steps| CheckpointSettings { every_seconds, every_steps };
        let mut by_steps = Interval::new(&settings(0.0, 10), 5);
        assert!(!by_steps.is_due(14) && by_steps.is_due(15));
        by_steps.taken(15);
        assert!(!by_steps.is_due(24) && by_steps.is_due(25));
        let by_time = Interval::new(&settings(1e-9, 0), 5);
        assert!(!by_time.is_due(5) && by_time.is_due(6));
        assert!(!Interval::new(&settings(0.0, 0), 0).is_due(u64::MAX));
        assert!(!Interval::new(&settings(f64::MAX, 0), 0).is_due(u64::MAX));
    }
}
