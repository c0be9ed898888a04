"""The decoder has the parameters that plans count, looks only back, and its fused gradients are autograd's."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from scaling_api.v1alpha1.trial import ModelShape
from scaling_laws.design.architectures import decoder_shape, parameter_counts
from scaling_laws.design.flops import forward_flops_per_token
from scaling_trainer.models import attention, matmul
from scaling_trainer.models.attention import causal_mask, rotary_attention, rotations
from scaling_trainer.models.decoder import Decoder, initialise
from scaling_trainer.models.layers import rms_norm, squared_relu
from scaling_trainer.models.matmul import Linear


def shape(*, layers: int = 2, width: int = 32, heads: int = 2, context: int = 16) -> ModelShape:
    return ModelShape(family="decoder", layers=layers, width=width, heads=heads, context=context, vocabulary=256)


def built(of: ModelShape, *, seed: int = 0) -> Decoder:
    model = Decoder(of)
    initialise(model, seed=seed)
    return model


@pytest.mark.parametrize("target", [8_000, 30_000, 1_000_000, 10_000_000])
def test_parameters_are_those_that_the_plan_counts(target: int) -> None:
    of = decoder_shape(target, context=64)
    model, counts = Decoder(of), parameter_counts(of)
    assert sum(p.numel() for p in model.parameters()) == counts.total
    assert sum(p.numel() for p in model.block_weights().values()) == counts.blocks
    assert counts.blocks + model.head.weight.numel() == counts.matmul


def test_forward_flops_are_those_that_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setattr(matmul, "prefers_onednn", lambda: False)  # the counter knows PyTorch's own products
    of = shape(layers=3, width=64, context=32)
    model = built(of)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(4 * 32, dtype=torch.int64))
    assert counter.get_total_flops() == 4 * 32 * forward_flops_per_token(of, parameter_counts(of))


def test_heads_must_have_an_even_number_of_channels() -> None:
    with pytest.raises(ValueError, match="width 24 is not an even number of channels for each of 8 heads"):
        Decoder(shape(width=24, heads=8))


def test_tokens_see_only_what_is_before_them_in_their_window() -> None:
    model = built(shape())
    tokens = torch.randint(0, 256, (3, 16), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[1, 9] += 1
    before, after = (model(t.flatten()).view(3, 16, -1) for t in (tokens, changed % 256))
    same = torch.isclose(before, after, atol=1e-6).all(-1)
    assert same[0].all()
    assert same[2].all()
    assert same[1, :9].all()
    assert not same[1, 9:].any()


def test_positions_matter() -> None:
    model = built(shape())
    a, b = torch.full((16,), 7), torch.full((16,), 7)
    a[0], b[1] = 9, 9
    assert not torch.allclose(model(a)[-1], model(b)[-1], atol=1e-5)


def test_initial_loss_is_near_that_of_a_uniform_guess() -> None:
    model = built(shape(width=64))
    tokens = torch.randint(0, 256, (17 * 16,), generator=torch.Generator().manual_seed(0))
    loss = functional.cross_entropy(model(tokens[:256]), tokens[1:257])
    assert loss.item() == pytest.approx(math.log(256), abs=0.6)


def test_same_seed_same_weights_and_other_seed_others() -> None:
    first, again, other = built(shape(), seed=1), built(shape(), seed=1), built(shape(), seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.embedding, other.embedding)


def _compare(fused: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    results = []
    for function in (fused, plain):
        leaves = [x.clone().requires_grad_() for x in inputs]
        y = function(*leaves)
        gradients = torch.autograd.grad(y, leaves, torch.linspace(-1, 1, y.numel()).view_as(y))
        results.append((y, *gradients))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_norm_and_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    x, gain = torch.randn(40, 24, generator=generator), torch.rand(24, generator=generator) + 0.5
    _compare(rms_norm, lambda x, g: functional.rms_norm(x, (24,), g, eps=0.0), x, gain)


def test_norm_of_zeros_is_zero() -> None:
    assert rms_norm(torch.zeros(2, 8), torch.ones(8)).abs().max() == 0


def test_squared_relu_and_its_gradient() -> None:
    x = torch.randn(40, 24, generator=torch.Generator().manual_seed(0))
    _compare(squared_relu, lambda x: functional.relu(x).square(), x)


@pytest.mark.parametrize(("windows", "context", "heads", "channels"), [(3, 16, 2, 8), (1, 64, 1, 16), (5, 7, 3, 4)])
def test_attention_and_its_gradient(
    windows: int, context: int, heads: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    qkv = torch.randn(windows * context, 3 * heads * channels, generator=torch.Generator().manual_seed(0))
    rotation, mask = rotations(context, channels), causal_mask(context)

    def fused(x: Tensor) -> Tensor:
        return rotary_attention(x, rotation, mask, heads=heads)

    def flash(x: Tensor) -> Tensor:
        with monkeypatch.context() as patched:
            patched.setattr(attention, "LONGEST_FUSED", 0)
            return rotary_attention(x, rotation, mask, heads=heads)

    def written_out(x: Tensor) -> Tensor:
        q, k, v = x.view(windows, context, 3, heads, channels).permute(2, 0, 3, 1, 4)
        position = torch.arange(context)[:, None] * 10_000.0 ** (-torch.arange(0, channels, 2) / channels)
        cos, sin = position.cos(), position.sin()

        def turn(y: Tensor) -> Tensor:
            a, b = y[..., 0::2], y[..., 1::2]
            return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)

        weights = (turn(q) @ turn(k).mT / math.sqrt(channels) + mask).softmax(-1)
        return (weights @ v).transpose(1, 2).reshape(len(x), -1)

    _compare(fused, written_out, qkv)
    _compare(flash, written_out, qkv)


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(512, 64, 192), (512, 256, 64), (768, 16, 256), (3, 8, 8)])
@pytest.mark.parametrize("onednn", [True, False])
def test_linear_and_its_gradient(
    rows: int, inputs: int, outputs: int, onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if onednn and not torch.backends.mkldnn.is_available():
        pytest.skip("PyTorch was built without oneDNN")
    monkeypatch.setattr(matmul, "prefers_onednn", lambda: onednn)
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(rows, inputs, generator=generator), torch.randn(outputs, inputs, generator=generator)
    layer = Linear(inputs, outputs)
    results = []
    for function in (layer, lambda x: functional.linear(x, layer.weight)):
        layer.weight.data.copy_(weight)
        layer.zero_grad()
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        y.backward(torch.linspace(-1, 1, y.numel()).view_as(y))
        assert layer.weight.grad is not None
        results.append((y, leaf.grad, layer.weight.grad.clone()))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_longer_contexts_than_the_fused_kernel_holds_work() -> None:
    model = built(shape(width=16, heads=1, context=attention.LONGEST_FUSED + 8))
    assert model.mask.numel() == 0
    model(torch.zeros(264, dtype=torch.int64)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
