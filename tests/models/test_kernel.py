"""PyTorch's own attention over segments, asked without numbers: shapes, gradients, no waiting.

No kernel runs. Where the host asked the device for a number, which would end the capture of a
graph, tensors without numbers could not answer.
"""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dragoman.models import attention
from dragoman.models.attention import KeysValues
from dragoman.models.packed import pack
from dragoman.models.pooling import pool_rows
from dragoman.models.rows import Row, grow_tree
from dragoman.models.stack import Stack
from tests.models import tiny
from tests.models.test_unpadded import every

pytestmark = pytest.mark.skipif(attention._kernel is None, reason="PyTorch 2.11 has the kernel")

TREE = grow_tree(((5, 6, 7), (5, 8, 9), (9,), (4, 4)))
ROWS = [Row((1, 2, 3), TREE), Row((4,)), Row((4, 5, 7, 7, 8), TREE)]


def emptied(stack: Stack) -> list[nn.Parameter]:
    """Put weights in bfloat16 without numbers into a stack, and return them."""
    made = []
    for module in stack.module.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.new_empty(weight.shape).bfloat16())
                made.append(module._parameters[name])
        for name, buffer in module._buffers.items():
            module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return made


def head_of(stack: Stack, tokens: int) -> KeysValues:
    config = stack.module.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    pair = tuple(torch.empty(1, heads, tokens, size, dtype=torch.bfloat16) for _ in range(2))
    return [pair] * stack.num_layers


@every
@pytest.mark.parametrize("shared", [0, 9])
def test_a_packed_forward_fits_the_kernel_and_waits_for_nothing(
    architecture: str, shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = tiny.make(architecture)._stack
    asked: list[tuple[torch.Size, ...]] = []
    kernel = attention._kernel

    def watched(*given, **named) -> Tensor:
        assert all(each.dtype == torch.bfloat16 and each.is_contiguous() for each in given[:3])
        assert all(each.dtype == torch.int32 and each.is_contiguous() for each in given[3:5])
        assert given[5] > 1  # the kernel's shortcut for single tokens
        asked.append(tuple(each.shape for each in given[:5]))
        return kernel(*given, **named)

    monkeypatch.setattr(attention, "_kernel", watched)
    packed = pack(ROWS, shared)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        emptied(stack)
        head = head_of(stack, shared) if shared else None
        flat = torch.from_numpy(packed.flat)
        hidden = stack.unpadded._forward(packed.shape, head, None, flat)
        pooled = pool_rows(hidden, packed.starts, ("last", "mean", "first"))
    assert hidden.shape == (packed.shape.tokens, tiny.WIDTH)
    assert hidden.dtype == torch.bfloat16
    assert pooled.shape == (len(ROWS), 3 * tiny.WIDTH)
    ends = (packed.shape.segments + 1,)
    assert len(asked) == tiny.LAYERS
    for query, key, value, *own in asked:
        assert key == value == (packed.shape.seen, *key[1:])
        assert query[0] == packed.shape.tokens
        assert query[1] % key[1] == 0
        assert own == [ends, ends]


@every
def test_gradients_have_the_shapes_of_weights(architecture: str) -> None:
    stack = tiny.make(architecture)._stack
    with FakeTensorMode(allow_non_fake_inputs=True), torch.enable_grad():
        weights = emptied(stack)
        hidden = stack.unpadded.run_above(ROWS, 0, None)
        gradients = torch.autograd.grad(hidden.float().sum(), weights, allow_unused=True)
    assert [None if one is None else one.shape for one in gradients] == [
        one.shape for one in weights
    ]


# Torch's own compiler still uses what torch has deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("architecture", ["llama", pytest.param("gpt2", marks=pytest.mark.slow)])
def test_a_compiled_model_calls_the_kernel_once_a_block(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[int] = []

    def backend(module, inputs):
        nodes = list(module.graph.nodes)
        called.append(sum("_varlen_attn" in str(node.target) for node in nodes))
        (shape,) = {one.meta["example_value"].shape for one in nodes[-1].args[0]}
        return lambda *given: (torch.zeros(shape),)

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    stack = tiny.make(architecture)._stack
    stack.unpadded.compile()
    packed = pack(ROWS, 9)
    head = [(one.float(), other.float()) for one, other in head_of(stack, 9)]
    with torch.inference_mode():
        flat = torch.from_numpy(packed.flat)
        stack.unpadded._forward(packed.shape, head, None, flat, body=stack.unpadded._compiled)
    assert called == [tiny.LAYERS]
