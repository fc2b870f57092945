"""The version of obs, without importing anything."""

__version__ = "0.1.0"
