"""Where this user's pip looks for packages, asked from pip itself.

Only pip's public face is used: ``pip config list`` for what the user set (files and environment, merged by pip) and the
help text for the default index, so that no address stands here.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from polyyolo.errors import ToolchainError

SECTIONS = ("global", "download", ":env:")  # the later wins, as in pip
SECONDS = 60


@frozen
class PipSettings:
    """What pip would use to download a package.

    Attributes:
        indexes: addresses of simple indexes, in the order in which they are asked.
        pages: find-links: folders, or pages with links.
        values: every setting by its long option's name, for certificates and proxies.
    """

    indexes: tuple[str, ...]
    pages: tuple[str, ...]
    values: Mapping[str, str]

    def request_options(self, url: str) -> dict[str, Any]:
        """Give the arguments of ``requests.get`` for ``url``: certificates, proxy, trusted hosts, credentials."""
        options: dict[str, Any] = {}
        if "cert" in self.values:
            options["verify"] = self.values["cert"]
        if "client-cert" in self.values:
            options["cert"] = self.values["client-cert"]
        if "proxy" in self.values:
            options["proxies"] = dict.fromkeys(("http", "https"), self.values["proxy"])
        target = urlsplit(url)
        if target.hostname in {entry.split(":")[0] for entry in self.values.get("trusted-host", "").split()}:
            options["verify"] = False
        for index in map(urlsplit, self.indexes):
            if index.hostname == target.hostname and index.username:
                options["auth"] = (index.username, index.password or "")
        return options


def read_settings() -> PipSettings:
    """Ask pip.

    Raises:
        ToolchainError: pip is not installed here, or does not answer.
    """
    values = _values(_pip("config", "list"))
    pages = tuple(values.get("find-links", "").split())
    if values.get("no-index", "0").lower() in ("1", "true", "yes", "on"):
        return PipSettings((), pages, values)
    index = values.get("index-url") or _default_index()
    return PipSettings((index, *values.get("extra-index-url", "").split()), pages, values)


def _values(listing: str) -> dict[str, str]:
    """Read ``section.name='value'`` lines."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        match = re.fullmatch(r"(global|download|:env:)\.([\w-]+)=('.*'|\".*\")", line.strip())
        if match:
            section, name, value = match.groups()
            found[section][name] = str(ast.literal_eval(value))
    return {name: value for section in SECTIONS for name, value in found[section].items()}


def _default_index() -> str:
    """Read the index that pip has built in out of its help."""
    match = re.search(r"--index-url\s.*?\(default\s+(\S+?)\)", _pip("download", "--help"), re.DOTALL)
    if not match:
        raise ToolchainError(
            "pip does not tell its default package index", fix="pip config set global.index-url ADDRESS"
        )
    return match[1]


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - this Python's own pip, fixed arguments
            command, capture_output=True, text=True, timeout=SECONDS, check=True, env={**os.environ, "COLUMNS": "1000"}
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(
            f"pip does not answer in {sys.executable} ({type(error).__name__})",
            fix=f"{sys.executable} -m ensurepip, or put the file into the cache by hand",
        ) from error
    return done.stdout
