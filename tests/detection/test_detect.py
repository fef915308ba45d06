"""Pictures in; drawings and boxes out, the same boxes that verification measures."""

import json
import shutil

import cv2
import numpy as np
import onnx
import pytest
from faster_coco_eval import COCO

from polyyolo.engines.gpu import first_gpu
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import find_pictures
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind
from polyyolo.verification.inference import DISPLAY, Runner, batches, find


def end_to_end(path, names=""):
    """A model that finds a box of class 0 and one of class 3 on every picture."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> ends (float[1,3,64,64] images) => (float[1,3,6] output0)
            <float[1,3,6] rows = {5,5,40,40,0.9,0, 10,10,60,60,0.8,3, 0,0,0,0,0,0},
            int64[1] at = {4}, int64[1] all = {3}>
            {
                least = ReduceMin<keepdims = 0>(images)
                zero = Sub(least, least)
                found = Add(rows, zero)
                scores = Gather<axis = 2>(found, at)
                best, order = TopK<axis = 1>(scores, all)
                every = Concat<axis = 2>(order, order, order, order, order, order)
                output0 = GatherElements<axis = 1>(found, every)
            }"""
    )
    if names:
        onnx.helper.set_model_props(model, {"names": names})
    onnx.save(model, path)
    return path


def flat(entries):
    return [(box["class"], box["score"], *box["xyxy"]) for entry in entries for box in entry["boxes"]]


def test_boxes_are_those_that_verification_finds(detected, little_yolo, little_pictures):
    spec = read_spec(little_yolo)
    found = []
    with Runner(spec) as runner:
        for tensors, fits in batches(
            find_pictures(little_pictures), preprocessing_for(spec, (64, 64)), runner.batch, "t"
        ):
            found += find(runner.infer(tensors), spec.head, fits, DISPLAY)

    entries = detected(little_pictures)

    assert [entry["picture"] for entry in entries] == [str(path) for path in sorted(little_pictures.iterdir())]
    wanted = [
        (label, score, *corners)
        for boxes in found
        for label, score, corners in zip(boxes.classes, boxes.scores, boxes.xyxy, strict=True)
    ]
    assert len(wanted) > 500
    np.testing.assert_allclose(flat(entries), wanted, atol=0.006)


def test_the_options_of_a_selection_count(detected, little_pictures):
    every = flat(detected(little_pictures, "--limit", 300))
    sure = flat(detected(little_pictures, "--confidence", 0.9))
    bright = flat(detected(little_pictures, "--classes", "bright", "--limit", 3))
    apart = flat(detected(little_pictures, "--iou", 0))

    assert len(sure) == sum(score > 0.9 for _, score, *_ in every) < len(every)
    assert len(bright) == 3 * 24
    assert {label for label, *_ in bright} == {1}
    assert len(apart) < len(every)


def test_preprocessing_is_what_was_asked_for(detected, little_pictures, tmp_path):
    usual = flat(detected(little_pictures))
    stretched = flat(detected(little_pictures, "--fit", "stretch", "--colour", "bgr"))

    assert usual != stretched
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["preprocessing"]["fit"], summary["preprocessing"]["colour"]) == ("stretch", "bgr")


def test_each_form_tells_the_same_boxes(detected, little_pictures, tmp_path):
    entries = detected(little_pictures, "--save", "json,yolo,coco")
    out = tmp_path / "out"
    text = [
        [*map(float, line.split())]
        for entry in entries
        for line in (out / "labels" / entry["picture"].split("/")[-1].replace("png", "txt")).read_text().splitlines()
    ]
    coco = json.loads((out / "coco-results.json").read_text())
    images = json.loads((out / "coco-images.json").read_text())

    assert not (out / "pictures").exists()
    assert [list(row) for row in flat(entries)] == [
        [
            row["category_id"] - 1,
            row["score"],
            *row["bbox"][:2],
            *(round(a + b, 2) for a, b in zip(row["bbox"][:2], row["bbox"][2:], strict=True)),
        ]
        for row in coco
    ]
    for (label, x, y, w, h, score), box in zip(text, flat(entries), strict=True):
        corners = [(x - w / 2) * 80, (y - h / 2) * 48, (x + w / 2) * 80, (y + h / 2) * 48]
        np.testing.assert_allclose((label, score, *corners), box, atol=0.006)
    assert [image["file_name"] for image in images["images"]] == [entry["picture"] for entry in entries]
    assert images["images"][3] | {"file_name": ""} == {"id": 4, "file_name": "", "width": 80, "height": 48}
    assert images["categories"] == [{"id": 1, "name": "dark"}, {"id": 2, "name": "bright"}]


def test_coco_results_take_the_ids_of_a_ground_truth(detect, little_pictures, tmp_path):
    truth = {
        "images": [{"id": 900 + n, "file_name": f"val/{n:02}.png"} for n in range(24)],
        "categories": [{"id": 7, "name": "Bright"}, {"id": 9, "name": "dark"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))

    code, _, _ = detect(little_pictures, "--save", "coco", "--coco-ids", tmp_path / "truth.json")

    rows = json.loads((tmp_path / "out" / "coco-results.json").read_text())
    assert code == 0
    assert sorted({row["image_id"] for row in rows}) == list(range(900, 924))
    assert {row["category_id"] for row in rows} == {7, 9}
    loaded = COCO(truth | {"annotations": []}).loadRes(rows)
    assert len(loaded.getAnnIds(imgIds=[903], catIds=[7])) == sum(
        (row["image_id"], row["category_id"]) == (903, 7) for row in rows
    )


def test_pictures_of_the_same_name_find_their_ids_by_their_folders(detect, photo, tmp_path):
    names = ["val/a/1.png", "val/b/1.png", "2.png", "train/2.png"]
    truth = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names, 11)],
        "categories": [{"id": 1, "name": "dark"}, {"id": 2, "name": "bright"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    for name in ("a/1.png", "b/1.png", "train/2.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "in" / name), photo)

    code, _, _ = detect(tmp_path / "in", "--save", "coco", "--coco-ids", tmp_path / "truth.json")

    images = json.loads((tmp_path / "out" / "coco-images.json").read_text())["images"]
    results = json.loads((tmp_path / "out" / "coco-results.json").read_text())
    assert code == 0
    assert [(image["id"], image["file_name"]) for image in images] == [
        (11, "val/a/1.png"),
        (12, "val/b/1.png"),
        (14, "train/2.png"),
    ]
    assert {row["image_id"] for row in results} == {11, 12, 14}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["x/1.png", "y/1.png"], "a/1.png may be image 1 (x/1.png) of"),
        (["1.png", "1.png"], "a/1.png may be image 1 (1.png) of"),
        (["val/1.png"], "may both be image 1 (val/1.png) of"),
    ],
)
def test_ids_that_may_be_those_of_another_picture_are_refused(refused, photo, tmp_path, names, said):
    truth = {"images": [{"id": number, "file_name": name} for number, name in enumerate(names, 1)], "categories": []}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "in" / name), photo)

    err = refused(tmp_path / "in", "--save", "coco", "--coco-ids", tmp_path / "truth.json")

    assert said in err
    assert "put the pictures into folders that are named as in the JSON" in err


@pytest.mark.parametrize(
    ("names", "categories"),
    [
        ("", [(1, "0"), (4, "3")]),
        ("['a', 'b']", [(1, "a"), (2, "b"), (4, "3")]),
    ],
)
def test_classes_without_a_name_are_called_by_their_numbers(detected, photo, tmp_path, names, categories):
    """An end-to-end model may have more classes than names, or no names at all."""
    model = end_to_end(tmp_path / "ends.onnx", names)
    cv2.imwrite(str(tmp_path / "one.png"), photo)

    (entry,) = detected(tmp_path / "one.png", "--save", "pictures,json,yolo,coco", model=model)

    out = tmp_path / "out"
    coco = json.loads((out / "coco-images.json").read_text())
    assert [box["name"] for box in entry["boxes"]] == [categories[0][1], "3"]
    assert [row["category_id"] for row in json.loads((out / "coco-results.json").read_text())] == [1, 4]
    assert [(each["id"], each["name"]) for each in coco["categories"]] == categories
    assert [line.split()[0] for line in (out / "labels" / "one.txt").read_text().splitlines()] == ["0", "3"]
    assert [box["class"] for box in detected(tmp_path / "one.png", "--classes", "3", model=model)[0]["boxes"]] == [3]


def test_without_names_classes_are_matched_with_a_ground_truth_by_their_order(detect, photo, tmp_path):
    truth = {
        "images": [{"id": 5, "file_name": "one.png"}],
        "categories": [{"id": 30, "name": "third"}, {"id": 10, "name": "first"}, {"id": 20, "name": "second"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    cv2.imwrite(str(tmp_path / "one.png"), photo)

    code, out, _ = detect(
        *(tmp_path / "one.png", "--save", "coco", "--coco-ids", tmp_path / "truth.json", "--json"),
        model=end_to_end(tmp_path / "ends.onnx"),
    )

    rows = json.loads((tmp_path / "out" / "coco-results.json").read_text())
    assert code == 0
    assert [(row["image_id"], row["category_id"]) for row in rows] == [(5, 10)]
    (warning,) = json.loads(out)["warnings"]
    assert "has no category for 1 of the model's classes, as number 3" in warning["message"]


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ({"images": [], "categories": [{"id": 1, "name": "dark"}]}, "has no image '00.png', and 24 of the 24"),
        ("no json", "cannot read"),
        ({"images": [{"file_name": "00.png"}]}, "'images' must be a list of objects with id and file_name"),
        (
            {"images": [{"id": n, "file_name": f"{n:02}.png"} for n in range(24)], "categories": []},
            "has no category 'dark', and the model has 2 classes",
        ),
    ],
)
def test_a_ground_truth_that_does_not_fit_is_refused(refused, little_pictures, tmp_path, truth, said):
    (tmp_path / "truth.json").write_text(truth if isinstance(truth, str) else json.dumps(truth))

    assert said in refused(little_pictures, "--save", "coco", "--coco-ids", tmp_path / "truth.json")


def test_drawings_are_the_pictures_with_boxes_on_them(detected, little_pictures, tmp_path):
    entries = detected(little_pictures)

    drawn = cv2.imread(str(tmp_path / "out" / entries[0]["drawn"]))
    plain = cv2.resize(cv2.imread(entries[0]["picture"]), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    assert drawn.shape == plain.shape == (192, 320, 3)
    changed = (np.abs(drawn.astype(int) - plain).max(axis=2) > 60).mean()
    assert 0.05 < changed < 0.9


def test_one_picture_a_list_and_a_data_yaml_are_sources_too(detected, little_pictures, tmp_path):
    one = little_pictures / "03.png"
    (tmp_path / "list.txt").write_text(f"{little_pictures}/05.png\n{one}\n")
    (tmp_path / "data.yaml").write_text(f"path: {little_pictures}\ntrain: .\nval: 03.png\n")

    single = detected(one)
    listed = detected(tmp_path / "list.txt", output=tmp_path / "out")
    dataset = detected(tmp_path / "data.yaml")

    assert [entry["picture"] for entry in listed] == [str(little_pictures / "05.png"), str(one)]
    assert flat(listed[1:]) == flat(single) == flat(dataset)


def test_pictures_of_the_same_name_do_not_overwrite_each_other(detected, photo, tmp_path):
    source = tmp_path / "in"
    for name in ("a.jpg", "a.png", "sub/a.jpg", "größe ☃.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(cv2.imencode((source / name).suffix, photo)[1].tobytes())

    entries = detected(source, "--save", "pictures,json,yolo")

    assert [entry["drawn"] for entry in entries] == [
        "pictures/a.jpg.jpg",
        "pictures/a.png.jpg",
        "pictures/größe ☃.jpg",
        "pictures/sub/a.jpg",
    ]
    out = tmp_path / "out"
    assert sorted(str(path.relative_to(out)) for path in (out / "labels").rglob("*.txt")) == [
        "labels/a.jpg.txt",
        "labels/a.png.txt",
        "labels/größe ☃.txt",
        "labels/sub/a.txt",
    ]
    assert all((out / entry["drawn"]).stat().st_size > 1000 for entry in entries)


def test_unusual_pictures_are_seen_like_usual_ones(detected, photo, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    cv2.imwrite(str(source / "colour.png"), photo)
    cv2.imwrite(str(source / "deep.png"), photo.astype(np.uint16) * 257)
    cv2.imwrite(str(source / "glass.png"), np.dstack([photo, photo[..., :1]]))
    cv2.imwrite(str(source / "grey.png"), photo[..., 0])

    colour, deep, glass, grey = detected(source)

    assert colour["boxes"] == deep["boxes"] == glass["boxes"] != grey["boxes"]
    assert len(colour["boxes"]) > 3


def test_unreadable_pictures_are_left_out_with_a_reason(detect, photo, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    cv2.imwrite(str(source / "good.png"), photo)
    cv2.imwrite(str(source / "speck.png"), photo[:1, :1])
    (source / "cut.jpg").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes()[:-2])
    (source / "empty.jpg").touch()

    code, out, err = detect(source, "--json")

    told = json.loads(out)
    assert (code, err, told["shots"]) == (0, "", 1)
    assert [each["reason"] for each in told["skipped"]] == [
        "the JPEG is cut short: its end marker is missing",
        "the file is empty",
        "1x1 pixels: a side is shorter than 10",
    ]
    assert [each["message"] for each in told["warnings"]][1] == f"left out: {source}/empty.jpg: the file is empty"


def test_it_is_an_error_when_no_picture_can_be_read(refused, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.jpg").touch()
    (source / "b.jpg").write_text("no picture")

    err = refused(source)

    assert f"none of the 2 pictures of {source} could be used: {source}/a.jpg: the file is empty" in err


def test_an_empty_folder_is_refused(refused, tmp_path):
    (tmp_path / "in").mkdir()

    assert "in: it is empty" in refused(tmp_path / "in")


def test_a_model_without_a_known_head_points_to_the_option(refused, little_pictures, tmp_path):
    text = '<ir_version: 8, opset_import: ["" : 17]> m (float[1,3,64,64] x) => (float[1,3,64,64] y) { y = Relu(x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "relu.onnx")

    err = refused(little_pictures, model=tmp_path / "relu.onnx")

    assert "has no outputs that are known as boxes (no YOLO head: the outputs are y 1x3x64x64)" in err
    kinds = ", ".join(kind.value for kind in HeadKind if kind is not HeadKind.NONE)
    assert f"name the family with --head: {kinds}" in err


def test_two_models_are_drawn_side_by_side_and_both_told(detected, little_yolo, little_pictures, tmp_path):
    other = shutil.copy(little_yolo, tmp_path / "other.onnx")

    entries = detected(little_pictures / "00.png", "--against", other)

    (entry,) = entries
    assert entry["against"] == entry["boxes"]
    assert cv2.imread(str(tmp_path / "out" / entry["drawn"])).shape == (36 + 432, 2 * 720 + 8, 3)


def test_an_end_to_end_model_without_names_is_drawn_beside_one_with_names(detected, refused, photo, tmp_path):
    nameless, two = end_to_end(tmp_path / "ends.onnx"), end_to_end(tmp_path / "two.onnx", "['a', 'b']")
    three = end_to_end(tmp_path / "three.onnx", "['a', 'b', 'c']")
    cv2.imwrite(str(tmp_path / "one.png"), photo)

    assert "has other classes (3)" in refused(tmp_path / "one.png", "--against", three, model=two)
    (entry,) = detected(tmp_path / "one.png", "--against", nameless, model=two)

    assert [box["class"] for box in entry["against"]] == [0, 3]


def test_an_open_batch_gives_the_same_boxes(detected, little_dynamic, little_pictures):
    fixed = flat(detected(little_pictures))
    dynamic = flat(detected(little_pictures, "--size", 64, 64, model=little_dynamic))

    np.testing.assert_allclose(dynamic, fixed, atol=0.02)


def test_a_real_model_sees_what_is_there(detect, models, val, tmp_path):
    code, out, _ = detect(val / "images" / "000000001584.jpg", model=models / "yolov5s-640.onnx")

    (entry,) = json.loads((tmp_path / "out" / "detections.json").read_text())
    best = entry["boxes"][0]
    assert code == 0
    assert out.splitlines()[1].startswith("9 boxes: ")
    assert best["name"] == "bus"
    assert best["score"] > 0.9
    np.testing.assert_allclose(best["xyxy"], (119, 84, 527, 530), atol=5)


ENGINE = b"ftrt" + bytes(12) + (64).to_bytes(8, "little") + bytes([8, 6, 0, 12]) + bytes(36)


def test_an_engine_without_its_onnx_asks_for_it(refused, little_pictures, tmp_path):
    (tmp_path / "alone.plan").write_bytes(ENGINE)

    err = refused(little_pictures, model=tmp_path / "alone.plan")

    assert "is an engine, which does not tell its head, class names and preprocessing" in err


def test_an_engine_needs_a_gpu_and_says_so_before_a_folder_is_made(
    detect, little_yolo, little_pictures, tmp_path, monkeypatch
):
    from polyyolo.engines.gpu import Gpu
    from polyyolo.verification import engine_session

    (tmp_path / "alone.plan").write_bytes(ENGINE)
    monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu(missing="no NVIDIA GPU"))

    code, out, err = detect(little_pictures, "--model", little_yolo, model=tmp_path / "alone.plan")

    assert (code, out) == (3, "")
    assert "alone.plan is an engine, built by TensorRT" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.gpu
def test_an_engine_sees_what_its_onnx_sees(detected, little_yolo, little_pictures, tmp_path):
    """In whatever order boxes come whose scores are alike; which of two such is left may differ, too."""
    pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    backend = pytest.importorskip("polygraphy.backend.trt")
    if missing := first_gpu().missing:
        pytest.skip(missing)
    network = backend.NetworkFromOnnxPath(str(little_yolo))
    quick = backend.CreateConfig(builder_optimization_level=0)
    backend.SaveEngine(backend.EngineFromNetwork(network, quick), str(tmp_path / "little.plan"))()

    onnx = detected(little_pictures)
    engine = detected(little_pictures, "--model", little_yolo, model=tmp_path / "little.plan")

    for of_engine, of_onnx in zip(engine, onnx, strict=True):
        found, wanted = (np.reshape(flat([entry]), (-1, 6)) for entry in (of_engine, of_onnx))
        apart = np.abs(found[:, None] - wanted).max(axis=-1)
        assert (apart < 0.1).any(axis=1).mean() > 0.9
        assert (apart < 0.1).any(axis=0).mean() > 0.9
