"""Text → tokens with positions. The only place that knows PromQL's spelling of numbers, strings and names.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ (literals, comments, metric and label names).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from obs.errors import QueryError


class Token(NamedTuple):
    """kind: ident, number, duration, string, op, end or fault; `pos` is the offset of its first character.

    The text of a fault is what is wrong; it is the last token, and an error once the parser comes to it.
    """

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
    """All tokens of a query; the last is of kind `end` or `fault`."""
    tokens: list[Token] = []
    if (broken := _SURROGATE.search(text)) is not None:
        raise parse_error(text, broken.start(), "invalid UTF-8 rune")
    nesting = _Nesting()
    pos = 0
    while pos < len(text):
        # Between brackets a colon divides range and step; elsewhere it may begin a name.
        match = (_COLON if nesting.bracket else _TOKEN).match(text, pos)
        if match is None:
            return [*tokens, Token("fault", *_lexical_fault(text, pos, nesting))]
        if match.lastgroup == "ident" and not match.group().isascii():
            for i, char in enumerate(match.group()):
                # Names without quotes may have any letters, and dots, but no other digits than ASCII's.
                if not char.isascii() and not char.isalpha():
                    return [*tokens, Token("fault", f"unexpected character: {char!r}", pos + i)]
        if match.lastgroup != "space":
            token = Token(str(match.lastgroup), match.group(), pos)
            if nesting.brace and token.kind == "ident" and (colon := token.text.find(":")) >= 0:
                name = [Token("ident", token.text[:colon], pos)] if colon else []
                return [*tokens, *name, Token("fault", "unexpected character inside braces: ':'", pos + colon)]
            if nesting.brace and token.text == "==":  # an operator and what should be a text
                token = Token("op", "=", pos)
                match = _EQUALS.match(text, pos)
                assert match is not None
            if token.kind == "op" and (fault := nesting.fault(token)) is not None:
                return [*tokens, fault]
            tokens.append(token)
        pos = match.end()
    return [*tokens, nesting.at_end(tokens, len(text))]


_EQUALS = re.compile("=")
_IN_BRACES = frozenset((",", "=", "!=", "=~", "!~", "{", "}"))


class _Nesting:
    """Which parentheses, brackets and braces are open; the others of a kind are faults."""

    __slots__ = ("brace", "bracket", "parens")

    def __init__(self) -> None:
        self.parens = 0
        self.bracket = self.brace = False

    def fault(self, token: Token) -> Token | None:
        """What is wrong with an operator where it stands."""
        op, pos = token.text, token.pos
        if self.brace and op not in _IN_BRACES:
            return Token("fault", f"unexpected character inside braces: {op[0]!r}", pos)
        if op == "(":
            self.parens += 1
        elif op == ")":
            self.parens -= 1
            if self.parens < 0:
                return Token("fault", "unexpected right parenthesis ')'", pos + 1)
        elif op == "[":
            self.bracket = True
        elif op == "]":
            if not self.bracket:
                return Token("fault", "unexpected right bracket ']'", pos)
            self.bracket = False
        elif op == "{":
            if self.brace:
                return Token("fault", "unexpected left brace '{'", pos)
            self.brace = True
        elif op == "}":
            if not self.brace:
                return Token("fault", "unexpected character: '}'", pos)
            self.brace = False
        elif op in ("=~", "!~") and not self.brace:
            return Token("fault", f"unexpected character after {op[0]!r}: {op[1]!r}", pos)
        return None

    def at_end(self, tokens: list[Token], pos: int) -> Token:
        """The last token."""
        if self.brace:
            return Token("fault", "unexpected end of input inside braces", pos)
        if self.parens:
            return Token("fault", "unclosed left parenthesis", pos)
        if self.bracket:
            bare = tokens[-1].text == "["
            cause = "unexpected end of input in duration expression" if bare else "unclosed left bracket"
            return Token("fault", cause, pos)
        return Token("end", "", pos)


_SHOWN_NUMBER = re.compile(r"0[xX][0-9a-fA-F_]*|(?:\d[\d_]*)?(?:\.[\d_]*)?(?:[eE][+-]?[\d_]*)?")


def _lexical_fault(text: str, pos: int, nesting: _Nesting) -> tuple[str, int]:
    """What is wrong at a place where no token begins, and where."""
    char, after = text[pos], text[pos + 1 : pos + 2]
    if char in "\"'`":
        escaped = text.endswith("\\") and char != "`"
        name = "escape sequence" if escaped else "quoted string" if char != "`" else "raw string"
        return f"{name} not terminated" if escaped else f"unterminated {name}", pos
    if char.isdigit() or (char == "." and after.isdigit()):
        return f'bad number or duration syntax: "{_number_until_it_is_none(text, pos)}"', pos
    if char == "!" and after:
        return f"unexpected character after '!'{' inside braces' if nesting.brace else ''}: {after!r}", pos
    return f"unexpected character{' inside braces' if nesting.brace else ''}: {char!r}", pos


def _number_until_it_is_none(text: str, pos: int) -> str:
    match = _SHOWN_NUMBER.match(text, pos)
    assert match is not None
    shown, after = match.group(), text[match.end() : match.end() + 1]
    if shown[-1:].isdigit() and after and after in "ywdhms":
        unit = re.compile(r"[\w]+").match(text, match.end())
        return shown + (unit.group() if unit else "")
    return shown + (after if after == "." or (after in "eE" and shown[-1].isdigit()) else "")


def line_column(text: str, pos: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    before = text[:pos]
    return before.count("\n") + 1, pos - (before.rfind("\n") + 1) + 1


def place(text: str, pos: int) -> str:
    """`line:column` of an offset as messages say it: columns count bytes, as Prometheus's do."""
    line, column = line_column(text, pos)
    if not text.isascii():
        column += sum(len(c.encode("utf-8", "surrogateescape")) - 1 for c in text[pos - column + 1 : pos])
    return f"{line}:{column}"


def parse_error(text: str, pos: int, cause: str) -> QueryError:
    """A syntax error that leads with line:column and shows the line with a caret."""
    line, column = line_column(text, pos)
    shown, at = _around(text.split("\n")[line - 1], column - 1)
    return QueryError(f"{place(text, pos)}: parse error: {cause}\n  {shown}\n  {' ' * at}^", (line, column))


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


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def unquote(text: str, token: Token) -> str:
    """The value of a string token of query `text`; bytes that are no UTF-8 become lone surrogates."""
    body = token.text[1:-1]
    if token.text[0] == "`" or "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        if code == token.text[0]:
            return code
        if len(code) > 1:
            value = int(code, 8) if code.isdigit() else int(code[1:], 16)
            if value > (0x10FFFF if code[0] in "uU" else 0xFF) or 0xD800 <= value <= 0xDFFF:
                raise parse_error(text, token.pos, "escape sequence is an invalid Unicode code point")
            return chr(value) if code[0] in "uU" else _byte(value)
        if code in _ESCAPES:
            return _ESCAPES[code]
        if code in "xuU01234567":
            digits = re.compile("[0-7]*" if code.isdigit() else "[0-9a-fA-F]*")
            found = digits.match(token.text, 1 + match.start() + (1 if code.isdigit() else 2))
            assert found is not None
            raise parse_error(text, token.pos, f"illegal character {_rune(token.text[found.end()])} in escape sequence")
        raise parse_error(text, token.pos, f"unknown escape sequence {_rune(code)}")

    escaped = _ESCAPE.sub(replace, body)
    return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _rune(char: str) -> str:
    """A character as Go's %#U has it."""
    return f"U+{ord(char):04X} '{char}'"


def _byte(value: int) -> str:
    return bytes([value]).decode("utf-8", "surrogateescape")
