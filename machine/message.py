"""Sentences that know what they say: a code and its values beside the English text.

Each room writes its sentences in one catalogue, by their codes. Logs and the command line read the English
text; a page that knows the code makes the sentence of its own language from the values. A catalogue that no
page shows is marked ``english_only``, and has no translations.

The page falls back to English where a sentence has no code or no text in its language. That is so for what
the doctor's tables say (causes, fixes, facts) and for a part of its own sentences, for what the kernel check
found wrong (details of verdicts but those that refuse), and for versions as ``Package.shown`` spells them.

A template names its values in braces, with the format of a number where it is one: "{calls:,}", "{part:.1%}".
A value that is a list is joined with commas, or as its format says: "or", "and", "dot", "then", "sentences";
"either" and "both" put their word between all of them.
"""

import string
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Union

from .reason import Reason

Value = Union[str, int, float, "Message", tuple["Value", ...]]

_JOINTS = {"": ", ", "dot": " · ", "then": "; ", "sentences": " ", "either": " or ", "both": " and "}
_WORDS = ("or", "and")


class Message(str):
    """An English sentence, or a part of one, that keeps its code and values.

    Attributes:
        code: Stable name of the sentence in kebab case.
        values: What is filled in, by its name in the template.
    """

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, Value]

    def __new__(cls, text: str, code: str = "", values: Mapping[str, Value] | None = None) -> "Message":
        made = super().__new__(cls, text)
        made.code, made.values = code, dict(values or {})
        return made

    def __deepcopy__(self, memo: object) -> "Message":
        return self  # Nothing of it changes.

    def as_data(self) -> dict[str, Any]:
        """The sentence as JSON-ready values."""
        values = {name: _as_data(value) for name, value in self.values.items()}
        return {"text": str(self), "code": self.code, "values": values}


def _as_data(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_as_data(one) for one in value]
    return value.as_data() if isinstance(value, Message) else value


class Catalogue:
    """The sentences of a room.

    Args:
        templates: The English of each, by its code.
        english_only: They are read where there is no page: in the log of a start, on the command line.
    """

    def __init__(self, templates: Mapping[str, str], *, english_only: bool = False) -> None:
        self.templates, self.english_only = templates, english_only

    def __call__(self, code: str, /, **values: Value) -> Message:
        """The sentence of that code; KeyError where a value is missing."""
        return Message(_filled(self.templates[code], values), code, values)


class Reasons:
    """The reasons of a room.

    Args:
        templates: What is needed and what came, in English, by the code of the sentence.
        codes: The code of the reason by that of the sentence, where one reason has several sentences.
        english_only: As in ``Catalogue``.
    """

    def __init__(
        self,
        templates: Mapping[str, tuple[str, str]],
        *,
        codes: Mapping[str, str] | None = None,
        english_only: bool = False,
    ) -> None:
        self.templates, self.english_only = templates, english_only
        self.codes = codes or {}

    def __call__(self, code: str, /, **values: Value) -> Reason:
        """The reason that this sentence tells; KeyError where a value is missing."""
        needed, came = (Message(_filled(template, values), code, values) for template in self.templates[code])
        return Reason(self.codes.get(code, code), needed, came)


def said(texts: Iterable[object]) -> list[dict[str, Any]]:
    """Code and values of the texts and reasons that have them, each once; a page finds them by the text."""
    found: dict[str, dict[str, Any]] = {}
    for one in texts:
        text = as_message(one) if isinstance(one, Reason) else one
        if text and isinstance(text, Message):
            found.setdefault(text, text.as_data())
    return list(found.values())


def as_message(reason: Reason) -> Message | None:
    """The sentence that a reason makes; None for one that is in no catalogue."""
    needed = reason.needed
    return Message(str(reason), needed.code, needed.values) if isinstance(needed, Message) else None


class _Formatter(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, (tuple, list)):
            return _joined([str(one) for one in value], format_spec)
        return str(value) if isinstance(value, str) else format(value, format_spec)


def _joined(texts: list[str], how: str) -> str:
    if how not in _WORDS:
        return _JOINTS[how].join(texts)
    return f" {how} ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


_FORMATTER = _Formatter()


@cache
def _parts(template: str) -> tuple[tuple[str, str | None, str], ...]:
    """What is written before each placeholder, its name and its format."""
    return tuple((text, name, form or "") for text, name, form, _ in _FORMATTER.parse(template))


def _filled(template: str, values: Mapping[str, Value]) -> str:
    return "".join(
        text if name is None else text + _FORMATTER.format_field(values[name], form)
        for text, name, form in _parts(template)
    )
