"""What runs for what was asked for, and that no CUDA graph is ever among it."""

import pytest
import torch._inductor
from sagekit.core.compile.compiled import _inductor_options
from sagekit.core.compile.settings import (
    BACKENDS,
    BLOCKS,
    DYNAMIC,
    MODES,
    WHOLE,
    Settings,
    understood,
)


@pytest.mark.parametrize("mode", [*MODES, "lite"])
@pytest.mark.parametrize("backend", [*BACKENDS, "aot_eager"])
def test_what_is_offered_and_what_this_torch_knows_runs_as_asked(backend, mode):
    if mode not in (*MODES, *torch._inductor.list_mode_options()):
        pytest.skip(f"this torch has no mode {mode}")
    for compile in (BLOCKS, WHOLE):
        for dynamic in DYNAMIC:
            asked = Settings(compile, dynamic, backend, mode, fullgraph=True, cache=False)
            assert understood(asked) == (asked, [])


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ({"mode": "reduce-overhead"}, {"mode": "default"}),
        ({"mode": "max-autotune"}, {"mode": "max-autotune-no-cudagraphs"}),
        ({"backend": "cudagraphs"}, {"backend": "inductor"}),
        ({"mode": "later", "backend": "later"}, {"mode": "default", "backend": "inductor"}),
        ({"dynamic": "later", "compile": "later"}, {"dynamic": "auto", "compile": BLOCKS}),
    ],
    ids=str,
)
def test_for_what_is_not_known_or_records_cuda_graphs_another_runs_and_each_is_told(asked, runs):
    settings, told = understood(Settings(fullgraph=True, **asked))
    assert settings == Settings(fullgraph=True, **runs)
    assert len(told) == len(asked)
    for name, value in asked.items():
        assert any(one.startswith(f"{name} {value} is not ") and runs[name] in one for one in told)


@pytest.mark.parametrize("mode", [*MODES, "reduce-overhead", "max-autotune"])
def test_no_mode_records_cuda_graphs_whatever_the_process_is_set_to(mode):
    settings, _ = understood(Settings(mode=mode))
    with torch._inductor.config.patch({"triton.cudagraphs": True}):
        options = _inductor_options(settings)
    assert options["triton.cudagraphs"] is False
    assert options.get("max_autotune", False) is mode.startswith("max-autotune")
