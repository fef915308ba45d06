"""pip's own settings decide where packages come from."""

import sys

import pytest

from polyyolo.errors import ToolchainError
from polyyolo.fetching import pip_settings
from polyyolo.fetching.pip_settings import PipSettings, read_settings

LISTING = """
:env:.index-url='https://env.example/simple'
download.cert='/download.pem'
global.cert='/global.pem'
global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'
global.index-url='https://global.example/simple'
install.proxy='http://not.for.downloads'
:env:.find-links='/wheels https://c.example/links'
nonsense
"""


def test_the_environment_wins_over_download_over_global(monkeypatch):
    monkeypatch.setattr(pip_settings, "_pip", lambda *_: LISTING)
    settings = read_settings()

    assert settings.indexes == (
        "https://env.example/simple",
        "https://a.example/simple",
        "https://b.example/simple",
    )
    assert settings.pages == ("/wheels", "https://c.example/links")
    assert settings.request_options("https://x.example/") == {"verify": "/download.pem"}


def test_no_index_leaves_find_links_only(monkeypatch):
    monkeypatch.setattr(pip_settings, "_pip", lambda *_: LISTING + ":env:.no-index='1'\n")
    assert read_settings().indexes == ()


def test_without_settings_pips_own_index_is_used(monkeypatch):
    """No address stands in the code: the default is read out of pip's help."""
    monkeypatch.delenv("PIP_INDEX_URL")
    (index,) = read_settings().indexes

    assert index.startswith("https://")
    assert index.endswith("/simple")


def test_proxy_certificates_trust_and_credentials_reach_the_request():
    values = {"proxy": "http://proxy:1", "client-cert": "/me.pem", "trusted-host": "a.example b.example:8080"}
    settings = PipSettings(("https://me:word@a.example/simple",), (), values)

    assert settings.request_options("https://b.example/x") == {
        "cert": "/me.pem",
        "proxies": {"http": "http://proxy:1", "https": "http://proxy:1"},
        "verify": False,
    }
    assert settings.request_options("https://a.example/x")["auth"] == ("me", "word")
    assert "auth" not in settings.request_options("https://other.example/x")


def test_a_python_without_pip_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ToolchainError) as error:
        read_settings()
    assert "ensurepip" in error.value.fix
