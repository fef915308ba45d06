"""What a bundle says of itself, in ``bundle.json``: enough to read what comes back without its run."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from attrs import frozen

from polyyolo.records import Preprocessing, Profile, Route

MANIFEST = "bundle.json"
PROFILE, SUMS = "profile.json", "SHA256SUMS"
BUILD, BENCH, README = "build.sh", "bench.sh", "README.txt"
MODELS, REFERENCE, LIBRARY = "models", "reference", "lib"
ENGINES, RESULTS = "engine", "results"
"""Folders that ``build.sh`` and ``bench.sh`` make."""
ENGINE = PurePosixPath(ENGINES, "model.plan")


@frozen
class Reference:
    """One query of known pictures, and what ONNX Runtime makes of it.

    Attributes:
        pictures: names of the pictures, one for each entry of the batch; the last may repeat.
        inputs: numpy dtype -> file below the bundle with the image input's raw little-endian bytes, (N, C, H, W).
        outputs: output name -> file below the bundle with raw little-endian float32.
        shapes: output name -> shape.
    """

    pictures: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]


@frozen
class Bundle:
    """What was packed.

    Attributes:
        polyyolo: version that packed it.
        model: name of the model as it was given.
        model_sha256: of that model: results belong to a run of the same.
        models: file below the bundle -> sha256.
        route: the one that ``build.sh`` takes unless it is told another.
        routes: all that it can take.
        image: name of the image input.
        shapes: input name -> shape that ``bench.sh`` measures at.
        batch: pictures of one query there.
        references: to check an engine against.
        quantization_db: output name -> signal to noise of the quantized model against FP32, where it was measured.
    """

    polyyolo: str
    model: str
    model_sha256: str
    models: Mapping[str, str]
    route: Route
    routes: tuple[Route, ...]
    image: str
    profile: Profile
    preprocessing: Preprocessing
    shapes: Mapping[str, tuple[int, ...]]
    batch: int
    references: tuple[Reference, ...]
    quantization_db: Mapping[str, float]
