"""Every sentence of this room: why a kernel does not take a call or a machine."""

from ..machine.message import Catalogue, Reasons
from .call import ADDITIVE_MASK, BOOL_MASK, NO_MASK

REASONS = Reasons(
    {
        "device": ("cuda", "{device}"),
        "capability": ("{capabilities:or}", "{capability}"),
        "dtype": ("{dtypes:or}", "{dtype}"),
        "head-dim": ("head_dim {head_dims}", "{head_dim}"),
        "mask": ("{masks:or}", "{mask}"),
        "gqa": ("as many kv heads as heads", "{heads} heads, {kv_heads} kv heads"),
        "scale": ("1 / sqrt(head_dim)", "{scale:g}"),
        "grad": ("no gradient", "inputs that need one"),
        "precision": ("a call that may be quantised", "one that must be exact"),
        "kv-length": ("{multiple}", "{keys}"),
        "batch": ("{limit}", "{batch}"),
        "offset": ("row offsets below {limit}", "{offset}"),
        "stride": ("a contiguous last dimension", "a strided one"),
        "quality": ("{wanted}", "{kernel}"),
        "version": ("{package} {version}", "{installed}"),
        "module": ("{module}", "{built}"),
        "not-downloaded": ("a download of {kernel} in the Hugging Face cache", "{found}"),
    }
)

WORDS = Catalogue(
    {
        "from-to": "{first} to {last}",
        "multiples": "a multiple of {factor} up to {last}",
        "one-of": "{numbers:or}",
        "no-mask": "no mask",
        "bool-mask": "bool mask",
        "additive-mask": "additive mask",
        "multiple": "a multiple of {factor} keys",
        "multiple-padded": "a multiple of {factor} keys or {share:.1%} less",
        "batch-limit": "a batch of {limit} at most",
        "batch-heads-limit": "batch x heads {limit} at most",
        "one-that-rounds": "a kernel that only rounds",
        "one-not-sparse": "a kernel whose error no data can raise",
        "quantised-kernel": "a quantised one",
        "sparse-kernel": "a sparse one",
        "module-of": "{package}'s {module}",
        "built-for": "{package} built for {capabilities:or}",
        "no-compiled-module": "no compiled module",
        "no-download": "none",
        "part-of-a-download": "one that is not whole",
        "no-capability": "none",
    }
)

MASKS = {
    NO_MASK: WORDS("no-mask"),
    BOOL_MASK: WORDS("bool-mask"),
    ADDITIVE_MASK: WORDS("additive-mask"),
}
