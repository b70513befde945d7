"""What the kernel check found, and where it is kept from one start of ComfyUI to the next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..machine import json_file, schema, states
from ..machine.printable import printable
from ..machine.reason import Reason
from .catalogue import MESSAGES, REASONS

OK = "ok"
WRONG = "wrong"
REFUSED = "refused"
CRASHED = "crashed"
TIMED_OUT = "timed-out"
NOT_IMPORTABLE = "not-importable"
STATES = (OK, WRONG, REFUSED, CRASHED, TIMED_OUT, NOT_IMPORTABLE)

FORMAT = 1
# Letters of a detail: an error's words, or the reasons of a refusal.
LONGEST_DETAIL = 2000
# Most kernels and most GPUs of one file, and most times of one kernel.
_MOST_KERNELS, _MOST_GPUS, _MOST_TIMES = 1000, 256, 100


@dataclass(frozen=True)
class Verdict:
    """What became of one kernel on one GPU.

    Attributes:
        state: One of STATES.
        error: Largest relative L2 error against float32 on normal data; None where none was measured.
        detail: Where it went wrong, the reasons for refusing, the import's own error, the signal.
        seconds: How long the check took.
        cases: How many calls were made.
        times: Milliseconds per call at typical shapes, where they were taken.
    """

    state: str
    error: float | None = None
    detail: str = ""
    seconds: float = 0.0
    cases: int = 0
    times: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"a verdict is one of {', '.join(STATES)}, not {self.state!r}")

    @property
    def is_good(self) -> bool:
        return self.state == OK

    @property
    def is_lasting(self) -> bool:
        """Whether it says something about the kernel: a GPU that was full at the time says nothing."""
        return not (self.state == REFUSED and "out of memory" in self.detail.lower())

    def __str__(self) -> str:
        if self.state == OK:
            return f"ok, error {self.error:.1e}" if self.error is not None else "ok"
        return f"{self.state}: {self.told}"

    @property
    def told(self) -> str:
        """The detail as it may leave this machine; the doctor reads it as it is."""
        # Not needed by a start that finds all well.
        from ..machine.redaction import of_this_machine

        # A refusal keeps its code and values.
        return self.detail if self.state == REFUSED else of_this_machine().redact(self.detail)

    def as_reason(self) -> Reason:
        """Why a kernel with this verdict is not used."""
        if self.state == NOT_IMPORTABLE:
            return REASONS("not-importable", error=self.told)
        return REASONS(self.state, detail=self.told)


def verdict_from(data: object) -> Verdict:
    """A verdict from JSON; ValueError where it is none."""
    facts = schema.fields(data)
    if unknown := facts.keys() - Verdict.__dataclass_fields__.keys():
        raise ValueError(f"a verdict has no {min(unknown)!r:.40}")
    error = facts.get("error")
    return Verdict(
        state=schema.text(schema.field(facts, "state")),
        error=None if error is None else schema.number(error),
        detail=printable(schema.text(facts.get("detail", "")), LONGEST_DETAIL),
        seconds=schema.number(facts.get("seconds", 0.0)),
        cases=schema.whole(facts.get("cases", 0)),
        times=schema.table(facts.get("times", {}), schema.number, _MOST_TIMES),
    )


@dataclass(frozen=True)
class Stored:
    """One file of verdicts.

    Attributes:
        fingerprint: Of the machine that they hold for.
        versions: What was installed then, by name, to say what changed since.
        verdicts: By GPU name ("" without one) and kernel name.
    """

    fingerprint: str
    versions: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)

    def of(self, gpu: str) -> Mapping[str, Verdict]:
        return self.verdicts.get(gpu, {})

    def as_data(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The verdicts as JSON-ready values, by GPU and kernel."""
        return {
            gpu: {name: asdict(one) for name, one in found.items()} for gpu, found in self.verdicts.items()
        }

    def with_verdicts(self, gpu: str, found: Mapping[str, Verdict]) -> "Stored":
        """The same with more of them for one GPU."""
        verdicts = {**self.verdicts, gpu: {**self.of(gpu), **found}}
        return Stored(self.fingerprint, self.versions, verdicts)


def read(file: Path, fingerprint: str = "") -> tuple[Stored | None, str]:
    """The verdicts in a file, and what is wrong with the file where they cannot be had ("" if nothing).

    Those of the machine of that fingerprint, where the file has some; else the last that were written.
    """
    then = MESSAGES("kernels-are-checked-again")
    data, trouble = json_file.read(file, then)
    if data is None:
        return None, trouble
    try:
        facts = schema.fields(data)
        if schema.whole(schema.field(facts, "format"), -(2**63)) != FORMAT:
            return None, json_file.of_another_version(file, then)
        facts = states.part_of(facts, fingerprint)
        return (
            Stored(
                schema.text(schema.field(facts, "fingerprint")),
                schema.table(schema.field(facts, "versions"), schema.text, _MOST_KERNELS),
                schema.table(schema.field(facts, "verdicts"), _of_a_gpu, _MOST_GPUS),
            ),
            "",
        )
    except ValueError as error:
        return None, json_file.damaged(file, error, then)


def _of_a_gpu(data: object) -> dict[str, Verdict]:
    return schema.table(data, verdict_from, _MOST_KERNELS)


def write(file: Path, stored: Stored) -> str:
    """Adds the lasting verdicts to those that a file has of the same machine; returns what went wrong, or "".

    Several servers may share a user folder: what another has found since is kept.
    """

    def written() -> dict[str, Any]:
        there, _ = read(file, stored.fingerprint)
        merged = Stored(stored.fingerprint, stored.versions)
        for part in (there if there and there.fingerprint == stored.fingerprint else merged, stored):
            for gpu, found in part.verdicts.items():
                merged = merged.with_verdicts(
                    gpu, {name: one for name, one in found.items() if one.is_lasting}
                )
        data = {
            "format": FORMAT,
            "fingerprint": stored.fingerprint,
            "versions": dict(stored.versions),
            "verdicts": merged.as_data(),
        }
        return states.on_top(data, json_file.read(file, "")[0])

    trouble = json_file.change(file, written)
    return MESSAGES("verdicts-not-kept", error=trouble) if trouble else ""
