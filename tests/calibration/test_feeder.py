"""The feeder learns the input from Polygraphy, starts over each time, and nobody can lose a batch unseen."""

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from polygraphy.common import TensorMetadata

from polyyolo.calibration.feed_count import FeedCount, require_complete
from polyyolo.calibration.feeder import Feeder, FeedOptions
from polyyolo.errors import InputError, PictureError, ToolFailed
from polyyolo.progress import Silent


class Log(Silent):
    def __init__(self):
        self.warnings = []

    def warned(self, message, fix):
        self.warnings.append((message, fix))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "pictures"
    source.mkdir()
    for number in range(7):
        image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
        cv2.imwrite(str(source / f"{number}.png"), image)
    return source


def metadata(shape, dtype=np.float32, name="images") -> TensorMetadata:
    return TensorMetadata().add(name, dtype, shape)


def fed(feeder: Feeder, known: TensorMetadata) -> list[dict[str, np.ndarray]]:
    """Do as Polygraphy does: take the iterator, assign the metadata, then go through it."""
    rewound = iter(feeder)
    feeder.input_metadata = known
    return list(rewound)


def test_a_static_model_gets_its_own_name_shape_and_dtype(folder):
    batches = fed(Feeder(FeedOptions(folder)), metadata((2, 3, 64, 96), np.float16, "x"))

    assert [(list(feed), feed["x"].shape, feed["x"].dtype) for feed in batches] == [
        (["x"], (2, 3, 64, 96), "float16")
    ] * 3


def test_a_dynamic_model_gets_the_configured_batch_and_size(folder):
    options = FeedOptions(folder, batch=3, size=(64, 128))

    batches = fed(Feeder(options), metadata(("batch", 3, -1, None)))

    assert [feed["images"].shape for feed in batches] == [(3, 3, 64, 128)] * 2


def test_going_through_it_again_gives_the_same_batches(folder):
    feeder = Feeder(FeedOptions(folder, count=4))
    known = metadata((1, 3, 64, 64))

    first, again = fed(feeder, known), fed(feeder, known)

    assert len(first) == len(again) == 4
    assert all(np.array_equal(one["images"], two["images"]) for one, two in zip(first, again, strict=True))


def test_a_grey_model_and_overrides_are_obeyed(folder):
    grey = fed(Feeder(FeedOptions(folder, count=1)), metadata((1, 1, 64, 64)))
    scaled = fed(Feeder(FeedOptions(folder, count=1, overrides={"scale": 1.0})), metadata((1, 3, 64, 64)))

    assert grey[0]["images"].shape == (1, 1, 64, 64)
    assert scaled[0]["images"].max() > 200


def test_an_npy_brings_its_own_size_to_a_dynamic_model(tmp_path):
    np.save(tmp_path / "set.npy", np.random.default_rng(0).random((4, 3, 32, 96), np.float32))

    batches = fed(Feeder(FeedOptions(tmp_path / "set.npy", batch=2)), metadata(("n", 3, "h", "w")))

    assert [feed["images"].shape for feed in batches] == [(2, 3, 32, 96)] * 2


@pytest.mark.parametrize(
    ("options", "shape", "message", "fix"),
    [
        (
            {"batch": 4},
            (1, 3, 64, 64),
            "a batch of 4 was asked for, but input 'images' takes (1, 3, 64, 64)",
            "make it 1",
        ),
        ({"size": (64, 96)}, (1, 3, 64, 64), "width 96 was asked for, but it takes 64", "preprocessing options"),
        ({}, (1, 3, "h", "w"), "so that height and width must be told", "POLYYOLO_SIZE=640"),
        ({}, (1, 100), "input 'images' takes (1, 100), but pictures are (N, C, H, W)", "takes pictures"),
    ],
)
def test_options_that_do_not_fit_the_model_are_refused_and_logged_with_their_fix(folder, options, shape, message, fix):
    log = Log()
    feeder = Feeder(FeedOptions(folder, **options), log)

    with pytest.raises(PictureError) as error:
        fed(feeder, metadata(shape))

    assert message in error.value.message
    assert fix in error.value.fix
    assert (f"batch 1: {error.value.message}", error.value.fix) in log.warnings


def test_a_model_with_two_inputs_is_refused(folder):
    known = metadata((1, 3, 64, 64)).add("scale_factor", np.float32, (1, 2))

    with pytest.raises(PictureError, match=r"the model has 2 inputs \(images, scale_factor\), pictures feed only one"):
        fed(Feeder(FeedOptions(folder)), known)


def test_too_few_pictures_for_the_models_batch_are_an_error(folder):
    with pytest.raises(InputError, match="7 usable pictures cannot fill one batch of 8"):
        fed(Feeder(FeedOptions(folder)), metadata((8, 3, 64, 64)))


def test_bad_sources_fail_at_once_and_not_in_the_middle_of_a_calibration(tmp_path):
    with pytest.raises(PictureError, match="it is empty"):
        Feeder(FeedOptions(tmp_path))


def test_every_batch_is_counted_in_the_count_file(folder, tmp_path):
    count_file = tmp_path / "yolo.cache.batches.json"
    feeder = Feeder(FeedOptions(folder, count_file=count_file))

    fed(feeder, metadata((2, 3, 64, 64)))

    assert json.loads(count_file.read_text()) == {"promised": 3, "yielded": 3, "failure": ""}
    assert require_complete(count_file) == FeedCount(3, 3)


def test_a_consumer_that_stops_early_is_found_out(folder, tmp_path):
    """TensorRT's calibrator takes a batch that it does not like for the end of the data, and goes on."""
    feeder = Feeder(FeedOptions(folder, count_file=tmp_path / "count.json"))
    feeder.input_metadata = metadata((2, 3, 64, 64))

    running = iter(feeder)
    next(running)
    next(running)
    running.close()

    with pytest.raises(ToolFailed, match="the calibrator took 1 of 3 batches"):
        require_complete(tmp_path / "count.json")


def test_a_feed_that_failed_or_never_began_is_found_out(folder, tmp_path):
    feeder = Feeder(FeedOptions(folder, count_file=tmp_path / "count.json"))
    for path in folder.iterdir():
        path.unlink()

    with pytest.raises(PictureError):
        fed(feeder, metadata((2, 3, 64, 64)))

    with pytest.raises(InputError, match=r"the feed ended after 0 of 3 batches: cannot use .*\.png: No such file"):
        require_complete(tmp_path / "count.json")
    with pytest.raises(InputError, match="asked for no batch"):
        require_complete(tmp_path / "absent.json")


def test_polygraphys_own_calibrator_takes_every_batch_and_rewinds(folder, tmp_path, monkeypatch):
    """The real Calibrator over a stand-in for TensorRT's base class and GPU copy."""
    from polygraphy.backend.trt import calibrator as backend

    taken = []
    monkeypatch.setattr(backend.trt_util, "_get_array_on_gpu", lambda array, name, _: taken.append((name, array.shape)))
    bases = ("IInt8EntropyCalibrator2", "IInt8LegacyCalibrator", "IInt8Calibrator")
    monkeypatch.setattr(backend, "trt", SimpleNamespace(**{name: type(name, (), {}) for name in bases}))
    feeder = Feeder(FeedOptions(folder, count_file=tmp_path / "count.json"))
    calibrator = backend.Calibrator(feeder)
    calibrator.set_input_metadata(metadata((3, 3, 64, 64), name="data"))

    for _ in range(2):
        calibrator.reset()
        while calibrator.get_batch(["data"]) is not None:
            pass

    assert taken == [("data", (3, 3, 64, 64))] * 4
    assert require_complete(tmp_path / "count.json") == FeedCount(2, 2)
