"""Test that simulated cases have the stated mutual information and that MINE estimates it."""

import numpy as np
import pytest
import torch

from grmu.course import closed_form


@pytest.mark.parametrize("nats", [0.0, 0.4, closed_form.entropy(closed_form.SHARES)])
def test_noisy_groups_share_what_they_are_said_to(nats):
    z, group = closed_form.noisy_groups(nats, 100_000, torch.Generator().manual_seed(0))
    joint = torch.zeros(4, 4, dtype=torch.float64)
    joint.index_put_((z.argmax(1), group), torch.ones(len(z), dtype=torch.float64), accumulate=True)
    joint /= joint.sum()
    ratio = joint / (joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True))
    assert (joint * ratio.clamp(min=1e-12).log()).sum().item() == pytest.approx(nats, abs=0.01)


def test_more_than_the_groups_entropy_cannot_be_shared():
    with pytest.raises(ValueError, match=r"1\.5"):
        closed_form.noisy_groups(1.5, 10, torch.Generator())


def test_one_group_alone_shares_nothing_and_a_uniform_draw_adds_log_4():
    ends = {how: list(closed_form.estimates(0.0, closed_form.ONE_GROUP, how, updates=200))[-1]
            for how in ("shuffle", "uniform")}
    assert ends["shuffle"] == pytest.approx(0.0, abs=0.02)
    assert ends["uniform"] == pytest.approx(np.log(4), abs=0.15)
    assert closed_form.from_uniform(closed_form.ONE_GROUP) == pytest.approx(np.log(4))
