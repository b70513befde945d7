"""Every sentence of this room: why only the host can make sense of a call."""

from ..machine.message import Reasons

REASONS = Reasons(
    {
        "unknown-argument": ("arguments that SageKit knows", "{arguments}"),
        "layout": ("q, k, v of matching shapes", "q {q}, k {k}, v {v}, heads {heads}"),
        "mixed-inputs": ("q, k, v of one dtype on one device", "{dtypes}"),
        "mask-shape": ("a mask that broadcasts to {whole}", "{shape}"),
        "mask-device": ("a mask on {device}", "{mask_device}"),
        "mask-dtype": ("a bool or floating-point mask", "{dtype}"),
    }
)
