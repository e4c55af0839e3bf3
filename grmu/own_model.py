"""A network of your own as the methods see it: features of everything before its last linear layer."""

import copy
from typing import Any

from torch import Tensor, nn

from grmu.data import require, short_repr
from grmu.models import Classifier


class OwnClassifier(Classifier):
    """A copy of a network, divided into its last linear layer, `head`, and the rest, the backbone."""

    def __init__(self, network: nn.Module, head: str) -> None:
        layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        require(head in layers, f"the network has no linear layer {short_repr(head)}: head must name "
                                f"its last one, of {', '.join(layers) or 'which it has none'}.")
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
        """Return the samples as they are: scaling is the network's own business."""
        return x

    def whole(self) -> nn.Module:
        """Return the network with its last layer in place."""
        return self._put(self.head).eval().requires_grad_(False)
