"""What a bundle says of itself, in ``bundle.json``: enough to read what comes back without its run."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from attrs import frozen

from polyyolo.records import Preprocessing, Profile, Route

MANIFEST = "bundle.json"
PROFILE, SUMS = "profile.json", "SHA256SUMS"
README = "README.txt"
MODELS, REFERENCE, LIBRARY = "models", "reference", "lib"
ENGINES, RESULTS = "engine", "results"
"""Folders that ``build.sh`` and ``bench.sh`` make."""
TIMES, LAYERS, LAYER_TIMES = "times.json", "layers.json", "layer_times.json"
"""What ``bench.sh`` leaves below the results, beside the outputs."""
ENGINE = PurePosixPath(ENGINES, "model.plan")


@frozen
class Reference:
    """One query of known pictures, and what ONNX Runtime makes of it.

    Attributes:
        pictures: names of the pictures, in the order of the batch; where they do not fill it, the last is repeated.
        batch: entries of the query.
        outputs: output name -> shape; ``expected`` names the file of each.
    """

    pictures: tuple[str, ...]
    batch: int
    outputs: Mapping[str, tuple[int, ...]]


@frozen
class Bundle:
    """What was packed.

    Attributes:
        polyyolo: version that packed it.
        model: name of the model as it was given.
        model_sha256: of that model: results belong to a run of the same.
        weak: the ONNX with FP32 beside its Q/DQ nodes, below ``models``; what is expected was computed with it.
        strong: the one that is cast to FP16.
        plain: the one without Q/DQ nodes, for a calibration cache; empty where none was packed.
        weak_sha256: tells whether a run has been made again since.
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
    weak: str
    strong: str
    plain: str
    weak_sha256: str
    route: Route
    routes: tuple[Route, ...]
    image: str
    profile: Profile
    preprocessing: Preprocessing
    shapes: Mapping[str, tuple[int, ...]]
    batch: int
    references: tuple[Reference, ...]
    quantization_db: Mapping[str, float]


def index_of(place: int) -> str:
    """Name a reference by its place: "00", "01", ..."""
    return f"{place:02}"


def given(index: str, dtype: str) -> str:
    """Name the file with the raw little-endian bytes of the image input, (N, C, H, W) of a numpy dtype."""
    return f"{REFERENCE}/{index}.{dtype}.bin"


def expected(index: str, output: int) -> str:
    """Name the file with an output's raw little-endian float32; ``output`` is its place among the outputs."""
    return f"{REFERENCE}/{index}.output{output}.bin"


def exported(index: str) -> str:
    """Name the file in which trtexec left the outputs, below the results."""
    return f"outputs/{index}.json"
