"""Linear layers in a compiled graph: GELU as the end of the multiplication, and joined inputs taken apart.

On the CPU, where the operator has GELU by erf: what differs from GELU by tanh is under 0.001.
"""

import pytest
import torch
import torch.nn.functional as functional
from sagekit.check.reference import relative_error

IN, HIDDEN = 16, 48
BFLOAT16 = 0.01


@pytest.fixture
def linear(attention, monkeypatch):
    """The module under test, told that this is where cuBLAS runs."""
    from sagekit.core.compile import linear

    monkeypatch.setattr(linear, "_DEVICE", "cpu")
    yield linear
    linear._gives_gelu.cache_clear()


@pytest.fixture
def compiled(linear):
    """compiled(function) -> it, and (layers rewritten, graph) of each graph that is made."""
    graphs = []

    def backend(module, inputs):
        from torch._dynamo.backends.debugging import aot_eager

        graphs.append((linear.take_in(module, inputs), module))
        return aot_eager(module, inputs)

    torch._dynamo.reset()
    yield lambda function, **options: (torch.compile(function, backend=backend, **options), graphs)
    torch._dynamo.reset()


def layer(width: int, into: int, dtype=torch.bfloat16):
    """(weight, bias) that keep the scale of what they are given."""
    generator = torch.Generator().manual_seed(width + into)
    weight = torch.randn(into, width, generator=generator) * width**-0.5
    return weight.to(dtype), torch.randn(into, generator=generator).to(dtype)


def rows(*shape: int, dtype=torch.bfloat16):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def gelu(x):
    return functional.gelu(x, approximate="tanh")


def hidden(x, weight, bias):
    return gelu(functional.linear(x, weight, bias))


@pytest.mark.parametrize("shape", [(5, IN), (2, 5, IN), (2, 3, 5, IN)], ids=len)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gelu_becomes_the_end_of_the_layer(compiled, shape, dtype):
    given = (rows(*shape, dtype=dtype), *layer(IN, HIDDEN, dtype))
    run, graphs = compiled(hidden)
    assert relative_error(run(*given), hidden(*given)) < BFLOAT16
    ((taken, module),) = graphs
    assert taken == 1 and "_addmm_activation" in module.code and "gelu(" not in module.code


def test_one_graph_serves_every_length(compiled):
    run, graphs = compiled(hidden)
    for length in (5, 7, 12):
        given = (rows(2, length, IN), *layer(IN, HIDDEN))
        torch._dynamo.mark_dynamic(given[0], 1)
        assert relative_error(run(*given), hidden(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [1]


def second_of_split(x, weight, bias):
    """As a single block of Flux has it."""
    first, second = torch.split(functional.linear(x, weight, bias), [16, 32], dim=-1)
    return first.view(*first.shape[:-1], 2, 8).sum(-1), gelu(second)


def first_of_chunk(x, weight, bias):
    first, second = functional.linear(x, weight, bias).chunk(2, dim=-1)
    return gelu(first) * second


@pytest.mark.parametrize("function", [second_of_split, first_of_chunk])
def test_where_one_part_is_activated_each_part_is_a_layer_of_its_own(compiled, function):
    given = (rows(2, 5, IN), *layer(IN, HIDDEN))
    run, graphs = compiled(function)
    for one, right in zip(run(*given), function(*given), strict=True):
        assert relative_error(one, right) < BFLOAT16
    ((taken, module),) = graphs
    assert taken == 1 and "_addmm_activation" in module.code and "aten.addmm" in module.code
    assert "split(" not in module.code and "chunk(" not in module.code


def over_joined(x, y, weight, bias):
    return functional.linear(torch.cat((x, gelu(y)), -1), weight, bias)


def test_a_layer_over_two_joined_tensors_joins_nothing(compiled):
    given = (rows(2, 5, 16), rows(2, 5, 32), *layer(48, 24))
    run, graphs = compiled(over_joined)
    assert relative_error(run(*given), over_joined(*given)) < BFLOAT16
    ((taken, module),) = graphs
    assert taken == 1 and "torch.cat" not in module.code


def test_both_follow_each_other_as_in_a_block(compiled):
    def block(x, first, first_bias, second, second_bias):
        part, wide = torch.split(functional.linear(x, first, first_bias), [16, 32], dim=-1)
        joined = torch.cat((part.sin(), gelu(wide)), 2)
        return x + functional.linear(joined, second, second_bias)

    given = (rows(2, 5, IN), *layer(IN, HIDDEN), *layer(HIDDEN, IN))
    run, graphs = compiled(block)
    assert relative_error(run(*given), block(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [2]


def by_erf(x, weight, bias):
    return functional.gelu(functional.linear(x, weight, bias))


def seen_twice(x, weight, bias):
    y = functional.linear(x, weight, bias)
    return gelu(y) + y


def both_parts(x, weight, bias):
    first, second = functional.linear(x, weight, bias).chunk(2, dim=-1)
    return gelu(first) * gelu(second)


def other_dimension(x, weight, bias):
    first, second = functional.linear(x, weight, bias).chunk(2, dim=0)
    return gelu(first) * second


def part_seen_twice(x, weight, bias):
    first, second = functional.linear(x, weight, bias).chunk(2, dim=-1)
    return gelu(first) * second + first


def unaligned(x, weight, bias):
    first, second = torch.split(functional.linear(x, weight, bias), [12, 36], dim=-1)
    return gelu(first).sum() + second.sum()


def without_bias(x, weight, bias):
    return gelu(functional.linear(x, weight)) + bias


@pytest.mark.parametrize(
    "function", [by_erf, seen_twice, both_parts, other_dimension, part_seen_twice, unaligned, without_bias]
)
def test_another_activation_stays(compiled, function):
    given = (rows(2, 5, IN), *layer(IN, HIDDEN))
    run, graphs = compiled(function)
    assert relative_error(run(*given), function(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]


@pytest.mark.parametrize(("width", "into"), [(IN - 4, HIDDEN), (IN, HIDDEN - 4)], ids=["takes", "gives"])
def test_a_layer_whose_rows_begin_between_16_bytes_stays(compiled, width, into):
    given = (rows(2, 5, width), *layer(width, into))
    run, graphs = compiled(hidden)
    assert relative_error(run(*given), hidden(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]


def test_32_bit_stays(compiled):
    given = (rows(2, 5, IN, dtype=torch.float32), *layer(IN, HIDDEN, torch.float32))
    run, graphs = compiled(hidden)
    assert torch.equal(run(*given), hidden(*given))
    assert [taken for taken, _ in graphs] == [0]


def refuses(*given, **options):
    raise RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED")


def forgets_gelu(bias, x, weight, use_gelu):
    return functional.linear(x, weight.t(), bias)


@pytest.mark.parametrize("operator", [refuses, forgets_gelu])
def test_where_cublas_does_not_give_it_it_stays(compiled, linear, monkeypatch, operator):
    monkeypatch.setattr(linear, "_ACTIVATION", operator)
    linear._gives_gelu.cache_clear()
    given = (rows(2, 5, IN), *layer(IN, HIDDEN))
    run, graphs = compiled(hidden)
    assert torch.equal(run(*given), hidden(*given))
    assert [taken for taken, _ in graphs] == [0]


def test_elsewhere_than_on_a_gpu_it_stays(compiled, linear, monkeypatch):
    monkeypatch.setattr(linear, "_DEVICE", "cuda")
    given = (rows(2, 5, IN), *layer(IN, HIDDEN))
    run, graphs = compiled(hidden)
    run(*given)
    assert [taken for taken, _ in graphs] == [0]


def joined_seen_twice(x, y, weight, bias):
    joined = torch.cat((x, y), -1)
    return functional.linear(joined, weight, bias).sum() + joined.sum()


def written_to_since(x, y, weight, bias):
    x = x.clone()
    joined = torch.cat((x, y), -1)
    x.add_(1)
    return functional.linear(joined, weight, bias) + x.sum()


def set_since(x, y, weight, bias):
    x = x.clone()
    joined = torch.cat((x, y), -1)
    x[0] = 0
    return functional.linear(joined, weight, bias) + x.sum()


def added_to_since(x, y, weight, bias):
    x = x.clone()
    joined = torch.cat((x, y), -1)
    x += 1
    return functional.linear(joined, weight, bias) + x.sum()


def activated_in_place_since(x, y, weight, bias):
    x = x.clone()
    joined = torch.cat((x, y), -1)
    functional.relu(x, inplace=True)
    return functional.linear(joined, weight, bias) + x.sum()


def given_out_since(x, y, weight, bias):
    x = x.clone()
    joined = torch.cat((x, y), -1)
    torch.mul(x, 2, out=x)
    return functional.linear(joined, weight, bias) + x.sum()


def changed_by_an_operator_since(x, y, weight, bias):
    x = x.clone()
    joined = torch.cat((x, y), -1)
    torch.ops.aten.fill_.Scalar(x, 1)
    return functional.linear(joined, weight, bias) + x.sum()


SINCE = [
    written_to_since,
    set_since,
    added_to_since,
    activated_in_place_since,
    given_out_since,
    changed_by_an_operator_since,
]


@pytest.mark.parametrize("function", [joined_seen_twice, *SINCE])
def test_where_the_joined_is_needed_it_stays(compiled, function):
    given = (rows(2, 5, 16), rows(2, 5, 32), *layer(48, 24))
    run, graphs = compiled(function)
    assert relative_error(run(*given), function(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]


def test_joined_along_another_dimension_it_stays(compiled):
    def function(x, y, weight, bias):
        return functional.linear(torch.cat((x, y), 1), weight, bias)

    given = (rows(2, 5, 32), rows(2, 6, 32), *layer(32, 16))
    run, graphs = compiled(function)
    assert relative_error(run(*given), function(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]


def test_a_layer_that_gives_about_as_much_as_it_takes_stays(compiled):
    """Adding two answers would move as much memory as joining does."""
    given = (rows(2, 5, 16), rows(2, 5, 32), *layer(48, 32))
    run, graphs = compiled(over_joined)
    assert relative_error(run(*given), over_joined(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]


def test_joined_parts_that_begin_between_16_bytes_stay_joined(compiled):
    given = (rows(2, 5, 12), rows(2, 5, 36), *layer(48, 24))
    run, graphs = compiled(over_joined)
    assert relative_error(run(*given), over_joined(*given)) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]


def test_two_sums_of_float16_stay_one(compiled):
    """Half of a sum may pass 65504 where the whole does not."""
    x, y = (torch.full((5, 16), sign * 100.0, dtype=torch.float16) for sign in (1, -1))
    weight, bias = torch.full((16, 32), 50.0, dtype=torch.float16), torch.ones(16, dtype=torch.float16)

    def function(x, y, weight, bias):
        return functional.linear(torch.cat((x, y), -1), weight, bias)

    run, graphs = compiled(function)
    assert torch.equal(run(x, y, weight, bias), torch.ones(5, 16, dtype=torch.float16))
    assert [taken for taken, _ in graphs] == [0]


def test_what_is_trained_keeps_its_gradients(compiled):
    x, weight, bias = rows(2, 5, IN), *layer(IN, HIDDEN)
    weight.requires_grad_()
    run, graphs = compiled(hidden)
    run(x, weight, bias).float().sum().backward()
    compiled_gradient, weight.grad = weight.grad, None
    hidden(x, weight, bias).float().sum().backward()
    assert relative_error(compiled_gradient, weight.grad) < BFLOAT16
    assert [taken for taken, _ in graphs] == [0]
