"""One timing cache for several builds, at the same time and after one another."""

import re

import pytest

pytestmark = pytest.mark.gpu

REFUSED = "The timing cache will not be used"


def test_two_builds_share_a_timing_cache_and_a_third_takes_it_whole(builds, jobs, little, tmp_path):
    """TensorRT may refuse what another process wrote; that costs time alone, but is never kept quiet."""
    cache = builds.folder / "timing.cache"
    for name in ("timing-first", "timing-second"):
        assert builds.engine(name).read_bytes()[:4] == b"ftrt"
    size = cache.stat().st_size

    done = jobs.run("build", little.static, "--timing-cache", cache, "-o", tmp_path / "e.plan")

    assert done.status == 0, str(done)
    log = (tmp_path / "e.plan.log").read_text()
    loaded = re.search(r"Loaded (\d+) bytes of timing cache from", log)
    assert loaded is not None, log
    assert int(loaded[1]) == size > 0
    assert (REFUSED in log) == (f"TensorRT refused the timing cache {cache}" in done.err)
    assert [path.name for path in builds.folder.glob("*.cache*") if path.suffix not in (".cache", ".lock")] == []
