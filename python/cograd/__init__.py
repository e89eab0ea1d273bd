"""The statistics of per-example gradients: record your own training run, analyse it in three lines.

    import cograd

    with cograd.torch.Recorder(model, train_set, "studies/mine") as recorder:
        for step, batch in enumerate(loader):
            recorder.step(step)
            train_step(model, batch)

    study = cograd.open("studies/mine").analyze(null_worlds=10_000)

Every part is imported when it is first used, so `import cograd` is fast and needs neither torch nor jax.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cograd.errors import CogradError as CogradError
    from cograd.study import Comparison as Comparison
    from cograd.study import Study as Study
    from cograd.study import compare as compare
    from cograd.study import open as open
    from cograd.writer import Writer as Writer

    __version__: str

#: Where each public name is defined.
_HOMES = {
    "CogradError": "errors",
    "Comparison": "study",
    "Study": "study",
    "Writer": "writer",
    "compare": "study",
    "open": "study",
}
_MODULES = (
    "bergson",
    "binary",
    "dask",
    "errors",
    "huggingface",
    "jax",
    "lightning",
    "ray",
    "remote",
    "results",
    "sample",
    "schedule",
    "shards",
    "study",
    "torch",
    "writer",
)

__all__ = [*_HOMES, "__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"{__name__}.{name}")
    elif name == "__version__":
        from importlib import metadata

        try:
            value = metadata.version("cograd")
        except metadata.PackageNotFoundError:  # a clone on the path, not installed
            value = "0.0.0+clone"
    else:
        raise AttributeError(f"module 'cograd' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
