"""What is compiled of each model, from its first run to the model's end."""

import weakref
from typing import Any

import torch

from . import release
from .backend import Family
from .blocks import Kind, kind_of
from .compiled import Compiled
from .machine import Toolchain
from .settings import Settings


class Compilations:
    """Compiled code by the model that holds the weights, not by the node.

    A node that runs again because a LoRA before it changed finds its graphs, and two models never find each
    other's. What is compiled of a model goes with it.

    Attributes:
        static: What makes another MODEL share the weights that ComfyUI loads without dynamic VRAM, by the
            model that has it, so that they are loaded once.
        toolchain: What a compiler needs on this machine.
    """

    def __init__(self) -> None:
        self._models: weakref.WeakKeyDictionary[torch.nn.Module, dict[Settings, Compiled]] = (
            weakref.WeakKeyDictionary()
        )
        self._families: dict[Kind, Family] = {}
        self.static: weakref.WeakKeyDictionary[torch.nn.Module, Any] = weakref.WeakKeyDictionary()
        self.toolchain = Toolchain()

    def of(self, model: torch.nn.Module, settings: Settings) -> Compiled:
        """What is compiled of a model under these settings."""
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = {}
            family = self._families.setdefault(kind_of(model), Family())
            family.models += 1
            weakref.finalize(model, _end, family, known).atexit = False
        else:
            family = next(iter(known.values())).family
        return known.setdefault(settings, Compiled(settings, family))

    def sweep(self) -> None:
        """Drops what is left of models that are gone; not to be called while a compiled function runs."""
        for kind, family in list(self._families.items()):
            if not family.models:
                del self._families[kind]
                release.forget_family(family)


def _end(family: Family, known: dict[Settings, Compiled]) -> None:
    family.models -= 1
    release.forget_code([code for one in known.values() for code in one.codes])
    known.clear()
