"""Attention calls of any form, over kernels that do anything: the answer is ComfyUI's own, or its error is.

Models, node packs and kernels are all strangers: a call may be wrong in every way, and so may a kernel.
"""

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings
from support import fake_kernels
from support.plumbing import TOLERANCES

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
LENGTHS = (1, 2, 3, 7, 16, 63, 64, 65, 77, 127, 128, 129, 200)
HEAD_DIMS = (1, 3, 8, 16, 40, 64, 72, 96, 128, 160, 256)
# More than rounding in any of the dtypes, less than any fault.
CLOSE = 0.03


def right(q, k, v, *, mask=None, scale=None):
    return fake_kernels.float32_attention(q, k, v, mask=mask, scale=scale)


def faulty(chance) -> object:
    """A kernel that is right at first and then does one thing wrong for good."""
    faults = {
        "raises": lambda out, q: (_ for _ in ()).throw(RuntimeError("a\nb\x1b[31m" + "c" * 5000)),
        "exits": lambda out, q: (_ for _ in ()).throw(SystemExit(3)),
        "asserts": lambda out, q: (_ for _ in ()).throw(AssertionError()),
        "too short": lambda out, q: out[:, :, :-1],
        "another dtype": lambda out, q: out.double(),
        "another device": lambda out, q: out.to("meta"),
        "a tuple": lambda out, q: (out, None),
        "nothing": lambda out, q: None,
        "transposed": lambda out, q: out.transpose(1, 2).contiguous(),
    }
    fault = faults[chance.choice(sorted(faults))]
    left = chance.randrange(3)

    def attend(q, k, v, *, mask=None, scale=None):
        nonlocal left
        left -= 1
        out = right(q, k, v, mask=mask, scale=scale)
        return out if left >= 0 else fault(out, q)

    return attend


def tensor(chance, generator, batch, length, heads, head_dim, dtype, skip_reshape):
    """One of q, k and v: contiguous, a view, or one row for all."""
    shape = (batch, heads, length, head_dim) if skip_reshape else (batch, length, heads * head_dim)
    form = chance.choice(("plain", "plain", "wider", "turned", "expanded"))
    if form == "wider":
        wide = torch.randn((*shape[:-1], shape[-1] + chance.choice((1, 8))), generator=generator).to(dtype)
        return wide[..., : shape[-1]]
    if form == "turned" and skip_reshape:
        return torch.randn((batch, length, heads, head_dim), generator=generator).to(dtype).transpose(1, 2)
    if form == "expanded":
        return torch.randn((1, *shape[1:]), generator=generator).to(dtype).expand(shape)
    return torch.randn(shape, generator=generator).to(dtype)


def mask_for(chance, generator, batch, heads, q_len, kv_len, dtype):
    """A mask of any kind, one in six of them wrong."""
    right = [(q_len, kv_len), (batch, q_len, kv_len), (batch, heads, q_len, kv_len), (batch, 1, 1, kv_len)]
    shape = chance.choice([*right, (1, kv_len), (q_len + 1, kv_len), (kv_len,)])
    kind = chance.choice(("bool", "bool", "additive", "additive", "float32", "int"))
    noise = torch.randn(shape, generator=generator)
    if kind == "bool":
        mask = noise > 0
        mask[..., 0] = True  # A row without a key has no right answer.
        return mask
    return noise.int() if kind == "int" else noise.float() if kind == "float32" else noise.to(dtype)


def make(chance) -> tuple[tuple, dict]:
    """The arguments of one call."""
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    batch, heads = chance.choice((1, 1, 2, 3)), chance.choice((1, 2, 4, 6))
    kv_heads = chance.choice([one for one in (1, 2, 3, 6) if heads % one == 0] + [heads] * 4)
    q_len, kv_len = chance.choice(LENGTHS), chance.choice(LENGTHS)
    head_dim, dtype = chance.choice(HEAD_DIMS), chance.choice(DTYPES)
    skip = chance.random() < 0.5
    sizes = ((q_len, heads), (kv_len, kv_heads), (kv_len, kv_heads))
    qkv = [tensor(chance, generator, batch, *size, head_dim, dtype, skip) for size in sizes]
    if chance.random() < 0.04:
        # No heads at all end the process in PyTorch itself (2.14.1, CPU).
        at, none = chance.randrange(3), (slice(None),) * (2 if skip else 1) + (slice(0),)
        qkv[at] = chance.choice([qkv[at].double(), qkv[at][..., :-1], qkv[at][none], qkv[at].half()])
    if chance.random() < 0.05:
        qkv = [one.detach().clone().requires_grad_(one.is_floating_point()) for one in qkv]
    given: dict[str, object] = {"skip_reshape": skip}
    if chance.random() < 0.4:
        given["mask"] = mask_for(chance, generator, batch, heads, q_len, kv_len, dtype)
    options = {
        "skip_output_reshape": (0.4, lambda: chance.random() < 0.7),
        "scale": (
            0.2,
            lambda: chance.choice((0.3, 1, 0.0, -0.5, None, 1 / head_dim**0.5, torch.tensor(0.5))),
        ),
        "enable_gqa": (0.3 if kv_heads == heads else 0.9, lambda: True),
        "attn_precision": (0.2, lambda: chance.choice((torch.float32, torch.float16, None))),
        "low_precision_attention": (0.2, lambda: chance.random() < 0.5),
        "preferred_attention": (0.05, lambda: chance.choice((None, "pytorch"))),
        "of_a_later_host": (0.03, lambda: object()),
    }
    given |= {name: value() for name, (share, value) in options.items() if chance.random() < share}
    wrong_heads = chance.random() < 0.02
    return (*qkv, chance.choice((0, heads + 1, 10**6)) if wrong_heads else heads), given


def outcome(call, args, given, **more):
    """(what a call gives, None) or (None, the error)."""
    try:
        return call(*args, **given, **more), None
    except Exception as error:
        return None, error


def described(number, args, given) -> str:
    shown = {name: tuple(one.shape) if torch.is_tensor(one) else one for name, one in given.items()}
    shapes = [f"{tuple(one.shape)} {one.dtype} {one.stride()}" for one in args[:3]]
    return f"call {number}: {shapes} heads {args[3]} {shown}"


@pytest.mark.parametrize("kernel", ["right", "faulty", "auto"])
def test_no_call_ends_otherwise_than_without_the_node(attention, patched, attack, kernel):
    chance, model = attack.random, None
    for number in range(attack.times(120, 20_000)):
        if model is None or number % 50 == 0:
            attend = faulty(chance) if kernel == "faulty" else right
            settings = Settings("auto" if kernel == "auto" else "fake", quality="exact")
            model = patched(attend, settings=settings, gqa=chance.random() < 0.7)
        args, given = make(chance)
        before = [one.detach().clone() for one in args[:3]]

        hosts, error = outcome(attention.attention_pytorch, args, given)
        ours, own = outcome(attention.attention_pytorch, args, given, transformer_options=model.options)
        where = described(number, args, given)
        attack.tried("attention calls")
        if error is not None:
            # What the host cannot run, a kernel may; otherwise the error is the host's own.
            assert own is None or type(own) is type(error), f"{where}: {own!r}, and the host {error!r}"
            continue
        assert own is None, f"{where}: {own!r}"
        assert (ours.shape, ours.dtype, ours.device) == (hosts.shape, hosts.dtype, hosts.device), where
        if torch.isfinite(hosts).all() and hosts.numel():
            size = max(float(hosts.detach().float().norm()), 1e-6)
            off = float((ours.detach().float() - hosts.detach().float()).norm()) / size
            assert off < max(CLOSE, 2 * TOLERANCES[hosts.dtype]), f"{where}: off by {off:.3g}"
        for old, new in zip(before, args[:3], strict=True):
            assert torch.equal(old, new.detach()), f"{where}: an argument was written into"


def test_a_thousand_sizes_leave_no_more_behind_than_a_few(attention, patched, attack):
    """Plans are kept by the size of a call; a video upscaler makes sizes without end."""
    import gc

    model = patched()

    def objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    def run(first: int, count: int) -> None:
        for number in range(first, first + count):
            q_len, kv_len = divmod(number, 128)
            q, k, v = (
                torch.zeros(1, 1 + q_len, 8),
                torch.zeros(1, 1 + kv_len, 8),
                torch.zeros(1, 1 + kv_len, 8),
            )
            attention.attention_pytorch(q, k, v, 1, transformer_options=model.options)

    most = attack.times(300, 6000)
    run(0, most)
    model.patch.report.end()
    before = objects()
    # The same number of sizes that were never seen takes the place of others, or as much again at most.
    run(most, most)
    attack.tried("sizes of call", 2 * most)
    kept = len(model.patch._plans)
    assert kept <= 4096 and objects() - before < 40 * most + 2000


def test_the_check_of_this_test_sees_a_wrong_answer(attention, patched, attack):
    class Unheld(Settings):
        budget = float("inf")

    model = patched(fake_kernels.shifts_the_rows, settings=Unheld("fake"))
    q, k, v = (torch.randn(1, 17, 64) for _ in range(3))
    ours = attention.attention_pytorch(q, k, v, 2, transformer_options=model.options)
    assert relative_error(ours, attention.attention_pytorch(q, k, v, 2)) > CLOSE
