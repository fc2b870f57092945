"""What is said of a TraceQL text that means nothing: line, column and a caret."""

from __future__ import annotations

from lark import Token, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from obs.errors import QueryError

_ADVICE = 'write a spanset filter like { resource.service.name = "shop" && duration > 100ms }'


def fault(token: Token, cause: str) -> QueryError:
    """What parses but has no meaning."""
    line, column = token.line or 1, token.column or 1
    return QueryError(f"{line}:{column}: cannot plan TraceQL at {str(token)!r}: {cause}", (line, column))


def with_caret(text: str, error: QueryError) -> QueryError:
    """The error with the line it is about and a caret."""
    if error.position is None:
        return error
    line, column = error.position
    return QueryError(f"{error}\n{_shown(text, line, column)}", error.position)


def unexpected(text: str, error: UnexpectedInput) -> QueryError:
    """What does not parse."""
    lines = text.splitlines() or [""]
    line, column = error.line, error.column
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        line, column = len(lines), len(lines[-1]) + 1
    shown = lines[min(line, len(lines)) - 1]
    at = shown[column - 1 : column + 19] if isinstance(error, UnexpectedCharacters) or column <= len(shown) else ""
    cause = f"unexpected {at!r}" if at else "unexpected end"
    said = f"{line}:{column}: cannot parse TraceQL: {cause}; {_ADVICE}\n{_shown(text, line, column)}"
    return QueryError(said, (line, column))


def _shown(text: str, line: int, column: int) -> str:
    lines = text.splitlines() or [""]
    return f"{lines[min(line, len(lines)) - 1]}\n{' ' * (column - 1)}^"
