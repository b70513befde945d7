"""The keys of a MODEL's transformer_options that ComfyUI and its packs share, and what they hold."""

from typing import Any

KEY = "transformer_options"
OVERRIDE_KEY = "optimized_attention_override"
_WRAPPERS, _APPLY_MODEL, _DIFFUSION_MODEL = "wrappers", "apply_model", "diffusion_model"


def of_model(model_options: dict[str, Any]) -> dict[str, Any]:
    """The transformer_options in a MODEL's model_options; an empty dictionary where there are none."""
    options: dict[str, Any] = model_options.get(KEY, {})
    return options


def own_of_model(model: Any) -> dict[str, Any]:
    """The same of a MODEL that is being patched, to write into."""
    options: dict[str, Any] = model.model_options.setdefault(KEY, {})
    return options


def of_call(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The transformer_options that an attention call or a network was given."""
    return kwargs.get(KEY) or {}


def around_forward(options: dict[str, Any], key: str) -> list[Any]:
    """The wrappers around the model's forward (APPLY_MODEL) under a key."""
    return list(options.get(_WRAPPERS, {}).get(_APPLY_MODEL, {}).get(key, ()))


def with_innermost(options: dict[str, Any], key: str, wrapper: Any) -> dict[str, Any] | None:
    """The options with one more wrapper around the network itself, inside all others; None where none is."""
    others = options.get(_WRAPPERS, {}).get(_DIFFUSION_MODEL)
    if not others:
        return None
    return {**options, _WRAPPERS: {**options[_WRAPPERS], _DIFFUSION_MODEL: {**others, key: [wrapper]}}}


def names_of_others(options: dict[str, Any]) -> tuple[Any, ...]:
    """What other nodes have put on the model: the names of wrappers by kind, of patches and replacements."""
    wrappers = options.get(_WRAPPERS, {})
    return (
        tuple(sorted((kind, str(name)) for kind, by_name in wrappers.items() for name in by_name)),
        *(tuple(sorted(options.get(name, {}))) for name in ("patches", "patches_replace")),
    )
