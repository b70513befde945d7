"""Comfy Kitchen's rotary embedding as arithmetic in a compiled graph."""

import pytest
import torch
from sagekit.check.reference import relative_error

HEADS = 2
# float32 throughout, in which the order of operations is all that differs.
FLOAT32 = 1e-5


@pytest.fixture
def rope(attention):
    """The module under test, where this ComfyUI turns q and k by the operator."""
    from sagekit.core.attention import graph
    from sagekit.core.compile import rope

    if graph.OPERATOR is None:
        pytest.skip("this torch cannot have the attention operator")
    kitchen = pytest.importorskip("comfy_kitchen", reason="comfy-kitchen is not installed")
    if not hasattr(kitchen, "apply_rope"):
        pytest.skip("this comfy-kitchen has no apply_rope")
    return rope


@pytest.fixture
def compiled(rope):
    """compiled(function) -> it, and (embeddings taken in, graph) of each graph that is made."""
    graphs = []

    def backend(module, inputs):
        taken = rope.take_in(module)
        graphs.append((taken, module))
        from torch._dynamo.backends.debugging import aot_eager

        return aot_eager(module, inputs)

    torch._dynamo.reset()
    yield lambda function, **options: (torch.compile(function, backend=backend, **options), graphs)
    torch._dynamo.reset()


def inputs(length: int = 6, positions: int | None = None, dtype=torch.float32, head_dim: int = 8):
    generator = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(2, HEADS, length, head_dim, generator=generator).to(dtype) for _ in range(3))
    angles = torch.randn(1, 1, positions or length, head_dim // 2, generator=generator)
    cos, sin = angles.cos(), angles.sin()
    freqs = torch.stack((cos, -sin, sin, cos), -1).unflatten(-1, (2, 2))
    return q, k, v, freqs


def turned_attention(q, k, v, freqs):
    from sagekit.core.attention import graph

    q, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
    return graph.OPERATOR(q, k, v, None, HEADS, True, False, None, False, False, False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("positions", [6, 9, 1], ids=["as many", "more", "one for all"])
def test_a_turned_q_and_k_are_those_of_the_operator(compiled, dtype, positions):
    given = inputs(positions=positions, dtype=dtype)
    function, graphs = compiled(turned_attention)
    error = relative_error(function(*given), turned_attention(*given))
    assert error < (FLOAT32 if dtype is torch.float32 else 0.01)
    ((taken, module),) = graphs
    assert taken == 1 and "apply_rope" not in module.code


def test_one_graph_serves_every_length(compiled):
    function, graphs = compiled(turned_attention, dynamic=True)
    for length in (6, 8, 13):
        given = inputs(length)
        assert relative_error(function(*given), turned_attention(*given)) < FLOAT32
    assert len(graphs) == 1 and graphs[0][0] == 1


def joined_attention(q, k, v, freqs, place=2):
    """As a double block of Flux has it: text and image joined before they are turned."""
    from sagekit.core.attention import graph

    q, k = (torch.cat((one[:, :, :place] * 2, one[:, :, place:] * 3), dim=2) for one in (q, k))
    q, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
    return graph.OPERATOR(q, k, v, None, HEADS, True, False, None, False, False, False)


@pytest.mark.parametrize("positions", [6, 9, 1], ids=["as many", "more", "one for all"])
def test_joined_parts_are_turned_before_they_are_joined(compiled, positions):
    given = inputs(positions=positions)
    function, graphs = compiled(joined_attention)
    assert relative_error(function(*given), joined_attention(*given)) < FLOAT32
    ((taken, module),) = graphs
    assert taken == 1 and "torch.cat(" not in module.code and module.code.count("aten.cat") == 2


def test_one_graph_serves_every_length_of_joined_parts(compiled):
    function, graphs = compiled(joined_attention, dynamic=True)
    for length, place in ((6, 2), (8, 3), (13, 5)):
        given = (*inputs(length), place)
        assert relative_error(function(*given), joined_attention(*given)) < FLOAT32
    assert len(graphs) == 1 and graphs[0][0] == 1


def seen_by_others(q, k, v, freqs):
    from sagekit.core.attention import graph

    q = torch.cat((q[:, :, :2] * 2, q[:, :, 2:]), dim=2)
    turned, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
    return graph.OPERATOR(turned, k, v, None, HEADS, True, False, None, False, False, False).sum() + q.sum()


def changed_since(q, k, v, freqs):
    from sagekit.core.attention import graph

    part = q[:, :, :2] * 2
    q = torch.cat((part, q[:, :, 2:]), dim=2)
    part.add_(1)
    turned, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
    return graph.OPERATOR(turned, k, v, None, HEADS, True, False, None, False, False, False) + part.sum()


def joined_by_heads(q, k, v, freqs):
    from sagekit.core.attention import graph

    q = torch.cat((q[:, :1] * 2, q[:, 1:]), dim=1)
    q, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
    return graph.OPERATOR(q, k, v, None, HEADS, True, False, None, False, False, False)


@pytest.mark.parametrize("function", [seen_by_others, changed_since, joined_by_heads])
def test_joined_otherwise_they_are_turned_as_one(compiled, function):
    given = inputs()
    run, graphs = compiled(function)
    assert relative_error(run(*given), function(*given)) < FLOAT32
    ((taken, module),) = graphs
    assert taken == 1 and "torch.cat(" in module.code and "aten.cat" not in module.code


def test_q_and_k_come_to_the_operator_with_the_length_before_the_heads_in_memory(compiled, monkeypatch):
    from sagekit.core.attention import graph

    strides = []

    def default(q, k, v, heads, **given):
        strides.extend((q.stride(), k.stride()))
        return torch.zeros(q.shape[0], q.shape[2], q.shape[1] * q.shape[3])

    monkeypatch.setattr(graph, "default_itself", lambda: default)
    function, _ = compiled(turned_attention)
    function(*inputs(length=6, head_dim=8))
    assert strides == [(6 * HEADS * 8, 8, HEADS * 8, 1)] * 2


def looks_at_k_too(q, k, v, freqs):
    from sagekit.core.attention import graph

    q, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
    return graph.OPERATOR(q, k, v, None, HEADS, True, False, None, False, False, False).sum() + k.view(-1)[0]


def turns_the_values(q, k, v, freqs):
    from sagekit.core.attention import graph

    q, v = torch.ops.comfy_kitchen.apply_rope(q, v, freqs)
    return graph.OPERATOR(q, k, v, None, HEADS, True, False, None, False, False, False)


def without_attention(q, k, v, freqs):
    """As a Wan block has it, which looks at what it has turned as (batch, length, width)."""
    q, k = (torch.ops.comfy_kitchen.apply_rope1(one.contiguous(), freqs) for one in (q, k))
    return q.view(2, HEADS, -1) * 2 + k.view(2, HEADS, -1)


ELSEWHERE = [(looks_at_k_too, 1), (turns_the_values, 1), (without_attention, 2)]


@pytest.mark.parametrize(("function", "embeddings"), ELSEWHERE)
def test_what_goes_elsewhere_keeps_its_order_in_memory(compiled, function, embeddings):
    given = inputs()
    run, graphs = compiled(function)
    assert relative_error(run(*given), function(*given)) < FLOAT32
    ((taken, module),) = graphs
    assert taken == embeddings and "apply_rope" not in module.code


def test_where_that_order_is_not_the_one_in_which_they_are_counted_the_operator_stays(compiled):
    """What looks at them next was traced with the order that the operator keeps."""

    def looks_at_both(q, k, freqs):
        q, k = torch.ops.comfy_kitchen.apply_rope(q, k, freqs)
        return q.transpose(1, 2).view(2, 6, -1) + k.transpose(1, 2).view(2, 6, -1)

    q, k, _, freqs = inputs(length=6)
    given = [one.transpose(1, 2).contiguous().transpose(1, 2) for one in (q, k)]
    run, graphs = compiled(looks_at_both)
    assert relative_error(run(*given, freqs), looks_at_both(*given, freqs)) < FLOAT32
    assert [taken for taken, _ in graphs] == [0]
