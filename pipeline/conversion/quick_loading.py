"""Leaves out what Keras does for nothing while a model is loaded; at GPT-2's size that is most of the time.

Random first weights, which the file's replace; two tokenizers, of which the farm uses neither; and a second copy of
every weight, which TensorFlow makes of arrays that are not aligned as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common.variables import Variable as KerasVariable
from keras.src.backend.tensorflow.core import Variable
from keras.src.saving import saving_lib
from keras_hub.tokenizers import BytePairTokenizer
from numpy.typing import NDArray

RANDOM_INITIALIZERS = (
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
    keras.initializers.TruncatedNormal,
    keras.initializers.VarianceScaling,
)
# TensorFlow shares memory with NumPy from this alignment on, in bytes.
ALIGNMENT = 64
# Smaller arrays are not worth the detour, in bytes.
SHARED_FROM = 1 << 16

_read_entry = saving_lib.H5IOStore.__getitem__
_convert_to_tensor = Variable._convert_to_tensor
_assign = KerasVariable.assign


@contextmanager
def quick_loading() -> Iterator[dict[int, Any]]:
    """While the context lasts, Keras loads the quick way. The loaded model's tokenizer knows its tables only.

    Gives the variables that were assigned, as those in the files are, by their ids.
    """
    assigned: dict[int, Any] = {}

    def assign(variable: Any, value: Any) -> Any:
        assigned[id(variable)] = variable
        return _assign(variable, value)

    with ExitStack() as stack:
        stack.enter_context(_replaced(KerasVariable, "assign", assign))
        for initializer in RANDOM_INITIALIZERS:
            stack.enter_context(_replaced(initializer, "__call__", _zeros))
        stack.enter_context(_replaced(saving_lib.H5IOStore, "__getitem__", _read_aligned))
        stack.enter_context(_replaced(Variable, "_convert_to_tensor", _take_over))
        stack.enter_context(_replaced(BytePairTokenizer, "_set_vocabulary_and_merges_tf", _keep_vocabulary))
        stack.enter_context(_replaced(BytePairTokenizer, "_set_vocabulary_and_merges_tokenizers", _keep_vocabulary))
        stack.enter_context(_replaced(BytePairTokenizer, "_token_to_id_tokenizers", _token_id))
        yield assigned


@contextmanager
def _replaced(owner: type[Any], name: str, function: Callable[..., Any]) -> Iterator[None]:
    original = vars(owner)[name]
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _zeros(_initializer: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    # Pages of zeros that are never read or written take no memory, unlike tf.zeros.
    return _shared(_aligned(np.zeros, tuple(shape), np.dtype(dtype or keras.config.floatx())))


def _read_aligned(store: Any, key: str) -> Any:
    """A weight from the file, in memory that TensorFlow takes over."""
    dataset = saving_lib.safe_get_h5_dataset(store._h5_entry_group, key)
    if dataset.nbytes < SHARED_FROM or "dtype" in dataset.attrs:
        return _read_entry(store, key)
    array = _aligned(np.empty, dataset.shape, dataset.dtype)
    dataset.read_direct(array)
    return array


def _take_over(variable: Any, value: Any, dtype: Any = None) -> Any:
    """What a variable is set to, as a tensor that shares the array's memory where it can."""
    aligned = isinstance(value, np.ndarray) and value.ctypes.data % ALIGNMENT == 0 and value.flags.c_contiguous
    if aligned and value.nbytes >= SHARED_FROM and value.dtype.name == dtype:
        return _shared(value)
    return _convert_to_tensor(variable, value, dtype=dtype)


def _shared(array: NDArray[Any]) -> tf.Tensor:
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def _aligned(
    make: Callable[[int, type[np.uint8]], NDArray[np.uint8]], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    size = int(np.prod(shape)) * dtype.itemsize
    room = make(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def _keep_vocabulary(tokenizer: Any, vocabulary: Mapping[str, int], merges: list[str]) -> None:
    # Past Keras's own __setattr__, which would wrap each of the entries.
    object.__setattr__(tokenizer, "vocabulary", vocabulary)
    object.__setattr__(tokenizer, "merges", merges)


def _token_id(tokenizer: Any, token: str) -> int:
    return int(tokenizer.vocabulary[token])
