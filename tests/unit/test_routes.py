"""Deciding a class of calls: times, ties, errors, memory, and what is kept of them."""

import json
import threading
from types import SimpleNamespace

import pytest
from sagekit.core.attention import routes
from sagekit.core.attention.dispatch import Kernels, plan
from sagekit.core.attention.plan import OnHost, Routed
from sagekit.core.attention.routes import Bench, Times, settle
from sagekit.core.attention.settings import Settings
from sagekit.core.clock import SYSTEM
from sagekit.kernels.backend import Kernel
from sagekit.kernels.call import Call
from sagekit.kernels.kinds import EXACT, QUANTISED
from support import fake_kernels

CALL = Call(1, 24, 24, 4608, 4608, 128, "bfloat16", "cuda", (9, 0), "NVIDIA Test GPU")
HOST = "attention_pytorch"
OUT_OF_MEMORY = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")


class World:
    """A machine whose kernels take the times, and make the errors, that a test gives them."""

    def __init__(self, times: dict, errors: dict | None = None, exact=("cudnn", "flash")) -> None:
        self.times, self.errors = times, errors or {}
        self.timed, self.answered, self.told, self.freed = [], [], [], 0
        kernel = Kernel(fake_kernels.float32_attention)
        tolerances = {"fp8": 0.05, "int8": 0.03}
        self.kernels = Kernels(
            {
                name: fake_kernels.CpuBackend(
                    name,
                    name,
                    lambda: kernel,
                    tolerances.get(name, 0.01),
                    kind=EXACT if name in exact else QUANTISED,
                )
                for name in times
                if name != HOST
            }
        )
        self.cancel = lambda: None

    def bench(self) -> Bench:
        def give(value):
            if isinstance(value, Exception):
                raise value
            return value

        def time_kernel(tried, best):
            self.timed.append(tried.name)
            return give(self.times[tried.name])

        def answer(tried):
            self.answered.append(tried.name)
            return tried.name

        def free():
            self.freed += 1

        return SimpleNamespace(
            host=HOST,
            time_host=lambda: self.timed.append(HOST) or self.times[HOST],
            time_kernel=time_kernel,
            answer=answer,
            error=lambda out: give(self.errors.get(out, 0.001)),
            tell=self.told.append,
            stop_if_cancelled=lambda: self.cancel(),
            free_memory=free,
        )

    def settle(self, times: Times | None = None, **settings):
        settings = Settings(**settings)
        open_plan = plan(CALL, settings, self.kernels)
        settled, out = settle(open_plan, settings, self.kernels, times or Times(), self.bench())
        assert isinstance(settled, (OnHost, Routed))
        return settled, out


def codes(settled) -> dict:
    return {name: [reason.code for reason in reasons] for name, reasons in settled.passed_over}


def test_the_fastest_within_the_budget_runs_and_its_answer_is_the_calls():
    world = World({HOST: 1.0, "cudnn": 0.6, "fp8": 0.4, "int8": 0.8}, {"fp8": 0.04})
    settled, out = world.settle()
    assert settled.name == out == "fp8" and settled.quantised
    assert (settled.milliseconds, settled.host_milliseconds, settled.error) == (0.4, 1.0, 0.04)
    assert codes(settled) == {"cudnn": ["slower"], "int8": ["slower"]}
    assert world.answered == ["fp8"]


def test_the_fastest_that_is_too_far_off_gives_way_to_the_next():
    world = World({HOST: 1.0, "cudnn": 0.6, "fp8": 0.4, "int8": 0.5}, {"fp8": 0.051, "int8": float("nan")})
    settled, out = world.settle()
    assert settled.name == out == "cudnn" and not settled.quantised
    assert codes(settled) == {"fp8": ["error"], "int8": ["error"]}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({HOST: 1.0, "cudnn": 0.995, "fp8": 0.99}, ""),
        ({HOST: 1.0, "cudnn": 0.606, "fp8": 0.6}, "cudnn"),
        ({HOST: 1.0, "int8": 0.606, "fp8": 0.6}, "int8"),
        ({HOST: 1.0, "cudnn": 0.612, "fp8": 0.6}, "fp8"),
        ({HOST: 1.0, "cudnn": 1.5, "fp8": 2.0}, ""),
    ],
)
def test_among_equals_the_hosts_own_wins_then_the_more_exact(times, expected):
    settled, _ = World(times).settle()
    assert (settled.name if isinstance(settled, Routed) else "") == expected
    if not expected:
        assert settled.why == "no-faster-kernel"
        assert all(reasons == ["slower"] for reasons in codes(settled).values())


def test_never_slower_than_the_host_whatever_the_errors():
    world = World({HOST: 1.0, "fp8": 0.5, "cudnn": 1.2}, {"fp8": 0.2})
    settled, out = world.settle()
    assert isinstance(settled, OnHost) and out is None and world.answered == ["fp8"]
    assert codes(settled) == {"fp8": ["error"], "cudnn": ["slower"]}


def test_exact_quality_never_tries_a_quantised_kernel():
    world = World({HOST: 1.0, "fp8": 0.1, "cudnn": 0.9})
    settled, _ = world.settle(quality="exact")
    assert settled.name == "cudnn" and world.timed == [HOST, "cudnn"]


def test_fast_lets_in_what_balanced_does_not():
    world = World({HOST: 1.0, "fp8": 0.4}, {"fp8": 0.09})
    assert isinstance(world.settle(quality="balanced")[0], OnHost)
    assert world.settle(quality="fast")[0].name == "fp8"


def test_a_named_kernel_is_not_timed_but_its_error_is_taken():
    world = World({HOST: 1.0, "fp8": 9.0, "cudnn": 0.1}, {"fp8": 0.04})
    settled, out = world.settle(kernel="fp8")
    assert settled.name == out == "fp8" and world.timed == []
    world.errors["fp8"] = 0.2
    settled, out = world.settle(kernel="fp8")
    assert isinstance(settled, OnHost) and settled.why == "error" and out is None


def test_a_time_that_is_known_is_not_taken_again_and_the_error_is():
    world, times = World({HOST: 1.0, "fp8": 0.4, "cudnn": 0.6}), Times()
    world.settle(times)
    assert sorted(world.timed) == sorted([HOST, "fp8", "cudnn"])
    world.timed.clear()
    world.errors["fp8"] = 0.3
    assert world.settle(times)[0].name == "cudnn"
    assert world.timed == [] and world.answered == ["fp8", "fp8", "cudnn"]


def test_a_kernel_that_is_new_is_timed_alone():
    times = Times()
    World({HOST: 1.0, "cudnn": 0.6}).settle(times)
    world = World({HOST: 5.0, "cudnn": 5.0, "fp8": 0.4})
    assert world.settle(times)[0].name == "fp8" and world.timed == ["fp8"]


@pytest.mark.parametrize("when", ["timing", "answering"])
def test_out_of_memory_drops_the_candidate_for_the_class_and_frees_what_it_took(when):
    world = World({HOST: 1.0, "fp8": 0.4, "cudnn": 0.6})
    if when == "timing":
        world.times["fp8"] = OUT_OF_MEMORY
    else:
        world.errors["fp8"] = OUT_OF_MEMORY
    settled, _ = world.settle()
    assert settled.name == "cudnn" and codes(settled)["fp8"] == ["out-of-memory"]
    assert world.freed == 1


def test_a_fault_of_the_gpu_goes_up():
    world = World({HOST: 1.0, "fp8": RuntimeError("CUDA error: an illegal memory access was encountered")})
    with pytest.raises(RuntimeError, match="illegal memory"):
        world.settle()


def test_a_cancel_stops_it_at_once():
    world = World({HOST: 1.0, "cudnn": 0.6, "fp8": 0.4})

    def cancel():
        if len(world.timed) > 1:
            raise KeyboardInterrupt

    world.cancel = cancel
    with pytest.raises(KeyboardInterrupt):
        world.settle()
    assert len(world.timed) == 2


def test_after_three_seconds_the_rest_waits_for_the_next_start():
    world = World({HOST: 1.0, "cudnn": 0.6, "fp8": 0.4})
    clock = iter([0.0, 1.0, 3.5])
    times = Times(clock=SimpleNamespace(monotonic=lambda: next(clock)))
    settled, _ = world.settle(times)
    assert settled.name == "cudnn" and codes(settled) == {"fp8": ["unmeasured"]}
    times.clock = SYSTEM
    assert world.settle(times)[0].name == "fp8"


def test_the_node_hears_what_is_measured():
    world = World({HOST: 1.0, "cudnn": 0.6, "fp8": 0.4})
    world.settle()
    assert world.told == [f"measuring attention: {number} of 2 kernels, 4608 x 4608" for number in (1, 2)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "sagekit" / routes.FILE_NAME


def stored(file, fingerprint="machine") -> Times:
    times = Times()
    times.read(file, fingerprint)
    return times


def test_times_outlive_the_process_and_not_the_machine(file):
    times = stored(file)
    world = World({HOST: 1.0, "cudnn": 0.6, "fp8": 0.4})
    world.settle(times)
    times.save()
    world.timed.clear()
    assert world.settle(stored(file))[0].name == "fp8" and world.timed == []
    assert stored(file, "another torch").of(CALL.gpu, str(CALL)) == {}
    assert stored(file).of("NVIDIA T4", str(CALL)) == {}


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        "null",
        "[]",
        '{"format": 1, "fingerprint": "machine"}',
        '{"format": 1, "fingerprint": "machine", "times": {"gpu": {"call": {"fp8": -1}}}}',
        '{"format": 1, "fingerprint": "machine", "times": {"gpu": {"call": {"fp8": "fast"}}}}',
    ],
)
def test_a_damaged_file_is_ignored_said_once_and_rebuilt(file, damage, caplog):
    file.parent.mkdir()
    file.write_text(damage)
    times = stored(file)
    assert len(caplog.records) == 1 and "attention is measured again" in caplog.text
    times.add("gpu", "call", {"fp8": 1.0})
    times.save()
    assert stored(file).of("gpu", "call") == {"fp8": 1.0} and len(caplog.records) == 1


def test_forgotten_times_are_gone_on_disk_too_and_those_of_others_are_kept(file):
    first = stored(file)
    for call in ("a", "b"):
        first.add(CALL.gpu, call, {"host": 1.0})
    first.save()
    other = stored(file)
    other.add(CALL.gpu, "c", {"host": 3.0})
    other.save()
    first.forget(CALL.gpu, "a")
    first.forget(CALL.gpu, "never known")
    assert first.of(CALL.gpu, "a") == {} and first.of(CALL.gpu, "b")
    first.save()
    assert set(stored(file).newest(9)[CALL.gpu]) == {"b", "c"}
    first.add(CALL.gpu, "a", {"host": 2.0})
    first.save()
    assert stored(file).of(CALL.gpu, "a") == {"host": 2.0}


def test_nothing_new_writes_nothing(file):
    times = stored(file)
    times.save()
    assert not file.exists()


def test_a_disk_that_is_full_is_said_once(file, monkeypatch, caplog):
    times = stored(file)
    monkeypatch.setattr(routes.json_file, "write", lambda *arguments: "No space left on device")
    for number in range(3):
        times.add("gpu", f"call {number}", {"fp8": 1.0})
        times.save()
    assert caplog.text.count("No space left on device") == 1


def test_the_oldest_classes_go_first(monkeypatch):
    monkeypatch.setattr(routes, "KEPT_CLASSES", 3)
    times = Times()
    for number in (1, 2, 3, 1, 4):
        times.add("gpu", f"call {number}", {"fp8": 1.0})
    assert [number for number in range(1, 5) if times.of("gpu", f"call {number}")] == [1, 3, 4]


def test_two_equal_gpus_measure_a_class_once():
    world, times = World({HOST: 1.0, "cudnn": 0.6}), Times()
    threads = [threading.Thread(target=world.settle, args=(times,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(world.timed) == sorted([HOST, "cudnn"])


def test_the_file_is_plain_json(file):
    times = stored(file)
    times.add(CALL.gpu, str(CALL), {HOST: 1.0})
    times.save()
    assert json.loads(file.read_text())["times"][CALL.gpu] == {str(CALL): {HOST: 1.0}}
