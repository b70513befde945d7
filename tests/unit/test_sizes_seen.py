"""What torch learns of sizes while a patched model runs, apart from all other."""

import pytest
from sagekit.host.compiled_before import Graphs

torch = pytest.importorskip("torch", reason="torch is not installed")
pgo = pytest.importorskip("torch._dynamo.pgo", reason="this torch keeps it with each function")


@pytest.fixture
def compiled():
    """compiled(n): calls a compiled function with n numbers."""
    function = torch.compile(lambda x: x + 1, backend="eager")
    torch._dynamo.reset()
    yield lambda count: function(torch.zeros(count))
    torch._dynamo.reset()


def learnt() -> int:
    return len(pgo.get_code_state())


def test_what_a_patched_forward_teaches_is_kept_for_the_next_one_alone(compiled):
    graphs = Graphs()
    with graphs.made_with_patch():
        compiled(3)
        assert learnt() == 1
    assert learnt() == 0
    with graphs.made_with_patch(), graphs.made_with_patch():
        assert learnt() == 1
    compiled(4)
    assert learnt() == 1


@pytest.mark.parametrize("inside", [True, False])
def test_a_reset_forgets_all_of_it(compiled, inside):
    graphs = Graphs()
    compiled(3)
    with graphs.made_with_patch():
        compiled(4)
        if inside:
            torch._dynamo.reset()
    if not inside:
        torch._dynamo.reset()
    assert learnt() == 0
    with graphs.made_with_patch():
        assert learnt() == 0


def test_where_torch_refuses_to_say_where_it_keeps_it_a_run_goes_on(compiled, monkeypatch):
    def refuse():
        raise RuntimeError("a name of a job that is not allowed")

    monkeypatch.setattr(pgo, "get_cache_key", refuse)
    before = pgo._CODE_STATE
    with Graphs().made_with_patch():
        assert pgo._CODE_STATE is before
    assert pgo._CODE_STATE is before


def test_of_a_job_that_has_a_name_all_is_kept_in_one(compiled, monkeypatch):
    monkeypatch.setattr(torch.compiler.config, "job_id", "one")
    monkeypatch.setattr(pgo, "put_code_state", lambda: None)
    monkeypatch.setattr(pgo, "get_local_code_state", lambda key: None)
    with Graphs().made_with_patch():
        compiled(3)
    assert learnt() == 1
