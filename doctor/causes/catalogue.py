"""Every sentence of this room that is in no table: several causes, and what a log does not name."""

from ...machine.message import Catalogue

NOTES = Catalogue(
    {
        "log-of-another-machine": (
            "This log is from another machine: {there}; here {present}. The answers are for that one."
        ),
    }
)

WORDS = Catalogue(
    {
        "one-of-these": "One of these. {causes:sentences}",
        "several": "{texts:sentences}",
        "numbered": "({number}) {text}",
        # What a sentence says of what the log does not name.
        "unnamed-package": "the package that the lines around name",
        "unnamed-module": "a compiled module",
        "unnamed-stage": "the build",
        "unnamed-target": "a file of its own",
        "unnamed-program": "a compiler",
        "unnamed-file": "a file",
        "unnamed-what": "what is not there",
        "unnamed-lib": "a library of CUDA",
        "unnamed-name": "a part of it",
        "unnamed-asking": "what asks for it",
        "unnamed-function": "its attention",
        # Whose files stand in the traceback.
        "unnamed-pack": "the node pack that the traceback names",
        "unnamed-packs": "the node packs that the traceback names",
        "something": "something",
    },
    english_only=True,
)
