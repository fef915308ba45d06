"""The README and docs/ are true: their commands run, their links lead somewhere, and the reference is that of the code.

A fenced block of ``sh`` runs in a folder that holds what examples speak of: model.onnx, model-dynamic.onnx, pictures/,
labelled/, train.txt, data.yaml, calibration.npy and a finished run. Blocks of one page run in order, in one folder. A
second word says what a block needs. One of ``trtexec`` runs with a program that plays TensorRT 8.6's. Those of
``network``, ``gpu`` and ``make`` do not run here; their commands are held against the command line all the same. A
block of ``toml`` is written to the file that its first line names. Commands in ``yaml``, in running text and in
indented lines are held against the command line too. Every fence is one of these, or ``text``.
"""

import configparser
import importlib.util
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import cv2
import numpy as np
import onnx
import pytest
from attrs import define, field, frozen

from polyyolo import pipeline
from polyyolo.cli import main
from polyyolo.records import Request

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(\w*) ?(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
SPAN = re.compile(r"`((?:polyyolo|make) [^`\n]+)`")
INDENTED = re.compile(r"^    python ((?:.*\\\n)*.*)$", re.MULTILINE)
LANGUAGES = ("sh", "toml", "yaml", "text")
LARGEST_PICTURE = 300_000
ELSEWHERE = {
    "network": "needs a network",
    "gpu": "needs a GPU",
    "make": "makes a virtual environment of its own",
}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
MAPS = """<ir_version: 8, opset_import: ["" : 17]>
maps (float[batch, 3, height, width] images) => (float[batch, 21, h8, w8] p3, float[batch, 21, h16, w16] p4) {
    a = Conv<kernel_shape = [4, 4], strides = [4, 4]>(images, a_w)
    b = Relu(a)
    c = Conv<kernel_shape = [2, 2], strides = [2, 2]>(b, c_w)
    d = Relu(c)
    e = Conv<kernel_shape = [2, 2], strides = [2, 2]>(d, e_w)
    f = Relu(e)
    p3 = Conv<kernel_shape = [1, 1]>(d, p3_w)
    p4 = Conv<kernel_shape = [1, 1]>(f, p4_w)
}"""
WEIGHTS = {"a_w": (8, 3, 4, 4), "c_w": (8, 8, 2, 2), "e_w": (8, 8, 2, 2), "p3_w": (21, 8, 1, 1), "p4_w": (21, 8, 1, 1)}


@frozen
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def name(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages):
    """Every block of these languages, page by page."""
    return [
        Block(page, page.read_text("utf-8").count("\n", 0, found.start()) + 1, *found.groups())
        for page in PAGES
        for found in FENCE.finditer(page.read_text("utf-8"))
        if found[1] in languages
    ]


SHOWN = blocks("sh", "toml")


def commands(block):
    """The words of each command, without comments, variables and where its output goes; a backslash joins lines."""
    lines = re.sub(r" > .*", "", block.text.replace("\\\n", " ")).splitlines()
    words = [[word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)] for line in lines]
    return [each for each in words if each]


def prose(page):
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def maps_model():
    """Two raw heads of YOLOv5's kind, with open batch, height and width."""
    generator = np.random.default_rng(0)
    model = onnx.parser.parse_model(MAPS)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(generator.normal(0, 0.2, shape).astype(np.float32), name)
        for name, shape in WEIGHTS.items()
    )
    anchors = "[[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]]]"
    onnx.helper.set_model_props(model, {"names": "['dark', 'bright']", "strides": "[8, 16]", "anchors": anchors})
    return model


@pytest.fixture(scope="session")
def examples(little_yolo, little_pictures, little_labelled, tmp_path_factory):
    """A folder with everything that examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(little_yolo, folder / "model.onnx")
    onnx.save(maps_model(), folder / "model-dynamic.onnx")
    shutil.copytree(little_pictures, folder / "pictures")
    shutil.copytree(little_labelled, folder / "labelled")
    names = sorted(path.name for path in little_pictures.iterdir())
    (folder / "train.txt").write_text("".join(f"pictures/{name}\n" for name in names))
    (folder / "data.yaml").write_text("train: pictures\nval: labelled/images\nnames: [dark, bright]\n")
    resized = [cv2.resize(cv2.imread(str(folder / "pictures" / name)), (64, 64)) for name in names]
    np.save(folder / "calibration.npy", np.stack(resized)[..., ::-1].transpose(0, 3, 1, 2))
    for name in ("polyyolo", "data_loaders", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    asked = Request(
        model=str(folder / "model.onnx"),
        images=folder / "pictures",
        toolchain="none",
        output=folder / "runs" / "model-int8",
    )
    shutil.copy(pipeline.engine(asked).folder / "model.int8.onnx", folder / "quantized.onnx")
    return folder


@define
class Place:
    """Where the blocks of a page run: a copy of the examples.

    Attributes:
        folder: of the copy.
        failures: block -> what a block that was done printed where it failed, else nothing.
    """

    folder: Path
    failures: dict[Block, str] = field(factory=dict)

    def follow(self, block, trtexec):
        """Do a block, after those of its page that come before: a worker may be given the end of a page alone."""
        until = [each for each in SHOWN if each.page == block.page and each.line <= block.line]
        for each in until:
            if each not in self.failures and each.mark not in ELSEWHERE:
                self.failures[each] = self._failure(each, trtexec)
        return self.failures[block]

    def _failure(self, block, trtexec):
        if block.language == "toml":
            (self.folder / block.text.partition("\n")[0].lstrip("# ").strip()).write_text(block.text)
            return ""
        assert block.mark in ("", "trtexec")
        done = run(block, self.folder, *([trtexec("8.6.0").parent] if block.mark else []))
        return f"{block.text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}" if done.returncode else ""


@pytest.fixture(scope="module")
def places(examples, tmp_path_factory):
    """A place for each page."""
    made = {}

    def place(page):
        if page not in made:
            folder = tmp_path_factory.mktemp("page") / "work"
            shutil.copytree(examples, folder, symlinks=True)
            made[page] = Place(folder)
        return made[page]

    return place


def run(block, place, *programs):
    """Run a block as a user's shell would, with these folders of programs, and stop at the first command that fails."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("POLYYOLO_")},
        "PATH": os.pathsep.join([*map(str, programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": "120",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_no_fence_is_left_out():
    fences = {page: re.findall(r"^ *(?:```|~~~).*$", page.read_text("utf-8"), re.MULTILINE) for page in PAGES}
    known = Counter(block.page for block in blocks(*LANGUAGES))

    assert {page: len(found) / 2 for page, found in fences.items() if found} == known


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.name)
def test_what_the_pages_show_works(block, places, fake_trtexec):
    if block.mark in ELSEWHERE:
        pytest.skip(ELSEWHERE[block.mark])

    failure = places(block.page).follow(block, fake_trtexec)

    assert not failure, failure


@pytest.mark.parametrize(
    "block", [each for each in blocks("sh") if each.mark in ELSEWHERE], ids=lambda block: block.name
)
def test_what_needs_more_than_this_machine_is_at_least_spelled_right(block):
    for words in commands(block):
        typed = _made(words) if words[0] == "make" else words
        if typed and Path(typed[0]).name == "polyyolo":
            _parse(typed[1:])
        if words[0] == "polygraphy":
            _told_by_help(*words)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.name)
def test_commands_in_a_job_are_spelled_right(block):
    steps = [words[1:] for words in commands(block) if words[:2] == ["-", "polyyolo"]]

    assert steps
    for words in steps:
        _parse(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_running_text_are_there(page):
    for span in SPAN.findall(prose(page)):
        for words in _alternatives(shlex.split(span.replace("\\|", "|"))):
            if words[0] == "make":
                verbs = [word for word in words[1:] if "=" not in word]
                assert all(re.search(rf"^{verb}:", MAKEFILE, re.MULTILINE) for verb in verbs), span
            else:
                _there(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_that_pages_name_take_these_options(page):
    for line in INDENTED.findall(prose(page)):
        _told_by_help(sys.executable, *shlex.split(line.replace("\\\n", " ")))


def _alternatives(words):
    """One command for each of what bars separate in its words: show|check|diff."""
    return itertools.product(*(re.split(r"\|", word) for word in words))


def _there(words):
    """Hold a command against the command line, whatever it leaves out."""
    command, words = main, list(words)
    while isinstance(command, click.Group) and words and words[0].islower() and words[0][0] != "-":
        _, command, words = command.resolve_command(click.Context(command), words)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help", "-h"}
    assert [word for word in words if word.startswith("-") and word not in {*known, "--"}] == []


def _told_by_help(program, *words):
    """Hold the options of another program against what its help says."""
    here = shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    done = subprocess.run([here, words[0], "--help"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    told = set(re.findall(r"--[a-z0-9-]+", done.stdout))
    assert {word for word in words if word.startswith("--")} <= told


def _made(words):
    """What make would run, without running it."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return next((shlex.split(line) for line in lines if "bin/polyyolo " in line), [])


def _parse(words):
    """Let click read a command line; it complains of what it does not know."""
    command, context = main, click.Context(main, info_name="polyyolo")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, list(words))
        assert command is not None
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(context.info_name, list(words), parent=context.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page):
    for target, heading in LINK.findall(page.read_text("utf-8")):
        if "://" in target:
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{target} in {page.name}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            assert heading in [_anchor(title) for title in titles], f"{target}#{heading} in {page.name}"


def _anchor(title):
    """How GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_reference_is_that_of_the_code():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert (ROOT / "docs" / "reference.md").read_text("utf-8") == module.reference(), "run: make docs"


def test_the_reference_has_every_name_of_every_option():
    written = (ROOT / "docs" / "reference.md").read_text("utf-8")
    commands = [command for _, command in _commands(main, "polyyolo") if not isinstance(command, click.Group)]
    options = [option for command in commands for option in command.params]
    names = {name for option in options for name in (*option.opts, *option.secondary_opts) if name.startswith("-")}

    assert [name for name in sorted(names) if f"`{name}`" not in written] == []


def test_the_design_names_every_part_and_the_layers_as_they_are_enforced():
    shown = (ROOT / "docs" / "design.md").read_text("utf-8")
    house = {line.split()[0].rstrip("/") for line in FENCE.search(shown)[3].splitlines() if line.startswith("  ")}
    parts = {
        path.name for path in (ROOT / "polyyolo").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    layers = settings["importlinter:contract:layers"]["layers"].strip().replace("polyyolo.", "").splitlines()

    assert house == parts - {"__init__.py"}
    assert " > ".join(layers).replace(" |", ",") in re.sub(r"\s+", " ", shown)


def test_the_design_names_every_file_of_a_run(examples):
    named = re.findall(r"`([^`\n]+?)/?`", (ROOT / "docs" / "design.md").read_text("utf-8"))
    files = {path.name for path in (examples / "runs" / "model-int8").iterdir() if path.name[0] != "."}

    assert files - set(named) == set()


def test_figures_are_those_of_their_script_and_each_is_shown(tmp_path):
    script = ROOT / "docs" / "make_figures.py"
    subprocess.run([sys.executable, script, "-o", tmp_path], capture_output=True, check=True, timeout=120)

    figures = {path.name: path.read_text("utf-8") for path in (ROOT / "docs" / "figures").glob("*.svg")}
    made = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    text = "".join(page.read_text("utf-8") for page in PAGES)

    assert {name: words(figure) for name, figure in made.items()} == {
        name: words(figure) for name, figure in figures.items()
    }
    assert [name for name in figures if f"](figures/{name})" not in text] == []


def words(figure):
    """What a figure says; where matplotlib puts it changes from one release to the next."""
    return sorted(re.findall(r"<text[^>]*>([^<]+)</text>", figure))


def test_pictures_are_small_enough_for_the_repository():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs").rglob("*.png")}

    assert {name: size for name, size in sizes.items() if size > LARGEST_PICTURE} == {}


def test_every_command_has_its_place_in_the_readme():
    shown = (ROOT / "README.md").read_text("utf-8")
    context = click.Context(main)
    names = main.list_commands(context)

    assert [name for name in names if f"`polyyolo {name}" not in shown] == []


def test_every_option_that_help_shows_is_explained():
    """``engine --help`` listed --route [qdq|calibrated] without a word."""
    bare = [
        f"{path} {option.opts[0]}"
        for path, command in _commands(main, "polyyolo")
        for option in command.params
        if isinstance(option, click.Option) and not (option.hidden or option.help)
    ]

    assert bare == []


def _commands(command, path):
    """Yield a command and all below it, each with what is typed for it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _commands(command.get_command(context, name), f"{path} {name}")
