"""Colours that stay apart for colour-blind readers and read on white and on dark grey alike."""

SERIES = (
    "#4a8fe0", "#e08a1e", "#2ba57a", "#d9603b", "#a97bd1", "#3fb6c9", "#c9a92f", "#d46a9f",
    "#6f7fd8", "#7fae3f", "#b5794a", "#8c96a3",
)  # fmt: skip
"""After Okabe and Ito, moved to the middle of the lightness scale."""

LEVELS = {
    "fatal": "#a4262c", "error": "#d9483b", "warn": "#e0a01e", "info": "#4a8fe0", "debug": "#8c96a3",
    "trace": "#b3bac4", "other": "#9aa3ad",
}  # fmt: skip
ERROR = LEVELS["error"]
OK = "#2ba57a"
MUTED = "#8c96a3"


def color(index: int) -> str:
    """The colour of the n-th series."""
    return SERIES[index % len(SERIES)]
