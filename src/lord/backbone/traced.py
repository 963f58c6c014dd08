"""A network as a graph of layers, with the places where it can be cut."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from lord.config import UserError, first_line
from lord.networks import head_name

LAYERS = (_ConvNd, nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.MultiheadAttention)
"""Modules that stay layers in the graph, subclasses included. PyTorch's other layers do too."""
CONTAINERS = (nn.Sequential, nn.ModuleList)
"""Modules whose children are listed as places to cut."""
ROOT = "network."
"""Prefix of all names while a network is traced."""


class Traced:
    """A network as a graph.

    Args:
        network: in evaluation mode. It is not copied.
        example: images as the network takes them.

    Raises:
        UserError: if the network cannot be traced.

    Attributes:
        nodes: each layer's name -> the node that holds what it returns.
        allowed: names of the layers after which the network can be cut, in order.
        listed: one name for each place to cut after a member of a sequence, or after a layer that
            stands directly in the network.
    """

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        self.network = network
        tracer = _Tracer()
        try:
            self.graph = tracer.trace(_Rooted(network))
        except Exception as error:  # whatever the network's code raises for a symbolic value
            reason = f"{type(network).__name__} cannot be traced: {first_line(error)}"
            raise UserError(reason, field="cut", hint="leave `cut` out") from None
        for node in self.graph.nodes:
            if node.op in ("call_module", "get_attr"):
                name = str(node.target)
                if not name.startswith(ROOT):  # a tensor that the network's code made
                    setattr(network, name, getattr(tracer.root, name))
                node.target = name.removeprefix(ROOT)
        self.nodes = tracer.layers
        self._order = {node: place for place, node in enumerate(self.graph.nodes)}
        self._fixed = _fixed(self.graph)
        self._images = example
        self._measure(example)
        self._end = self._order[self._classifier()]
        places = self._places()
        named = [(self._order[node], name) for name, node in self.nodes.items() if node in places]
        self.allowed = [name for _, name in sorted(named)]
        names = sorted(filter(self._is_listed, self.allowed), key=self._preference, reverse=True)
        listed = {self.nodes[name]: name for name in names}  # the last name of a place stays
        self.listed = sorted(listed.values(), key=lambda name: self._order[self.nodes[name]])

    def share(self, name: str) -> float:
        """Return the share of the forward pass's FLOPs that is spent up to a layer's end."""
        total = self._flops[-1]
        return self._flops[self._order[self.nodes[name]]] / total if total else 0.0

    def values(self, name: str) -> int:
        """Return the number of values that a layer returns for an image."""
        return self._sizes[self.nodes[name]] // len(self._images)

    def is_below_classifier(self, name: str) -> bool:
        """Return whether a layer comes before the classifier."""
        return self._order[self.nodes[name]] < self._end

    def near(self, name: str) -> list[str]:
        """Return the last listed layer before a layer, and the first one after it."""
        place = self._order[self.nodes[name]]
        before = [each for each in self.listed if self._order[self.nodes[each]] < place]
        after = [each for each in self.listed if self._order[self.nodes[each]] > place]
        return before[-1:] + after[:1]

    @torch.no_grad()
    def split(self, name: str) -> tuple[nn.Module, nn.Module]:
        """Return two modules, the layers up to an allowed one and those after it."""
        place = self.nodes[name]
        nodes = list(self.graph.nodes)
        until = self._order[place] + 1
        below = self._part(nodes[:until], {}, fx.Graph(), place)
        graph = fx.Graph()
        latents = graph.placeholder("latents")
        above = self._part(nodes[until:], {place: latents}, graph, None)
        values = below(self._images)
        kept = values.clone()
        above(values)
        if not torch.equal(values, kept):  # a layer works in place, on values that callers keep
            graph = fx.Graph()
            copied = graph.call_method("clone", (graph.placeholder("latents"),))
            above = self._part(nodes[until:], {place: copied}, graph, None)
        return below, above

    def _part(
        self,
        nodes: list[fx.Node],
        copied: dict[fx.Node, fx.Node],
        graph: fx.Graph,
        returned: fx.Node | None,
    ) -> nn.Module:
        """Make a module of some nodes, and of the constants that they need."""

        def copy_of(node: fx.Node) -> fx.Node:
            if node not in copied:
                copied[node] = graph.node_copy(node, copy_of)
            return copied[node]

        for node in nodes:
            if node not in self._fixed:
                copy_of(node)
        if returned is not None:
            graph.output(copied[returned])
        graph.lint()
        return fx.GraphModule(self.network, graph)

    @torch.no_grad()
    def _measure(self, example: Tensor) -> None:
        """Count the FLOPs of convolutions and linear layers, and the values, up to each node."""
        self._flops: list[int] = []
        self._sizes: dict[fx.Node, int] = {}
        spent = [0]

        def count(layer: nn.Module, _: object, out: Tensor) -> None:
            assert isinstance(layer.weight, Tensor)
            spent[0] += 2 * out.numel() * layer.weight[0].numel()

        layers = [m for m in self.network.modules() if isinstance(m, _ConvNd | nn.Linear)]
        hooks = [layer.register_forward_hook(count) for layer in layers]

        def note(node: fx.Node, out: object) -> None:
            self._flops.append(spent[0])
            if isinstance(out, Tensor):
                self._sizes[node] = out.numel()

        try:
            _Run(fx.GraphModule(self.network, self.graph), note).run(example)
        finally:
            for hook in hooks:
                hook.remove()

    def _places(self) -> set[fx.Node]:
        """Return the nodes that hold all that later nodes depend on, before the classifier."""
        last = {node: max((self._order[user] for user in node.users), default=-1)
                for node in self.graph.nodes if node not in self._fixed}  # fmt: skip
        found, needed = set(), -1  # the last node that needs one of the nodes before
        for place, node in enumerate(self.graph.nodes):
            if place >= self._end:
                break
            if node in self._fixed:
                continue
            if needed <= place and node in self._sizes and node.op != "placeholder":
                found.add(node)
            needed = max(needed, last[node])
        return found

    def _is_listed(self, name: str) -> bool:
        """Return whether a layer stands in a sequence, or directly in the network.

        Inside a member of a sequence, layers with more values than the member returns are left out.
        """
        path = name.split(".")
        outer = [".".join(path[:depth]) for depth in range(1, len(path))]
        if outer and type(self.network.get_submodule(outer[-1])) not in CONTAINERS:
            return False
        members = [each for each, parent in zip(outer[1:], outer, strict=False)
                   if type(self.network.get_submodule(parent)) in CONTAINERS
                   and type(self.network.get_submodule(each)) not in CONTAINERS]  # fmt: skip
        return all(self.values(name) <= self.values(each) for each in members if each in self.nodes)

    def _preference(self, name: str) -> tuple[bool, int]:
        """Return a key by which the names of one place are ordered, the best one first."""
        return type(self.network.get_submodule(name)) in CONTAINERS, name.count(".")

    def _classifier(self) -> fx.Node:
        """Return the node of the last linear layer, or the output of a network without one."""
        try:
            return self.nodes[head_name(self.network)]
        except (UserError, KeyError):
            return list(self.graph.nodes)[-1]


class _Rooted(nn.Module):
    """Calls a network with images only, so that its other arguments keep their defaults."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class _Tracer(fx.Tracer):
    """Traces a network, and notes the node of each layer's output.

    A module that cannot be traced stays one layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LAYERS) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        nodes, layers = len(self.graph.nodes), dict(self.layers)
        depth = len(self.module_stack)
        name = self.path_of_module(m)
        try:
            out = super().call_module(m, forward, args, kwargs)
        except Exception:  # its code needs values, so it stays a layer
            if not name.startswith(ROOT):
                raise
            for node in list(self.graph.nodes)[: nodes - 1 : -1]:
                self.graph.erase_node(node)
            while len(self.module_stack) > depth:
                self.module_stack.popitem()
            self.layers = layers
            out = self.create_proxy("call_module", name, args, kwargs)
        if isinstance(out, fx.Proxy) and name.startswith(ROOT):
            self.layers[name.removeprefix(ROOT)] = out.node
        return out


class _Run(fx.Interpreter):
    """Runs a graph, and hands each node's value to a function."""

    def __init__(self, module: fx.GraphModule, note: Callable[[fx.Node, object], None]) -> None:
        super().__init__(module)
        self.note = note

    def run_node(self, n: fx.Node) -> Any:
        out = super().run_node(n)
        self.note(n, out)
        return out


def _fixed(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that do not depend on the images. Both parts may compute them."""
    fixed: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op not in ("placeholder", "output") and fixed.issuperset(node.all_input_nodes):
            fixed.add(node)
    return fixed
