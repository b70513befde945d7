"""The declaration of a kernel: how to load it, what it takes, how wrong it may be, why it refuses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ..machine.message import Message
from ..machine.reason import Reason
from .call import NO_MASK, Call
from .catalogue import MASKS, REASONS, WORDS
from .gpus import Capabilities
from .kinds import QUANTISED, Exact, Kind
from .tensors import Mask, Scale, Tensor

INT32_OFFSETS = 2**31
CUDA_GRID_YZ = 65535


class Attend(Protocol):
    """Attention of tensors (batch, heads, length, head_dim), which stay as they were."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        """(batch, heads, q_len, head_dim); the mask broadcasts to (batch, heads, q_len, kv_len)."""
        ...


class AttendOwned(Protocol):
    """The same of a list [q, k, v], which it empties as soon as it has read them."""

    def __call__(self, tensors: list[Tensor], *, mask: Mask = None, scale: Scale = None) -> Tensor: ...


@dataclass(frozen=True)
class Kernel:
    """A loaded kernel.

    Attributes:
        attend: The function itself.
        attend_owned: As ``attend``, with the memory of q, k and v free while it runs; None where that gains
            nothing.
    """

    attend: Attend
    attend_owned: AttendOwned | None = None


@dataclass(frozen=True)
class Backend:
    """What one kernel takes. Only facts: deciding is ``reasons``, running is ``load().attend``.

    Attributes:
        name: ``family-QK-PV``, as in the node's list and in every report; never changes.
        title: One line for people.
        shown_as: What people call its family, in as few words as fit on a node; "" for its name.
        load: Imports the kernel and returns it. Raises whatever the import raises.
        tolerance: Largest relative L2 error (NRMSE) against float32 attention that still counts as
            working, at any call it takes. Measured on normal data over the check's cases and rounded up;
            each file in families/ says where, and what is its authors' figure instead.
        machine: Reasons that hold whatever the call is (package missing, too old, module missing).
        imports: Compiled modules that it needs, for the check to import each by itself.
        of_torch: Part of PyTorch itself, which ComfyUI runs anyway: used before it is checked, too.
        may_raise: Whoever calls it catches what it raises and uses PyTorch's attention: no fault then.
        hard_data: Is tried on data made to be hard as well; a launch flag's kernel is what it is.
        kind: What its error depends on, with the parameters that belong to that.
        also_called: What other node packs call it, whose workflows are read as ours.
        capabilities: CUDA compute capabilities it has code for; None is any.
        dtypes: torch dtype names.
        head_dims: Head dims it takes.
        masks: Mask kinds it honours besides none.
        gqa: Takes fewer kv heads than heads.
        any_scale: Honours ``scale``; else only 1 / sqrt(head_dim).
        kv_multiple: kv_len must be a multiple of this,
        kv_padding: or miss it by no more than this part of kv_len.
        max_batch: Largest batch.
        max_batch_heads: Largest batch * heads.
        offset_limit: First element offset it cannot reach, None without one.
        unit_stride: Needs a contiguous last dimension.
    """

    name: str
    title: str
    load: Callable[[], Kernel]
    tolerance: float
    machine: tuple[Reason, ...] = ()
    imports: tuple[str, ...] = ()
    of_torch: bool = False
    may_raise: bool = False
    shown_as: str = ""
    hard_data: bool = True
    kind: Kind = QUANTISED
    also_called: tuple[str, ...] = ()
    capabilities: Capabilities | None = None
    dtypes: frozenset[str] = frozenset({"float16", "bfloat16"})
    head_dims: range | frozenset[int] = field(default_factory=lambda: range(1, 129))
    masks: frozenset[str] = frozenset()
    gqa: bool = True
    any_scale: bool = True
    kv_multiple: int = 1
    kv_padding: float = 0.0
    max_batch: int = CUDA_GRID_YZ
    max_batch_heads: int | None = None
    offset_limit: int | None = INT32_OFFSETS
    unit_stride: bool = True

    @property
    def exact(self) -> bool:
        """Whether rounding is its only error."""
        return isinstance(self.kind, Exact)

    @property
    def head_dims_text(self) -> Message:
        """The head dims for people."""
        sizes = self.head_dims
        if isinstance(sizes, frozenset):
            return WORDS("one-of", numbers=tuple(sorted(sizes)))
        if sizes.step > 1:
            return WORDS("multiples", factor=sizes.step, last=sizes[-1])
        return WORDS("from-to", first=sizes[0], last=sizes[-1])

    def reasons(self, call: Call) -> list[Reason]:
        """Every reason for which this kernel does not take the call; empty where it does."""
        return [*self.machine, *self._call_reasons(call)]

    def _call_reasons(self, call: Call) -> Iterator[Reason]:
        if call.device != "cuda":
            yield REASONS("device", device=call.device)
        elif self.capabilities is not None and call.capability not in self.capabilities:
            served = tuple(map(_dotted, sorted(self.capabilities)))
            yield REASONS("capability", capabilities=served, capability=_dotted(call.capability))
        if call.dtype not in self.dtypes:
            yield REASONS("dtype", dtypes=tuple(sorted(self.dtypes)), dtype=call.dtype)
        if call.head_dim not in self.head_dims:
            yield REASONS("head-dim", head_dims=self.head_dims_text, head_dim=call.head_dim)
        if call.mask != NO_MASK and call.mask not in self.masks:
            masks = tuple(MASKS[one] for one in sorted(self.masks)) or (MASKS[NO_MASK],)
            yield REASONS("mask", masks=masks, mask=call.mask)
        if call.heads != call.kv_heads and not self.gqa:
            yield REASONS("gqa", heads=call.heads, kv_heads=call.kv_heads)
        if call.scale is not None and not self.any_scale and not call.has_default_scale:
            yield REASONS("scale", scale=call.scale)
        if call.needs_grad:
            yield REASONS("grad")
        if call.needs_exact and not self.exact:
            yield REASONS("precision")
        yield from self._size_reasons(call)

    def _size_reasons(self, call: Call) -> Iterator[Reason]:
        if -call.kv_len % self.kv_multiple > self.kv_padding * call.kv_len:
            multiple = WORDS("multiple", factor=self.kv_multiple)
            if self.kv_padding:
                multiple = WORDS("multiple-padded", factor=self.kv_multiple, share=self.kv_padding)
            yield REASONS("kv-length", multiple=multiple, keys=call.kv_len)
        if call.batch > self.max_batch:
            yield REASONS("batch", limit=WORDS("batch-limit", limit=self.max_batch), batch=call.batch)
        elif self.max_batch_heads is not None and call.batch * call.heads > self.max_batch_heads:
            limit = WORDS("batch-heads-limit", limit=self.max_batch_heads)
            yield REASONS("batch", limit=limit, batch=call.batch * call.heads)
        if self.offset_limit is not None and call.max_offset >= self.offset_limit:
            yield REASONS("offset", limit=self.offset_limit, offset=call.max_offset)
        if self.unit_stride and not call.unit_stride:
            yield REASONS("stride")


def _dotted(capability: tuple[int, int] | None) -> str:
    return WORDS("no-capability") if capability is None else f"{capability[0]}.{capability[1]}"
