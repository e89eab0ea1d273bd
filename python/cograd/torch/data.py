"""The training set: examples by their number, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import TensorDataset, default_collate

from cograd.errors import DataError

Collate = Callable[[list[Any]], Any]


class Examples:
    """A data set with a length, or tensors with an example in each row."""

    def __init__(self, data: Any, collate: Collate | None, device: torch.device) -> None:
        """Raises DataError where examples cannot be had by their number."""
        if isinstance(data, Tensor):
            data = (data,)
        if isinstance(data, (tuple, list)) and data and all(isinstance(part, Tensor) for part in data):
            if len({len(part) for part in data}) > 1:
                raise DataError(f"the tensors hold {[len(part) for part in data]} examples: they must agree")
            data = TensorDataset(*data)
        try:
            self._length = len(data)
        except TypeError as error:
            raise DataError(
                f"{type(data).__name__} has no length: the recorder needs examples by their number, "
                "so give it a data set with __len__ and __getitem__, or tensors"
            ) from error
        if self._length < 1 or not hasattr(data, "__getitem__"):
            raise DataError(f"{type(data).__name__} has no example that can be had by its number")
        self._data, self._collate, self._device = data, collate, device

    def __len__(self) -> int:
        """Their number."""
        return self._length

    def batch(self, ids: Sequence[int] | NDArray[np.int64]) -> Any:
        """These examples as one batch, on the model's device."""
        if isinstance(self._data, TensorDataset) and self._collate is None:
            rows = torch.as_tensor(np.asarray(ids), device=self._data.tensors[0].device)
            batch: Any = tuple(tensor[rows.to(tensor.device)] for tensor in self._data.tensors)
        else:
            batch = self._collated([self._data[int(number)] for number in ids], ids)
        return tree_map(self._moved, batch)

    def chunks(self, ids: NDArray[np.int64], size: int) -> Iterator[Any]:
        """These examples in batches of at most `size`."""
        for start in range(0, len(ids), size):
            yield self.batch(ids[start : start + size])

    def labels(self) -> NDArray[Any] | None:
        """The label of every example, where it is one number or text an example."""
        if isinstance(self._data, TensorDataset):
            last = self._data.tensors[-1]
            whole = last.ndim == 1 and not last.is_floating_point() and len(self._data.tensors) > 1
            return last.cpu().numpy() if whole else None
        for name in ("targets", "labels"):
            known = getattr(self._data, name, None)
            if known is not None and len(known) == len(self):
                return _labels([_plain(label) for label in known])
        if _label(self._data[0]) is None:
            return None
        return _labels([_label(self._data[number]) for number in range(len(self))])

    def _collated(self, items: list[Any], ids: Sequence[int] | NDArray[np.int64]) -> Any:
        try:
            return (self._collate or default_collate)(items)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            first = _shapes(items[0])
            for number, item in zip(ids, items, strict=True):
                if _shapes(item) != first:
                    raise DataError(
                        f"example {number} is {_shapes(item)}, and example {ids[0]} is {first}: examples of one batch "
                        "must have the same shapes; give `collate`, which makes a batch of a list of examples"
                    ) from error
            raise DataError(f"examples {ids[0]} to {ids[-1]} cannot be made a batch: {error}") from error

    def _moved(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        half = leaf.dtype in (torch.float16, torch.bfloat16)
        return leaf.to(self._device, torch.float32 if half else leaf.dtype)


def batch_size(batch: Any) -> int | None:
    """The number of examples of a batch whose tensors all have one in each row; None for others."""
    sizes = {leaf.shape[0] if isinstance(leaf, Tensor) and leaf.ndim else None for leaf in tree_leaves(batch)}
    return sizes.pop() if len(sizes) == 1 else None


def _label(item: Any) -> Any:
    """The label of an example as the default collation's users arrange it: the last of a pair, or by name."""
    if isinstance(item, Mapping):
        found = next((item[name] for name in ("label", "labels") if name in item), None)
    else:
        found = item[-1] if isinstance(item, (tuple, list)) and len(item) > 1 else None
    found = _plain(found)
    return found if isinstance(found, (int, str)) else None


def _plain(value: Any) -> Any:
    is_number = isinstance(value, (Tensor, np.ndarray, np.generic)) and np.ndim(value) == 0
    return value.item() if is_number else value


def _labels(values: list[Any]) -> NDArray[Any] | None:
    plain = all(isinstance(value, (int, str)) for value in values)
    return np.array(values) if plain else None


def _shapes(item: Any) -> Any:
    return tree_map(lambda leaf: tuple(np.shape(leaf)) if not isinstance(leaf, str) else "text", item)
