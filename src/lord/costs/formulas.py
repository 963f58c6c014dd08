"""FLOPs of operators that PyTorch's counter does not know, or counts wrongly.

Each formula takes the operator's arguments. A multiply-add is 2 FLOPs. Direct solvers cost what
LAPACK's documentation says (Blackford and Dongarra 1999, "Installation Guide for LAPACK").
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

Formula = Callable[..., int]


def vector_product(a: Tensor, *_: Any, **__: Any) -> int:
    """Count the product of a vector or a matrix with a vector."""
    return 2 * a.numel()


def linear(x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """Count a linear layer that was not split into smaller operators, as on nested tensors."""
    return 2 * x.numel() * len(weight)


def linear_backward(x: Tensor, _: Tensor, weight: Tensor, *__: Any, **___: Any) -> int:
    return 2 * linear(x, weight)


def convolution_backward(gradient: Tensor, x: Tensor, weight: Tensor, *rest: Any, **_: Any) -> int:
    """Count each gradient of a convolution as its forward pass.

    PyTorch's formula ignores groups in the gradient of the weight. For a depthwise convolution of
    c channels, it would count c times too many FLOPs.
    """
    transposed, wanted = rest[-4], rest[-1]
    places = (x if transposed else gradient).shape[2:]
    return 2 * len(x) * prod(places) * weight.numel() * sum(wanted[:2])


def matrix_product(a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """Count the product of two matrices, or of matrices in groups of rows or columns."""
    rows = prod(a.shape[-2:]) if b.dim() < a.dim() else a.numel()
    return 2 * rows * b.shape[-1]


def added_product(_: Tensor, a: Tensor, b: Tensor, *__: Any, **___: Any) -> int:
    """Count a product that is added to the first argument."""
    return matrix_product(a, b) if b.dim() > 1 else vector_product(a)


def triple_product(a: Tensor, b: Tensor, c: Tensor, *places: Any, **_: Any) -> int:
    """Count the products of a bilinear layer, whose arguments are expanded at given places."""
    expanded = []
    for tensor, added in zip((a, b, c), places[:3], strict=True):
        shape = list(tensor.shape)
        for place in added:
            shape.insert(place, 1)
        expanded.append(shape)
    return 2 * prod(torch.broadcast_shapes(*expanded))


def distances(a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """Count the distances of all rows of two matrices as one matrix product."""
    return 2 * a.numel() * b.shape[-2]


def distances_backward(_: Tensor, a: Tensor, b: Tensor, *__: Any, **___: Any) -> int:
    return distances(a, b)


def attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Count queries times keys, and attention weights times values."""
    width, keys = query.shape[-1], key.shape[-2]
    return 2 * query.numel() // width * keys * (width + value.shape[-1])


def attention_backward(_: Tensor, *qkv: Any, **__: Any) -> int:
    """Count twice the forward pass, as for attention without a fused kernel."""
    return 2 * attention(*qkv)


def self_attention(
    query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, *weights: Any, **_: Any
) -> int:
    """Count ``nn.MultiheadAttention`` in its fast path for inference."""
    lengths = _lengths(query)
    products = 4 * width * sum(length**2 for length in lengths)
    return products + 2 * sum(lengths) * (weights[0].numel() + weights[2].numel())


def encoder_layer(x: Tensor, width: int, heads: int, *weights: Any, **_: Any) -> int:
    """Count ``nn.TransformerEncoderLayer`` in its fast path for inference."""
    layers = weights[11].numel() + weights[13].numel()
    return self_attention(x, x, x, width, heads, *weights) + 2 * sum(_lengths(x)) * layers


def _lengths(x: Tensor) -> list[int]:
    """Return the number of tokens of each sequence in a batch, which may be nested."""
    if x.is_nested:
        return [len(sequence) for sequence in x.unbind()]
    return [x.shape[1]] * len(x)


def recurrent(x: Tensor, weights: list[Tensor], *_: Any, **__: Any) -> int:
    """Count all layers of a recurrent network as cuDNN and MIOpen run them."""
    tokens = x.numel() // x.shape[-1]
    return 2 * tokens * sum(weight.numel() for weight in weights if weight.dim() == 2)


def recurrent_layer(x: Tensor, *weights: Any, **_: Any) -> int:
    """Count one layer of a recurrent network as oneDNN runs it."""
    return recurrent(x, [weights[0], weights[1]])


def cholesky(matrix: Tensor, *_: Any, **__: Any) -> int:
    return matrix.numel() * matrix.shape[-1] // 3


def lu(matrix: Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel() * min(matrix.shape[-2:]) // 3


def inverse(matrix: Tensor, *_: Any, **__: Any) -> int:
    return 2 * matrix.numel() * matrix.shape[-1]


def solve(matrix: Tensor, right: Tensor, *_: Any, **__: Any) -> int:
    return lu(matrix) + 2 * matrix.shape[-1] * right.numel()


def triangular(matrix: Tensor, right: Tensor, *_: Any, **__: Any) -> int:
    return matrix.shape[-1] * right.numel()


def factored(right: Tensor, factor: Tensor, *_: Any, **__: Any) -> int:
    """Count a solution with both triangles of a Cholesky factor."""
    return 2 * factor.shape[-1] * right.numel()


def factored_lu(matrix: Tensor, _: Tensor, right: Tensor, *__: Any, **___: Any) -> int:
    return 2 * matrix.shape[-1] * right.numel()


def twice(formula: Formula) -> Formula:
    """Return the formula of a backward pass that costs as much as two forward passes."""
    return lambda *args, **kwargs: 2 * formula(*args, **kwargs)


OURS: dict[str, Formula] = {
    "linear": linear,
    "linear_backward": linear_backward,
    "convolution_backward": convolution_backward,
    "dot": vector_product,
    "vdot": vector_product,
    "mv": vector_product,
    "addmv": added_product,
    "addmv_": added_product,
    "addbmm": added_product,
    "addbmm_": added_product,
    "addmm_": added_product,
    "baddbmm_": added_product,
    "_addmm_activation": added_product,
    "_int_mm": matrix_product,
    "_grouped_mm": matrix_product,
    "_scaled_grouped_mm": matrix_product,
    "_trilinear": triple_product,
    "_euclidean_dist": distances,
    "_cdist_forward": distances,
    "_cdist_backward": distances_backward,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention_for_cpu_backward": attention_backward,
    "_native_multi_head_attention": self_attention,
    "_transformer_encoder_layer_fwd": encoder_layer,
    "_cudnn_rnn": recurrent,
    "_cudnn_rnn_backward": twice(recurrent),
    "miopen_rnn": recurrent,
    "miopen_rnn_backward": twice(recurrent),
    "mkldnn_rnn_layer": recurrent_layer,
    "mkldnn_rnn_layer_backward": twice(recurrent_layer),
    "linalg_cholesky_ex": cholesky,
    "linalg_lu_factor_ex": lu,
    "linalg_inv_ex": inverse,
    "_linalg_solve_ex": solve,
    "linalg_solve_triangular": triangular,
    "cholesky_solve": factored,
    "linalg_lu_solve": factored_lu,
}
"""Name of each operator in ``torch.ops.aten``, and its formula."""

FORMULAS: dict[Any, Formula] = {
    **flop_registry,
    **{getattr(torch.ops.aten, n): f for n, f in OURS.items() if hasattr(torch.ops.aten, n)},
}
"""The formulas of PyTorch's counter and ours. Its formulas are called with ``out_val``."""

MOVES = """
_copy_from _foreach_clone _foreach_copy_ _foreach_zero_ _local_scalar_dense _reshape_copy _to_copy
_unsafe_view arange cat clone constant_pad_nd copy_ diagonal_copy embedding empty empty_like
empty_strided eye fill fill_ flip full full_like gather index index_copy index_copy_ index_put
index_put_ index_select masked_select new_empty new_empty_strided new_full new_ones new_zeros
nonzero ones ones_like repeat resize_ roll scalar_tensor scatter scatter_ select_backward
select_scatter set_ slice_backward slice_scatter split_with_sizes_copy stack tril triu zero_ zeros
zeros_like
"""
PROPERTIES = """
dim is_contiguous is_non_overlapping_and_dense is_strides_like_format layout numel size
storage_offset stride sym_is_contiguous sym_numel sym_size sym_storage_offset sym_stride
"""
FREE = frozenset((MOVES + PROPERTIES).split())
"""Operators that move or set values, or ask a tensor of a subclass for a property."""
