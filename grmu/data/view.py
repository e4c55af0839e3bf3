"""What a network sees of a stored picture: a region of it, at the network's resolution; for training,
random crops."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class View:
    """A centred region of height x width stored pixels, seen as side x side;
    random crops come from the whole picture and keep at least the share `smallest` of its area."""

    side: int
    height: int
    width: int
    smallest: float = 0.7

    def centre(self, x: Tensor) -> Tensor:
        """The region of each picture: uint8 (B, C, H, W) -> uint8 (B, C, side, side)."""
        height, width = x.shape[-2:]
        if (self.height, self.width) == (self.side, self.side):  # no pixel is moved
            top, left = (height - self.side) // 2, (width - self.side) // 2
            return x[..., top : top + self.side, left : left + self.side]
        box = torch.tensor([(height - self.height) / 2, (width - self.width) / 2, self.height, self.width])
        return crop(x, box.expand(len(x), 4), self.side)

    def random(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Random resized crop and flip, per picture: `smallest` to 1 of the area, an aspect ratio of 3/4 to
        4/3, any place.

        Sides that would leave the picture are cut to it.
        """
        height, width = x.shape[-2:]
        share, ratio, at_y, at_x, flip = torch.rand(5, len(x), generator=rng)
        pixels = height * width * (self.smallest + (1 - self.smallest) * share)
        aspect = ((2 * ratio - 1) * math.log(4 / 3)).exp()
        h, w = (pixels / aspect).sqrt().clamp(max=height), (pixels * aspect).sqrt().clamp(max=width)
        left, flip = at_x * (width - w), flip < 0.5
        box = torch.stack([at_y * (height - h), torch.where(flip, left + w, left), h,
                           torch.where(flip, -w, w)], 1)
        return crop(x, box, self.side)


def crop(x: Tensor, box: Tensor, side: int) -> Tensor:
    """Boxes (B, 4) of top, left, height, width in pixels cut out of pictures and resized, bilinear,
    on the pictures' device.

    uint8 (B, C, H, W) -> uint8 (B, C, side, side). A negative width mirrors.
    """
    height, width = x.shape[-2:]
    top, left, h, w = box.to(x.device, non_blocking=True).T[:, :, None]
    steps = (torch.arange(side, device=x.device) + 0.5) / side
    y, x_ = 2 * (top + h * steps) / height - 1, 2 * (left + w * steps) / width - 1
    grid = torch.stack(torch.broadcast_tensors(x_[:, None, :], y[:, :, None]), -1)
    out = torch.nn.functional.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)
    return out.round_().to(torch.uint8)
