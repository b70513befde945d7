"""Functions of ours around a MODEL's sampling and around its forward, under a key of their own.

ComfyUI keeps them by kind and key (comfy/patcher_extension.py; 0.3.64 to 0.33.0) and hands each an executor,
which it calls to go on and which knows whose call it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Where the callback for each step stands among the arguments of a sampling (comfy/samplers.py, outer_sample).
_CALLBACK = 5


def clear(model: Any, key: str) -> None:
    """Takes off the MODEL what is there under the key around sampling and forward."""
    from comfy.patcher_extension import WrappersMP

    for kind in (WrappersMP.OUTER_SAMPLE, WrappersMP.APPLY_MODEL):
        model.remove_wrappers_with_key(kind, key)


def around_sampling(model: Any, key: str, wrapper: Callable[..., Any]) -> None:
    """Has ``wrapper(executor, *args, **kwargs)`` called around each sampling run of the MODEL."""
    from comfy.patcher_extension import WrappersMP

    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, key, wrapper)


def around_forward(model: Any, key: str, wrapper: Callable[..., Any]) -> None:
    """Has ``wrapper(executor, *args, **kwargs)`` called around each forward of the MODEL."""
    from comfy.patcher_extension import WrappersMP

    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, key, wrapper)


def at_begin(model: Any, key: str, callback: Callable[[Any], None]) -> None:
    """Has the callback called with the MODEL at the begin of every sampling, and no other under the key."""
    from comfy.patcher_extension import CallbacksMP

    _only(model, CallbacksMP.ON_PRE_RUN, key, callback)


def at_end(model: Any, key: str, callback: Callable[[Any], None]) -> None:
    """The same at its end: once for each GPU, and before what is around the sampling is left."""
    from comfy.patcher_extension import CallbacksMP

    _only(model, CallbacksMP.ON_CLEANUP, key, callback)


def _only(model: Any, kind: str, key: str, callback: Callable[[Any], None]) -> None:
    model.remove_callbacks_with_key(kind, key)
    model.add_callback_with_key(kind, key, callback)


def around_forward_of(patcher: Any, key: str) -> list[Callable[..., Any]]:
    """The wrappers around the forward of a MODEL under a key."""
    from comfy.patcher_extension import WrappersMP

    found: list[Callable[..., Any]] = patcher.get_wrappers(WrappersMP.APPLY_MODEL, key)
    return found


def sampled(executor: Any) -> Any:
    """The MODEL that the guider samples around whose run a wrapper was called."""
    return executor.class_obj.model_patcher


def with_steps_told(
    args: tuple[Any, ...], kwargs: dict[str, Any], told: Callable[[int, int], None]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a sampling with ``told(steps done, of how many)`` called after each of its steps.

    Whoever heard of the steps before goes on hearing of them.
    """
    by_position = len(args) > _CALLBACK
    before = args[_CALLBACK] if by_position else kwargs.get("callback")

    def callback(step: int, denoised: Any, x: Any, total: int) -> Any:
        told(step + 1, total)
        return before(step, denoised, x, total) if before is not None else None

    if by_position:
        return (*args[:_CALLBACK], callback, *args[_CALLBACK + 1 :]), kwargs
    return args, {**kwargs, "callback": callback}


def options_of_sampling(executor: Any) -> dict[str, Any]:
    """Its model_options as this run has them; an empty dictionary where the guider has none."""
    options: dict[str, Any] = getattr(executor.class_obj, "model_options", {})
    return options


@dataclass(frozen=True)
class Forward:
    """One call of a model's forward, as a wrapper around it is given it.

    Attributes:
        model: The model with its weights (comfy.model_base.BaseModel).
        inputs: The latent and the conditioning; either may be None.
        t: The sigmas of this step.
        control: What ControlNet made.
        options: The transformer_options.
        go_on: Runs it with these ControlNet outputs and options.
    """

    model: Any
    inputs: tuple[Any, Any]
    t: Any
    control: Any
    options: dict[str, Any]
    go_on: Callable[[Any, dict[str, Any]], Any]

    def __call__(self, options: dict[str, Any]) -> Any:
        """The model's answer under these options."""
        return self.go_on(self.control, options)


def reading_forward(wrapper: Callable[[Forward], Any]) -> Callable[..., Any]:
    """A function to be put around a forward, which reads what it is given, by position or by name."""

    def around(
        executor: Any,
        x: Any,
        t: Any,
        c_concat: Any = None,
        c_crossattn: Any = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        def go_on(control: Any, options: dict[str, Any]) -> Any:
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

        options = transformer_options or {}
        return wrapper(Forward(executor.class_obj, (x, c_crossattn), t, control, options, go_on))

    return around
