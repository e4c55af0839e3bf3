"""Networks that were trained elsewhere: find their last layer, divide them there, or reset their weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from grmu.data import require
from grmu.models import Classifier
from grmu.numerics import seeded


class OwnClassifier(Classifier):
    """A copy of a network, divided into its last linear layer, `head`, and the backbone."""

    def __init__(self, network: nn.Module, head: str) -> None:
        network = copy.deepcopy(network)
        layer: Any = network.get_submodule(head)
        super().__init__(network, layer.in_features, layer.out_features)
        self.head, self.head_name = layer, head
        self._put(nn.Identity())

    def _put(self, layer: nn.Module) -> nn.Module:
        where, _, name = self.head_name.rpartition(".")
        setattr(self.backbone.get_submodule(where), name, layer)
        return self.backbone

    def scaled(self, x: Tensor) -> Tensor:
        """Return the samples unchanged, because the network scales them itself."""
        return x

    def whole(self) -> nn.Module:
        """Return the network with its last layer put back."""
        return self._put(self.head).eval().requires_grad_(False)


def find_head(network: nn.Module, x: Tensor) -> str:
    """Return the name of the linear layer whose output the network returns.

    Raises:
        ValueError: There is no such layer.
    """
    network, seen = copy.deepcopy(network).eval(), dict[str, Tensor]()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda *given, name=name: seen.update({name: given[-1]}))
    with torch.no_grad():
        answer = network(x)
    last = [name for name, output in seen.items() if torch.equal(output, answer)]
    require(last, "the network must return what one of its linear layers gives, without a softmax, for "
                  f"example; these are {', '.join(seen) or 'none'}.")
    return last[-1]


def reset(network: nn.Module, seed: int) -> nn.Module:
    """Return a copy of a network with fresh weights.

    Args:
        network: The network.
        seed: Seed of the weights.

    Raises:
        ValueError: A layer has weights but no `reset_parameters`; the message names it.
    """
    network = copy.deepcopy(network)
    with seeded(seed, next(network.parameters()).device):
        for name, layer in network.named_modules():
            again: Any = getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
            require(again or not [*layer.parameters(recurse=False)], f"{name or 'the network'} "
                    f"({type(layer).__name__}) has weights but no reset_parameters: pass fresh=, a function "
                    "that returns a new network.")
            if again:
                again()
    return network
