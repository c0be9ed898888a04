"""Rates by width and by step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import ModelShape
from scaling_trainer.models.decoder import Decoder, initialise
from scaling_trainer.optim import (
    FINETUNE_PEAK,
    branch_rate,
    build_optimizer,
    finetune_rate,
    moments,
    restore_moments,
    set_rate,
    trunk_rate,
)


def model(width: int) -> Decoder:
    built = Decoder(ModelShape(family="decoder", layers=1, width=width, heads=1, context=8, vocabulary=256))
    initialise(built, seed=0)
    return built


def test_rates_of_matrices_fall_with_width_and_decay_a_step_does_not() -> None:
    narrow, wide = (build_optimizer(model(width), Training()).param_groups for width in (32, 128))
    assert [g["peak"] for g in narrow] == [5.7e-3] * 3
    assert [g["peak"] for g in wide] == [5.7e-3 / 4, 5.7e-3, 5.7e-3]
    for one, other in zip(narrow, wide, strict=True):
        assert one["peak"] * one["weight_decay"] == pytest.approx(other["peak"] * other["weight_decay"])
    assert narrow[2]["weight_decay"] == 0


def test_every_parameter_is_in_one_group() -> None:
    built = model(32)
    groups = build_optimizer(built, Training()).param_groups
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(map(id, built.parameters()))
    assert [id(p) for p in groups[1]["params"]] == [id(built.embedding)]


def test_set_rate_scales_each_groups_peak() -> None:
    optimizer = build_optimizer(model(64), Training())
    set_rate(optimizer, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [5.7e-3 / 4, 5.7e-3 / 2, 5.7e-3 / 2]


def test_trunk_warms_up_and_stays() -> None:
    assert [trunk_rate(s, warmup_steps=4) for s in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert trunk_rate(0, warmup_steps=0) == 1


def test_branch_falls_as_one_minus_sqrt() -> None:
    rates = [branch_rate(s, start=100, end=104, warmup_steps=10) for s in range(100, 104)]
    assert rates == pytest.approx([1, 0.5, 1 - 0.5**0.5, 1 - 0.75**0.5])


@given(start=st.integers(0, 10_000), length=st.integers(1, 5000))
def test_finetuning_rises_to_its_peak_and_falls(start: int, length: int) -> None:
    rates = [finetune_rate(s, start=start, end=start + length) for s in range(start, start + length)]
    top = rates.index(max(rates))
    assert all(0 < rate <= FINETUNE_PEAK for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_restored_optimizer_takes_the_same_next_step() -> None:
    first, second = model(16), model(16)
    one, other = build_optimizer(first, Training()), build_optimizer(second, Training())

    def step(built: Decoder, optimizer: torch.optim.AdamW, seed: int) -> None:
        tokens = torch.randint(0, 256, (16,), generator=torch.Generator().manual_seed(seed))
        torch.nn.functional.cross_entropy(built(tokens), tokens).backward()
        optimizer.step()
        optimizer.zero_grad()

    for seed in range(3):
        step(first, one, seed)
    second.load_state_dict(first.state_dict())
    restore_moments(other, second, {name: t.clone() for name, t in moments(one, first).items()}, step=3)
    step(first, one, 3)
    step(second, other, 3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
