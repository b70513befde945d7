"""The version that a Windows program or library carries in itself."""

import struct
from pathlib import Path

# VS_FIXEDFILEINFO: a signature, the version of the structure, and the file's version in two words.
# https://learn.microsoft.com/windows/win32/api/verrsrc/ns-verrsrc-vs_fixedfileinfo
_SIGNATURE = struct.pack("<II", 0xFEEF04BD, 0x00010000)


def file_version(file: Path) -> tuple[int, ...] | None:
    """(14, 42, 34433, 0), None where there is no such file or it carries no version."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    place = data.find(_SIGNATURE)
    if place < 0 or len(data) < place + 16:
        return None
    high, low = struct.unpack_from("<II", data, place + 8)
    return high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF
