"""What a shell makes of a line: sh itself asked, cmd.exe and PowerShell by their own rules."""

import re
import shutil
import subprocess

# Outside double quotes each of these ends, joins or redirects a command.
_ENDS_A_COMMAND = set("&|<>()")


def of_sh(line: str, home: str) -> list[str]:
    """The arguments that sh hands over, asked of sh itself; the program is replaced and nothing runs."""
    subprocess.run([shutil.which("bash"), "-n", "-c", line], check=True, capture_output=True)
    script = f"show() {{ for one; do printf '%s\\0' \"$one\"; done; }}; show {line}"
    done = subprocess.run(
        [shutil.which("sh"), "-c", script],
        env={"HOME": home, "PATH": "/nowhere"},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


def of_cmd(line: str, variables: dict[str, str] | None = None, *, batch: bool = False) -> list[str]:
    """The arguments that cmd.exe and then the program's own runtime make of a line.

    An assertion fails where cmd.exe would start something else too.
    """
    return _of_runtime(_after_signs(_after_percent(line, variables or {}, batch)))


def _after_percent(line: str, variables: dict[str, str], batch: bool) -> str:
    """cmd.exe's first reading: variables, between quotes too."""
    known = {name.lower(): value for name, value in variables.items()}

    def value(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%" if batch else "%%"
        name = match[1].lower()
        # At the prompt an unknown name stays as it is typed; in a file it is nothing.
        return known.get(name, "" if batch else match[0])

    pattern = r"%%|%([^%]+)%" if batch else r"%([^%]+)%"
    text = re.sub(pattern, value, line)
    return text


def _after_signs(line: str) -> str:
    """Its second reading: carets and the signs that end a command, outside double quotes."""
    out, quoted, place = "", False, 0
    while place < len(line):
        letter = line[place]
        if letter == '"':
            quoted = not quoted
        elif letter == "^" and not quoted:
            place += 1
            letter = line[place] if place < len(line) else ""
        elif letter in _ENDS_A_COMMAND and not quoted:
            raise AssertionError(f"cmd.exe would take {letter!r} for itself in {line!r}")
        out += letter
        place += 1
    assert not quoted, f"a quote is left open in {line!r}"
    return out


def _of_runtime(line: str) -> list[str]:
    """The C runtime's reading, for lines without a backslash before a quote."""
    assert '\\"' not in line, f"the runtime reads the quote as a letter in {line!r}"
    found, word, quoted, begun = [], "", False, False
    for letter in line:
        if letter == '"':
            quoted, begun = not quoted, True
        elif letter in " \t" and not quoted:
            if begun:
                found.append(word)
            word, begun = "", False
        else:
            word, begun = word + letter, True
    return [*found, word] if begun else found


def is_the_same_to_powershell(line: str) -> bool:
    """Whether PowerShell starts the same program with the same arguments, by its rules for a plain line."""
    # A line that begins with a quote is a text to it, and a sign outside quotes is its own.
    if line.startswith(('"', "'")):
        return False
    quoted = re.findall(r'"([^"]*)"', line)
    outside = re.sub(r'"[^"]*"', "", line)
    # What begins with @ or # is taken for itself; a percent sign, a caret, a tilde is not.
    taken = set("&|<>(){};,'`$")
    return (
        not any(set(one) & set("$`") for one in quoted) and not set(outside) & taken and " @" not in outside
    )
