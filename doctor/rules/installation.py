"""Where packages lie, and what Python itself brings."""

from collections.abc import Iterator

from ...knowledge.tables import tables, triton_of
from ...machine import Environment
from .catalogue import DO, REASONS
from .mismatch import Mismatch


def packages_in_user_site(environment: Environment) -> Iterator[Mismatch]:
    """Packages of the user's other Python that hide those of this one, or mix with them.

    A Python whose packages all lie there is well: that is how some Linux machines are set up.
    """
    torch = environment.packages.get("torch")
    embedded = environment.python is not None and environment.python.embedded
    mixed = embedded or (torch is not None and not torch.in_user_site)
    leaked = [name for name in environment.in_user_site if mixed or environment.packages[name].copies]
    if leaked:
        yield Mismatch(
            REASONS("user-site", packages=tuple(leaked)),
            about=", ".join(leaked),
            do=DO("start-without-user-site"),
            source=tables()["user_site"]["source"],
        )


def two_copies(environment: Environment) -> Iterator[Mismatch]:
    """A package that is installed twice: Python imports a mixture of both."""
    for name, package in environment.packages.items():
        # Where the user's copy comes first, that is the fault, and told as such.
        if package.copies and not package.in_user_site:
            yield Mismatch(
                REASONS("two-copies", package=name, versions=(package.shown, *package.copies)),
                about=name,
                do=DO("install-once", package=name),
                source=tables()["two_copies"]["source"],
            )


def headers_missing(environment: Environment) -> Iterator[Mismatch]:
    """Triton beside python.org's embeddable Python, which lacks what Triton compiles its launcher with."""
    python, triton = environment.python, triton_of(environment)
    if python is None or triton is None or environment.system != "windows" or python.has_headers is not False:
        return
    yield Mismatch(
        REASONS("python-headers", digits="".join(map(str, python.minor))),
        about=triton[0],
        do=DO("copy-include-and-libs", python=".".join(map(str, python.minor))),
        source=tables()["python_headers"]["source"],
    )
