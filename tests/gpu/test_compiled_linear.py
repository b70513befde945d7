"""Linear layers as a compiled graph rewrites them, in the cuBLAS of this machine. Needs an NVIDIA GPU."""

import pytest
from sagekit.check.reference import relative_error

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available() or torch.version.hip is not None:
    pytest.skip("no NVIDIA GPU that torch sees", allow_module_level=True)

functional = torch.nn.functional
ROWS, IN, HIDDEN, PART = 200, 256, 1024, 384
# How much further from float64 than the layer by itself: the sum over two parts is rounded once more.
AS_NEAR = 1.5


def gelu(x):
    return functional.gelu(x, approximate="tanh")


def activated(x, weight, bias, *_):
    return gelu(functional.linear(x, weight, bias))


def part_activated(x, weight, bias, *_):
    first, second = torch.split(functional.linear(x, weight, bias), [PART, HIDDEN - PART], dim=-1)
    return torch.cat((first.sin(), gelu(second)), -1) + 1


def over_parts(x, weight, bias, back, back_bias):
    first, second = torch.split(functional.linear(x, weight, bias), [PART, HIDDEN - PART], dim=-1)
    return functional.linear(torch.cat((first.sin(), gelu(second)), -1), back, back_bias)


def operands(dtype, batch=()):
    generator = torch.Generator("cuda").manual_seed(1)

    def drawn(*shape, scale=1.0):
        return (torch.randn(*shape, device="cuda", generator=generator) * scale).to(dtype)

    weights = drawn(HIDDEN, IN, scale=IN**-0.5), drawn(HIDDEN)
    back = drawn(IN, HIDDEN, scale=HIDDEN**-0.5), drawn(IN)
    return drawn(*batch, ROWS, IN), *weights, *back


@pytest.fixture
def accumulation():
    """accumulation(enabled) sets torch's FP16 accumulation until the test ends."""
    flags = torch.backends.cuda.matmul
    if not hasattr(flags, "allow_fp16_accumulation"):
        pytest.skip(f"torch {torch.__version__} has no FP16 accumulation")
    before = flags.allow_fp16_accumulation

    def put(enabled: bool) -> None:
        flags.allow_fp16_accumulation = enabled

    yield put
    put(before)


@pytest.fixture
def compiled(attention):
    """compiled(function) -> it through the pack's inductor, and how many layers each graph had rewritten."""
    from sagekit.core.compile import backend, linear

    taken, take_in = [], linear.take_in

    def counted(*given):
        taken.append(take_in(*given))
        return taken[-1]

    torch._dynamo.reset()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(linear, "take_in", counted)
        yield lambda function: (torch.compile(function, backend=backend.inductor), taken)
    torch._dynamo.reset()


@pytest.mark.parametrize("batch", [(), (2,)], ids=["rows", "batch of rows"])
@pytest.mark.parametrize(
    ("function", "dtype", "layers"),
    [
        (activated, torch.bfloat16, 1),
        (activated, torch.float16, 1),
        (part_activated, torch.bfloat16, 1),
        (part_activated, torch.float16, 1),
        (over_parts, torch.bfloat16, 2),
        (over_parts, torch.float16, 1),
    ],
)
@pytest.mark.parametrize("accumulates", [False, True], ids=["", "fp16 accumulation"])
def test_rewritten_layers_are_as_near_to_float64_as_the_hosts_own(
    compiled, accumulation, function, dtype, layers, batch, accumulates
):
    given = operands(dtype, batch)
    exact = function(*(one.double() for one in given))
    accumulation(accumulates)
    with torch.inference_mode():
        own = relative_error(function(*given).double(), exact)
        run, taken = compiled(function)
        error = relative_error(run(*given).double(), exact)
    assert taken == [layers]
    assert error < own * AS_NEAR
