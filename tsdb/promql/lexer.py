"""Text → tokens with positions. The only place that knows PromQL's spelling of numbers, strings and names.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ (literals, comments, metric and label names).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from obs.errors import QueryError


class Token(NamedTuple):
    """kind: ident, number, duration, string, op or end; `pos` is the offset of its first character."""

    kind: str
    text: str
    pos: int


_DIGITS = r"\d+(?:_\d+)*"
DURATION = re.compile(r"(?:\d+(?:ms|[ywdhms]))+(?![\w.])")
_TOKEN = re.compile(
    r"(?P<space>\s+|\#[^\n]*)"
    r"|(?P<duration>(?:\d+(?:ms|[ywdhms]))+(?![\w.]))"
    r"|(?P<number>0[xX][0-9a-fA-F_]+(?![\w.])"
    rf"|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?(?![\w.]))"
    r"|(?P<ident>[^\W\d][\w.:]*|:[\w.:]*)"
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`)"
    r"|(?P<op>=~|!~|==|!=|<=|>=|</|>/|[-+*/%^=<>(){}\[\],:@])",
    re.DOTALL,
)
_SURROGATE = re.compile("[\ud800-\udfff]")
"""What a byte that is no UTF-8 was read as."""
_COLON = re.compile(_TOKEN.pattern.replace(r"|:[\w.:]*", ""), re.DOTALL)
MOST_SHOWN = 160
"""Characters of a line that an error shows."""
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}


def tokenize(text: str) -> list[Token]:
    """All tokens of a query; the last is of kind `end`."""
    tokens: list[Token] = []
    pos = 0
    bracketed = False
    if (broken := _SURROGATE.search(text)) is not None:
        raise parse_error(text, broken.start(), "invalid UTF-8 rune")
    while pos < len(text):
        # Between brackets a colon divides range and step; elsewhere it may begin a name.
        match = (_COLON if bracketed else _TOKEN).match(text, pos)
        if match is None:
            raise parse_error(text, pos, _lexical_fault(text, pos))
        if match.lastgroup == "ident" and not match.group().isascii():
            _check_letters(text, match)
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group(), pos))
            bracketed = match.group() == "[" or (bracketed and match.group() != "]")
        pos = match.end()
    tokens.append(Token("end", "", len(text)))
    return tokens


def _check_letters(text: str, name: re.Match[str]) -> None:
    """Names without quotes may have any letters, and dots, but no other digits than ASCII's."""
    for i, char in enumerate(name.group()):
        if not char.isascii() and not char.isalpha():
            raise parse_error(text, name.start() + i, _lexical_fault(text, name.start() + i))


def _lexical_fault(text: str, pos: int) -> str:
    char = text[pos]
    if char in "\"'`":
        return "unterminated quoted string" if char != "`" else "unterminated raw string"
    if char.isdigit() or char == ".":
        word = re.match(r"[\w.]+", text[pos:])
        return f'bad number or duration syntax: "{word.group() if word else char}"'
    return f"unexpected character: {char!r}"


def line_column(text: str, pos: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    before = text[:pos]
    return before.count("\n") + 1, pos - (before.rfind("\n") + 1) + 1


def parse_error(text: str, pos: int, cause: str) -> QueryError:
    """A syntax error that leads with line:column and shows the line with a caret."""
    line, column = line_column(text, pos)
    shown, at = _around(text.split("\n")[line - 1], column - 1)
    return QueryError(f"{line}:{column}: parse error: {cause}\n  {shown}\n  {' ' * at}^", (line, column))


def _around(line: str, at: int) -> tuple[str, int]:
    """What is shown of a line, and where in that the position is."""
    start = max(at - MOST_SHOWN // 2, 0) if len(line) > MOST_SHOWN else 0
    shown = line[start : start + MOST_SHOWN]
    before, after = "…" if start else "", "…" if start + MOST_SHOWN < len(line) else ""
    return before + without_surrogates(shown) + after, at - start + len(before)


def without_surrogates(text: str) -> str:
    """Text that can be sent: bytes that are no UTF-8 as U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def number_value(text: str) -> float:
    """The value of a number literal; infinity where it is out of range."""
    plain = text.replace("_", "")
    # Go reads a leading zero as octal where all digits allow it.
    octal = len(plain) > 1 and plain[0] == "0" and set(plain) <= set("01234567")
    base = 16 if plain[:2] in ("0x", "0X") else 8 if octal else 10
    try:
        return float(plain) if base == 10 else float(int(plain, base))
    except OverflowError:
        return float("inf")


def duration_ms(text: str) -> int | None:
    """The milliseconds of a duration such as 1h30m, None where `text` is not one (units fall, each at most once)."""
    if not DURATION.fullmatch(text):
        return None
    total, last = 0, 1 << 62
    for count, unit in re.findall(r"(\d+)(ms|[ywdhms])", text):
        if _UNIT_MS[unit] >= last:
            return None
        last = _UNIT_MS[unit]
        total += int(count) * last
    return total


_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def unquote(text: str, token: Token) -> str:
    """The value of a string token of query `text`; bytes that are no UTF-8 become lone surrogates."""
    body = token.text[1:-1]
    if token.text[0] == "`":
        return body
    if "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "x":
            return bytes([int(code[1:], 16)]).decode("latin-1") if int(code[1:], 16) < 128 else _byte(code[1:], 16)
        if code[0] in "uU" and len(code) > 1:
            point = int(code[1:], 16)
            if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
                raise parse_error(text, token.pos, "escape sequence is an invalid Unicode code point")
            return chr(point)
        if len(code) == 3:
            return _byte(code, 8)
        if code not in _ESCAPES:
            raise parse_error(text, token.pos, f"unknown escape sequence {match.group()!r}")
        return _ESCAPES[code]

    escaped = _ESCAPE.sub(replace, body)
    return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _byte(digits: str, base: int) -> str:
    return bytes([int(digits, base) & 0xFF]).decode("utf-8", "surrogateescape")
