"""From a target size to an architecture: one rule, no choices."""

from collections.abc import Iterator
from math import log, sqrt

from scaling_api.v1alpha1.trial import ModelShape, ParameterCounts

BYTE_VOCABULARY = 256
WIDTH_STEP = 8
SMALL_LAYERS = 2
"""Depth of the family below `SMALL_LIMIT`: where a residual stream is under 200 wide, depth buys nothing."""
SMALL_LIMIT = 1_000_000
ASPECT_RATIO = 64
"""Width over depth. Loss is flat in it from about 30 to 100 (Kaplan et al. 2020, arXiv:2001.08361, fig. 5);
one dial for depth and width is nanochat's way of growing a family."""
MOST_STRETCH = 0.35
"""Largest |log| of aspect ratio over 64: from 45 to 90."""
HEAD_WIDTH = 32


def decoder_shape(target: int, *, context: int, vocabulary: int = BYTE_VOCABULARY) -> ModelShape:
    """Return the decoder whose matmul parameters come nearest to `target`.

    From a million on, width/depth is near 64 and N within 5 % of the target; below, the family has two layers
    and widths in steps of 8, so N is the nearest member's.
    """
    layers, width = SMALL_LAYERS, _width(target, SMALL_LAYERS, vocabulary, step=WIDTH_STEP)
    if target >= SMALL_LIMIT:
        layers, width = _shape(target, vocabulary)
    return ModelShape(
        family="decoder",
        layers=layers,
        width=width,
        heads=_heads(width),
        context=context,
        vocabulary=vocabulary,
    )


def parameter_counts(shape: ModelShape) -> ParameterCounts:
    """Return N of a decoder by every convention.

    Per layer 4·width² for attention and 8·width² for the feed-forward; an untied head; no biases; a gain
    per channel for each of the two norms of a layer and the last one.
    """
    blocks = 12 * shape.layers * shape.width**2
    head = shape.vocabulary * shape.width
    gains = (2 * shape.layers + 1) * shape.width
    return ParameterCounts(matmul=blocks + head, blocks=blocks, total=blocks + 2 * head + gains)


def _shape(target: int, vocabulary: int) -> tuple[int, int]:
    """Layers and width: the widest step that brings some depth within 3 % of the target, then the nearest N.

    Wide steps keep widths that split into even heads and suit the hardware's tiles.
    """

    def stretch(layers: int) -> float:
        return abs(log(_exact_width(target, layers, vocabulary) / layers / ASPECT_RATIO))

    depth = min(range(SMALL_LAYERS, 513), key=stretch)
    depths = [depth, *(n for n in range(depth // 2 + 1, 2 * depth) if n != depth and stretch(n) < MOST_STRETCH)]

    def miss(shape: tuple[int, int]) -> float:
        return abs(12 * shape[0] * shape[1] ** 2 + vocabulary * shape[1] - target)

    nearest = (depth, WIDTH_STEP)
    for step in (64, 32, 16, WIDTH_STEP):
        nearest = min(((n, _width(target, n, vocabulary, step=step)) for n in depths), key=miss)
        if miss(nearest) <= 0.03 * target:
            break
    return nearest


def _exact_width(target: int, layers: int, vocabulary: int) -> float:
    """Solve 12·layers·w² + vocabulary·w = target for w."""
    return (sqrt(vocabulary**2 + 48 * layers * target) - vocabulary) / (24 * layers)


def _width(target: int, layers: int, vocabulary: int, *, step: int) -> int:
    """The multiple of `step` whose N is nearest to the target."""

    def miss(width: int) -> int:
        return abs(12 * layers * width**2 + vocabulary * width - target)

    below = max(step, int(_exact_width(target, layers, vocabulary)) // step * step)
    return min((below, below + step), key=miss)


def _heads(width: int) -> int:
    """Heads whose width is even and, by ratio, nearest to 32; rather fewer than more."""
    return min(_divisors(width), key=lambda heads: (abs(log(width / heads / HEAD_WIDTH)), heads))


def _divisors(width: int) -> Iterator[int]:
    return (heads for heads in range(1, width // 2 + 1) if width % heads == 0 and width // heads % 2 == 0)
