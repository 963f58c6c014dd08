"""Orthogonalised momentum for weight matrices (Jordan et al. 2024, "Muon")."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of a Newton-Schulz step that moves singular values towards 1 quickly."""


class Orthogonalise(nn.Module):
    """Approximate U V^T for each matrix M = U S V^T in a K x m x n stack.

    Newton-Schulz works on the smaller Gram matrix. With P a polynomial in G = M M^T, each iteration
    maps M to P M and G to P G P. So only the first and the last product involve the long side.
    This is a module so that its FLOPs are counted like those of a layer.
    """

    counts_flops = True

    def forward(self, stack: Tensor) -> Tensor:
        if stack.shape[1] > stack.shape[2]:
            return self.forward(stack.mT).mT
        a, b, c = QUINTIC
        stack = stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)
        gram, total = stack @ stack.mT, None
        for iteration in range(ITERATIONS):
            polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
            polynomial.diagonal(dim1=1, dim2=2).add_(a)
            total = polynomial if total is None else polynomial @ total
            if iteration + 1 < ITERATIONS:
                gram = polynomial @ gram @ polynomial
        assert total is not None
        return total @ stack


class Muon(Optimizer):
    """SGD in which the momentum of every inner weight matrix is orthogonalised.

    The weight of a convolution counts as a matrix with one row per output channel. The first and
    the last matrix of a network (its input and its head) take plain SGD steps with the same
    learning rate. Weights that are not matrices do so too. Weight decay shrinks all weights by
    lr * weight_decay.

    Args:
        parameters: weights of the network, in its order.
        lr: learning rate of both kinds of step.
        momentum: Nesterov momentum of the matrices.
        weight_decay: decay of all weights, relative to the learning rate.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float, weight_decay: float
    ) -> None:
        weights = list(parameters)
        inner = [p for p in weights if p.dim() in (2, 4)][1:-1]
        rest = [p for p in weights if not any(p is matrix for matrix in inner)]
        shared = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        groups: list[dict[str, Any]] = [{"params": rest, "matrices": False}]
        if inner:
            groups.append({"params": inner, "matrices": True})
        super().__init__(groups, shared)
        self.orthogonalise = Orthogonalise()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            active = [p for p in group["params"] if p.grad is not None]
            if not active:
                continue
            if group["matrices"]:
                self._orthogonal_step(group, active)
            else:
                torch._foreach_mul_(active, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(active, [p.grad for p in active], alpha=-group["lr"])

    def _orthogonal_step(self, group: dict[str, Any], active: list[Tensor]) -> None:
        mu, by_shape = group["momentum"], defaultdict(list)
        for p in active:
            state = self.state[p]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(p)
            by_shape[tuple(p.flatten(1).shape)].append(p)
        torch._foreach_mul_(active, 1 - group["lr"] * group["weight_decay"])
        for (rows, columns), same in by_shape.items():
            stack = torch.stack([self._ahead(p, mu).flatten(1) for p in same])
            scale = -group["lr"] * max(1.0, rows / columns) ** 0.5
            for p, update in zip(same, self.orthogonalise(stack), strict=True):
                p.add_(update.view(p.shape), alpha=scale)

    def _ahead(self, p: Tensor, mu: float) -> Tensor:
        """Update the running mean of the gradient, and return the Nesterov look-ahead."""
        assert p.grad is not None
        mean = self.state[p]["momentum_buffer"].lerp_(p.grad, 1 - mu)
        return p.grad.lerp(mean, mu)
