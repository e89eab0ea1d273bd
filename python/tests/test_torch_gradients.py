"""Every recorded gradient, contribution and self term, against plain autograd, one example at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import cograd  # noqa: E402
from cograd.schedule import Schedule  # noqa: E402
from cograd.torch.rules.linear import Linear  # noqa: E402

torch.set_num_threads(1)
M, CLASSES, WORDS, LENGTH, WIDTH = 14, 3, 11, 5, 8
ONCE = Schedule(0, 0)


def images(channels: int = 2, size: int = 7) -> Tensor:
    return torch.randn(M, channels, size, size)


def tokens() -> Tensor:
    return torch.randint(0, WORDS, (M, LENGTH))


class Tokens(nn.Module):
    """An embedding, a body over [examples, positions, width], and a head over the mean."""

    def __init__(self, body: nn.Module, positions: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH, padding_idx=0)
        self.positions = nn.Embedding(LENGTH, WIDTH) if positions else None
        self.body, self.head = body, nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embedding(x)
        if self.positions is not None:
            y = y + self.positions(torch.arange(x.shape[1]))
        return self.head(self.body(y).mean(1))


class Attention(nn.Module):
    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first, dropout=0.1)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        y = self.attention(x, x, x, need_weights=False)[0]
        return y if self.batch_first else y.transpose(0, 1)


class Tied(nn.Module):
    """A language model whose embedding is its head; the loss is of every next token."""

    def __init__(self, by_module: bool) -> None:
        super().__init__()
        self.embedding, self.body = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False) if by_module else None
        if self.head is not None:
            self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.body(self.embedding(x)))
        return self.head(y) if self.head is not None else y @ self.embedding.weight.T


def next_token(model: nn.Module, batch: Any) -> Tensor:
    (x,) = batch
    z = model(x[:, :-1])
    return functional.cross_entropy(z.mT, x[:, 1:], reduction="none").mean(1)


class Loose(nn.Module):
    """Parameters without a module, one of them a single number, used with and without a batch dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.shift = nn.Parameter(torch.randn(6, CLASSES)), nn.Parameter(torch.randn(CLASSES))
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x @ self.weight).relu() + self.shift


class LowRank(nn.Module):
    """A frozen linear layer and a trained correction of low rank."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(6, CLASSES).requires_grad_(False)
        self.down, self.up = nn.Linear(6, 2, bias=False), nn.Linear(2, CLASSES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


class Flattened(nn.Module):
    """GPT-2's way: positions are rows of a matrix, for addmm and for linear."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(WIDTH, WIDTH)), nn.Parameter(torch.randn(WIDTH))
        self.linear, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.addmm(self.bias, x.reshape(-1, WIDTH), self.weight)
        return self.norm(self.linear(rows.relu())).view_as(x)


class Shared(nn.Module):
    """A layer that is used twice, with a ReLU in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(2):
            x = functional.relu(self.layer(x), inplace=True)
        return self.head(x)


def convolutions(norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        norm,
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 8, (3, 2), dilation=(1, 2), padding=(1, 2), groups=2, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


def settled_batch_norm() -> nn.Module:
    norm = nn.BatchNorm2d(4)
    norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5
    return norm


def sequence_convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(3, 4, 3, padding="same"), nn.Tanh(), nn.Conv1d(4, CLASSES, 4, stride=2), nn.Flatten(2)
    )


def mean_output(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]).mean(2), batch[1], reduction="none")


class Rows(nn.Module):
    """RMSNorm, and a norm of two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.rms, self.norm = nn.RMSNorm(WIDTH), nn.LayerNorm((LENGTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.rms(x) ** 2)


def encoder(batch_first: bool) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, 2, 12, dropout=0.2, batch_first=batch_first)


#: Name → model, inputs, its own loss if it has one, and the parameters that a rule must take.
MODELS: dict[str, tuple[Any, Any, Any, str]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, CLASSES)), "rows", None, "*"),
    "group_norm": (lambda: convolutions(nn.GroupNorm(2, 4)), "images", None, "*"),
    "batch_norm": (lambda: convolutions(settled_batch_norm()), "images", None, "*"),
    "conv1d": (sequence_convolution, "series", mean_output, "2.*"),
    "conv3d": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 2, 2, stride=(1, 2, 1)), nn.Flatten(), nn.Linear(2 * 2 * 2 * 3, CLASSES)
        ),
        "volumes",
        None,
        "*",
    ),
    "layer_norm": (lambda: Tokens(nn.LayerNorm(WIDTH)), "tokens", None, "*"),
    "norms": (lambda: Tokens(Rows()), "tokens", None, "*"),
    "attention": (lambda: Tokens(Attention()), "tokens", None, "embedding.* head.*"),
    "attention_batch_second": (lambda: Tokens(Attention(False)), "tokens", None, "embedding.* head.*"),
    "encoder": (lambda: Tokens(encoder(True)), "tokens", None, "body.linear1.* body.norm2.*"),
    "positions": (lambda: Tokens(nn.Linear(WIDTH, WIDTH), positions=True), "tokens", None, "body.* head.*"),
    "tied_modules": (lambda: Tied(True), "tokens_only", next_token, "*"),
    "tied_transpose": (lambda: Tied(False), "tokens_only", next_token, "body.*"),
    "loose": (Loose, "rows", None, ""),
    "low_rank": (LowRank, "rows", None, "*"),
    "flattened": (lambda: Tokens(Flattened()), "tokens", None, "*"),
    "shared": (Shared, "rows", None, "*"),
}


def data(kind: str) -> tuple[Tensor, ...]:
    label = torch.randint(0, CLASSES, (M,))
    made = {
        "rows": lambda: (torch.randn(M, 6), label),
        "images": lambda: (images(), label),
        "series": lambda: (torch.randn(M, 3, 9), label),
        "volumes": lambda: (torch.randn(M, 1, 3, 4, 4), label),
        "tokens": lambda: (tokens(), label),
        "tokens_only": lambda: (tokens(),),
    }
    return made[kind]()


def default_loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="none")


def plain(model: nn.Module, batch: tuple[Tensor, ...], loss: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each example's gradient, by parameter, [examples, values], from batches of one."""
    model.eval()
    names = [name for name, value in model.named_parameters() if value.requires_grad]
    values = [value for value in model.parameters() if value.requires_grad]
    rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for i in range(M):
        one = tuple(part[i : i + 1] for part in batch)
        for name, g in zip(
            names, torch.autograd.grad((loss or default_loss)(model, one).sum(), values), strict=True
        ):
            rows[name].append(g.reshape(-1).double().numpy())
    return {name: np.stack(value) for name, value in rows.items()}


def read(run: Path, table: str, column: str) -> np.ndarray:
    found = pq.read_table(next(iter(sorted((run / table).glob("part-*.parquet")))))[column].combine_chunks()
    return (found.flatten() if "list" in str(found.type) else found).to_numpy().reshape(len(found), -1)


def relative(found: np.ndarray, expected: np.ndarray, scale: float) -> float:
    return float(np.abs(found - expected).max() / scale)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("microbatch", [M, 4])
def test_what_is_recorded_is_what_plain_autograd_says(name: str, microbatch: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    build, kind, loss, fast = MODELS[name]
    model, batch = build(), data(kind)
    options = {
        "examples": 10,
        "coordinates": 20,
        "microbatch": microbatch,
        "schedule": ONCE,
        "population": ONCE,
    }
    recorder = cograd.torch.Recorder(model, batch, tmp_path, loss=loss, evaluations=None, **options)
    recorder.step(0)
    for pattern in fast.split():
        assert cograd.sample.matching(recorder._engine.ruled, pattern)
    if fast == "*":
        assert recorder._engine.ruled == recorder._probe.names
    run = recorder.close()

    expected = plain(model, batch, loss)
    names = pq.read_table(run / "parameters.parquet")["name"].to_pylist()
    layers = pq.read_table(run / "parameters.parquet")["layer"].to_pylist()
    assert names == list(expected)
    coordinates = pq.read_table(run / "coordinates.parquet").to_pandas()
    sampled = pq.read_table(run / "examples.parquet")["sampled"].to_numpy()
    found = read(run, "gradients", "gradient")
    largest = max(np.abs(g).max() for g in expected.values())
    for number, parameter in enumerate(names):
        own = coordinates[coordinates.parameter == number]
        scale = max(np.abs(expected[parameter]).max(), 1e-3 * largest)
        theirs = expected[parameter][sampled][:, own["index"]]
        assert relative(found[:, own.index], theirs, scale) <= 1e-5, parameter

    totals = {parameter: g.sum(0) for parameter, g in expected.items()}
    contributions, self_terms = (
        read(run, "population", f"{column}_by_layer") for column in ("contribution", "self_term")
    )
    for place, layer in enumerate(dict.fromkeys(layers)):
        own = [parameter for parameter, its in zip(names, layers, strict=True) if its == layer]
        s = sum(expected[parameter] @ totals[parameter] for parameter in own)
        q = sum((expected[parameter] ** 2).sum(1) for parameter in own)
        total_norm = sum((totals[parameter] ** 2).sum() for parameter in own) ** 0.5
        scale = max(np.sqrt(q.max()) * total_norm, 1e-6 * largest**2)
        assert relative(contributions[:, place], s, scale) <= 1e-4, layer
        assert relative(self_terms[:, place], q, max(q.max(), 1e-6 * largest**2)) <= 1e-4, layer
    check = json.loads((run / "manifest.json").read_text())["task"]["self_check"]
    assert check["examples"] == 2 and 0 <= check["largest_relative_difference"] <= 1e-5


def test_a_model_in_half_precision_is_recorded_in_single(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, CLASSES))
    batch = data("rows")
    half = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, CLASSES)).to(torch.bfloat16)
    half.load_state_dict(model.state_dict())
    model.load_state_dict(half.state_dict())
    runs = []
    for name, (net, inputs) in {
        "half": (half, batch[0].bfloat16()),
        "single": (model, batch[0].bfloat16().float()),
    }.items():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            recorder = cograd.torch.Recorder(net, (inputs, batch[1]), tmp_path / name, schedule=ONCE)
            recorder.step(0)
        runs.append(recorder.close())
    first, second = (read(run, "gradients", "gradient") for run in runs)
    assert np.array_equal(first, second) and half[0].weight.dtype == torch.bfloat16
    assert json.loads((runs[0] / "manifest.json").read_text())["task"]["dtype"] == "float32"


def test_a_model_that_vmap_cannot_take_is_recorded_one_example_at_a_time(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(6, CLASSES))

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([row @ self.weight * (2 if row.sum().item() > 0 else 1) for row in x])

    torch.manual_seed(0)
    model, batch = Branching(), data("rows")
    recorder = cograd.torch.Recorder(model, batch, tmp_path, schedule=ONCE, population=ONCE)
    recorder.step(0)
    run = recorder.close()
    expected = plain(model, batch, None)["weight"]
    assert np.abs(read(run, "gradients", "gradient") - expected).max() <= 1e-5
    assert np.allclose(
        read(run, "population", "contribution")[:, 0], expected @ expected.sum(0), rtol=1e-4, atol=1e-5
    )
    assert np.allclose(read(run, "population", "self_term")[:, 0], (expected**2).sum(1), rtol=1e-4)


def test_a_parameter_that_a_batch_uses_in_another_way_loses_its_rule(tmp_path: Path) -> None:
    class Sized(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.T + self.bias if len(x) > 3 else super().forward(x)

    torch.manual_seed(0)
    model, batch = Sized(6, CLASSES), data("rows")
    recorder = cograd.torch.Recorder(model, batch, tmp_path, schedule=ONCE, population=ONCE)
    recorder.step(0)
    expected = plain(model, batch, None)
    everything = np.concatenate([expected["weight"], expected["bias"]], axis=1)
    assert recorder._engine.ruled == []
    run = recorder.close()
    assert np.abs(read(run, "gradients", "gradient") - everything).max() <= 1e-5
    found = read(run, "population", "contribution")[:, 0]
    assert np.allclose(found, everything @ everything.sum(0), rtol=1e-4, atol=1e-4)


def test_a_broken_rule_stops_the_recording_and_names_the_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Linear.gradient_at
    monkeypatch.setattr(Linear, "gradient_at", lambda *arguments: 1.001 * right(*arguments))
    recorder = cograd.torch.Recorder(MODELS["mlp"][0](), data("rows"), tmp_path)
    with pytest.raises(cograd.errors.SelfCheckError, match=r"(0|2)\.(weight|bias): .* rule"):
        recorder.step(0)
    recorder.abort()
    assert not list((tmp_path / "runs").glob("*/manifest.json"))


class Forced(nn.Module):
    """What ignores evaluation mode: a BatchNorm in training mode, or a dropout that is on."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.first, self.head = kind, nn.Conv2d(2, 4, 3), nn.Linear(4, CLASSES)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        if self.kind == "batch_norm":
            y = self.norm.train()(y)
        elif self.kind == "batch statistics":
            y = functional.batch_norm(y, None, None, self.norm.weight, self.norm.bias, True)
        y = y.mean((2, 3))
        return self.head(functional.dropout(y, 0.3, training=True) if self.kind == "dropout" else y)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("batch_norm", "changed norm.running_mean, .*: a normalisation is in training mode"),
        ("batch statistics", "depends on the others of its batch"),
        ("dropout", "a dropout is on"),
    ],
)
def test_a_model_that_ignores_evaluation_mode_stops_the_recording(
    kind: str, said: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = Forced(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recorder = cograd.torch.Recorder(model, data("images"), tmp_path, evaluations=None)
    with pytest.raises(cograd.errors.SelfCheckError, match=r"(first|norm|head)\.(weight|bias).*" + said):
        recorder.step(0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
