"""The packages that models and pictures are taken from are still offered, with their hashes."""

import pytest

from polyyolo.errors import ToolchainError
from polyyolo.fetching.download import DownloadError
from polyyolo.fetching.index import find_archive
from polyyolo.fetching.pip_settings import read_settings
from polyyolo.images.samples import samples
from polyyolo.models.catalogue import entries

REMOTES = [remote for entry in entries() for remote in entry.files] + [sample.file for sample in samples()]
PACKAGES = sorted({(mirror.package, mirror.archive) for remote in REMOTES for mirror in remote.mirrors})


@pytest.fixture(scope="module")
def settings():
    """This machine's own pip; the tests are skipped where it reaches no index at all."""
    try:
        found = read_settings()
        find_archive("pip", "pip-24.0.tar.gz", found)
    except (ToolchainError, DownloadError) as error:
        pytest.skip(f"no package index answers here: {error}")
    return found


@pytest.mark.parametrize(("package", "archive"), PACKAGES, ids=[archive for _, archive in PACKAGES])
def test_the_users_index_offers_the_mirror(settings, package, archive):
    found = find_archive(package, archive, settings)
    assert found.url.endswith(archive)
    assert len(found.sha256) == 64
