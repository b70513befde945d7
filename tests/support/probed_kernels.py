"""Kernels for the child process of the probe: right ones, and each kind of broken one. Runs on the CPU."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time

import torch
from sagekit.check.reference import attention
from sagekit.kernels.backend import Backend, Kernel
from sagekit.kernels.call import ADDITIVE_MASK, BOOL_MASK


class _OnCpu(Backend):
    def reasons(self, call):
        return [reason for reason in super().reasons(call) if reason.code not in ("device", "capability")]


def right(q, k, v, *, mask=None, scale=None):
    return attention(q, k, v, mask, scale).to(q.dtype)


def drops_the_mask(q, k, v, *, mask=None, scale=None):
    return right(q, k, v, scale=scale)


def drops_the_scale(q, k, v, *, mask=None, scale=None):
    return right(q, k, v, mask=mask)


def swaps_the_layout(q, k, v, *, mask=None, scale=None):
    out = right(q, k, v, mask=mask, scale=scale)
    return out.transpose(1, 2).reshape(out.shape)


def shifts_the_rows(q, k, v, *, mask=None, scale=None):
    return right(q, k, v, mask=mask, scale=scale).roll(1, dims=2)


def counts_the_padding(q, k, v, *, mask=None, scale=None):
    """SageAttention 1.0.6's fault: softmax counts the rows that fill the last block of 64 keys."""
    rows = -k.shape[2] % 64
    k, v = (torch.nn.functional.pad(tensor, (0, 0, 0, rows)) for tensor in (k, v))
    mask = mask if mask is None or not rows else torch.nn.functional.pad(mask, (0, rows))
    return right(q, k, v, mask=mask, scale=scale)


def swallows_a_key_head(q, k, v, *, mask=None, scale=None):
    return right(q, k[:, :1], v[:, :1], mask=mask, scale=scale)


def casts_to_half(q, k, v, *, mask=None, scale=None):
    return right(q, k, v.half(), mask=mask, scale=scale)


def reads_behind_the_end(q, k, v, *, mask=None, scale=None):
    out = right(q, k, v, mask=mask, scale=scale)
    last = k.storage_offset() + (k.shape[2] - 1) * k.stride(2) + k.stride(2)
    if last < k.untyped_storage().size() // k.element_size():
        out = out + 0 * k.as_strided((1,), (1,), last)
    return out


def changes_its_inputs(q, k, v, *, mask=None, scale=None):
    out = right(q, k, v, mask=mask, scale=scale)
    k -= k.mean(dim=2, keepdim=True)
    return out


_calls = itertools.count()


def answers_differently(q, k, v, *, mask=None, scale=None):
    return right(q, k, v, mask=mask, scale=scale) * (1 + 0.01 * (next(_calls) % 2))


def answers_nan(q, k, v, *, mask=None, scale=None):
    return right(q, k, v, mask=mask, scale=scale) * float("nan")


def answers_zeros(q, k, v, *, mask=None, scale=None):
    return torch.zeros_like(q)


def raises(q, k, v, *, mask=None, scale=None):
    raise ValueError("Unsupported head_dim: 64")


def aborts(q, k, v, *, mask=None, scale=None):
    os.abort()


def exits(q, k, v, *, mask=None, scale=None):
    os._exit(3)


def sleeps(q, k, v, *, mask=None, scale=None):
    time.sleep(600)


def loses_the_gpu(q, k, v, *, mask=None, scale=None):
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def chatters(q, k, v, *, mask=None, scale=None):
    print("a library that prints to stdout")  # noqa: T201
    os.write(1, b"and one that writes to it\n")
    return right(q, k, v, mask=mask, scale=scale)


def forks(q, k, v, *, mask=None, scale=None):
    """What the fork goes on to say is right, and the kernel itself is not."""
    if next(_forks) == 0 and os.fork():
        time.sleep(3)
        return torch.zeros_like(q)
    return right(q, k, v, mask=mask, scale=scale)


_forks = itertools.count()


def prints_garbage(q, k, v, *, mask=None, scale=None):
    """To every file that is open, answers in the name of others among it."""
    forged = json.dumps({"event": "verdict", "kernel": "prints_garbage", "verdict": {"state": "wrong"}})
    lines = [
        "no JSON\n",
        "[1, 2]\n",
        '{"event":\n',
        "[" * 5000 + "\n",
        forged + "\n",
        "\xff" * 9,
        "unfinished",
    ]
    for number in range(1, 20):
        with contextlib.suppress(OSError):
            if os.fstat(number).st_mode & 0o170000 == 0o010000:  # A pipe.
                os.write(number, "".join(lines).encode("latin-1"))
    return right(q, k, v, mask=mask, scale=scale)


def _note_of_grandchildren():
    return os.path.join(tempfile.gettempdir(), "sagekit-grandchildren-of-kernels")


def _starts_what_outlives():
    """Two processes that hold every pipe of this one open and do not end, one in a session of its own."""
    for apart in (False, True):
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        started = subprocess.Popen(command, close_fds=False, start_new_session=apart)
        with open(_note_of_grandchildren(), "a") as note:
            note.write(f"{started.pid}\n")


def outlived_in_a_crash(q, k, v, *, mask=None, scale=None):
    for number in range(3, 20):
        with contextlib.suppress(OSError):
            os.set_inheritable(number, True)
    _starts_what_outlives()
    os._exit(3)


def outlived_in_a_hang(q, k, v, *, mask=None, scale=None):
    _starts_what_outlives()
    time.sleep(600)


def outlived_when_right(q, k, v, *, mask=None, scale=None):
    if next(_started) == 0:
        _starts_what_outlives()
    return right(q, k, v, mask=mask, scale=scale)


_started = itertools.count()


def closes_its_answers(q, k, v, *, mask=None, scale=None):
    os.closerange(3, 20)
    time.sleep(600)


def goes_on_and_on(q, k, v, *, mask=None, scale=None):
    time.sleep(1)
    return right(q, k, v, mask=mask, scale=scale)


def _fails_to_import():
    raise ImportError("DLL load failed while importing _fused: The specified module could not be found.")


def _aborts_on_import():
    os.abort()


KERNELS = (
    *(right, drops_the_mask, drops_the_scale, swaps_the_layout, shifts_the_rows, counts_the_padding),
    *(swallows_a_key_head, casts_to_half, reads_behind_the_end, changes_its_inputs, answers_differently),
    *(answers_nan, answers_zeros, raises, aborts, exits, sleeps, loses_the_gpu, chatters),
    *(forks, prints_garbage, outlived_in_a_crash, outlived_in_a_hang, outlived_when_right),
    *(closes_its_answers, goes_on_and_on),
)


def _backend(name, load, **facts):
    common = {"tolerance": 0.03, "head_dims": range(1, 257), "masks": frozenset({BOOL_MASK, ADDITIVE_MASK})}
    return _OnCpu(name=name, title=name, load=load, **(common | facts))


def declare():
    kernels = [_backend(one.__name__, lambda one=one: Kernel(one)) for one in KERNELS]
    return (
        *kernels,
        _backend("fails_to_import", _fails_to_import),
        _backend("aborts_on_import", _aborts_on_import),
        _backend("lacks_a_module", lambda: Kernel(right), imports=("json", "no_such_compiled_module")),
        _backend("takes_nothing", lambda: Kernel(right), dtypes=frozenset({"float8"})),
    )
