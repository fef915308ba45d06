"""Labels in every form that people keep them in, and what is wrong with them told by file and line."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from polyyolo.errors import LabelError, PictureError
from polyyolo.verification.labelled import Truth, read_labelled


@pytest.fixture
def folder(tmp_path):
    """Three pictures of 40x20 pixels and labels for two of them."""
    for name in ("a", "b", "c"):
        draw(tmp_path / "images" / f"{name}.png")
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n\n2 0.25 0.5 0.5 1\n")
    write(tmp_path / "labels" / "b.txt", "1 0.5 0.5 1 1\n")
    return tmp_path


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((20, 40, 3), ord(path.stem[0]), np.uint8))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_folder_in_yolos_form(folder):
    labelled = read_labelled(folder, ("cat", "dog", "cow"))

    assert [path.name for path in labelled.pictures] == ["a.png", "b.png", "c.png"]
    assert labelled.relative
    assert labelled.names == ("cat", "dog", "cow")
    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[0, 2], [1], []]
    np.testing.assert_allclose(labelled.truths[0][0].box, (0.4, 0.3, 0.2, 0.4))


def test_the_folder_of_pictures_itself_finds_its_labels_too(folder):
    assert read_labelled(folder / "images").truths == read_labelled(folder).truths


def test_labels_beside_the_pictures_in_darknets_way(tmp_path):
    draw(tmp_path / "a.png")
    write(tmp_path / "a.txt", "0 0.5 0.5 1 1\n")

    assert read_labelled(tmp_path).truths == ((Truth(0, (0.0, 0.0, 1.0, 1.0)),),)


def test_segmentation_polygons_become_the_boxes_around_them(folder):
    write(folder / "labels" / "b.txt", "1 0.2 0.3 0.6 0.1 0.4 0.9\n")

    (truth,) = read_labelled(folder).truths[1]

    np.testing.assert_allclose(truth.box, (0.2, 0.1, 0.4, 0.8))


def test_an_object_that_is_there_twice_counts_once(folder, ear):
    """YOLO's training leaves the second out; a model that finds it once would miss it otherwise."""
    write(folder / "labels" / "b.txt", "1 0.5 0.5 1 1\n" * 2 + "1 0.5 0.5 1 0.5\n")

    assert len(read_labelled(folder).truths[1]) == 2
    ((message, _),) = ear.warnings
    assert message.startswith("objects are there twice in 1 label file of ")
    assert message.endswith(f"{folder / 'labels' / 'b.txt'} first: each counts once")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3 0.5 0.5 0.1 0.1", "class 3, but the model has 3 (0 to 2)"),
        ("-1 0.5 0.5 0.1 0.1", "class -1.0 is no whole number from 0"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 is no whole number from 0"),
        ("0 320 240 0.1 0.1", "320.0 is outside 0 to 1"),
        ("0 0.5 0.5 -0.1 0.1", "-0.1 is outside 0 to 1"),
        ("0 nan 0.5 0.1 0.1", "nan is outside 0 to 1"),
        ("nan 0.5 0.5 0.1 0.1", "class nan is no whole number from 0"),
        ("0 0.5 0.5 0.1", "4 columns, not 5 (class cx cy width height) or a class and 3 or more points"),
        ("0 0.9 0.5 0.5 0.1 0.1", "6 columns, not 5 (class cx cy width height) or a class and 3 or more points"),
        ("person 0.5 0.5 0.1 0.1", "could not convert string to float: 'person'"),
    ],
)
def test_a_wrong_line_is_named(folder, line, reason):
    write(folder / "labels" / "b.txt", f"1 0.5 0.5 1 1\n{line}\n")

    with pytest.raises(LabelError) as error:
        read_labelled(folder, ("cat", "dog", "cow"))

    assert error.value.message == f"{folder / 'labels' / 'b.txt'}:2: {reason}"


def test_labels_of_another_list_of_classes_are_not_to_be_corrected_line_by_line(folder):
    write(folder / "labels" / "a.txt", "90 0.5 0.5 0.1 0.1\n")

    with pytest.raises(LabelError, match="class 90, but the model has 3") as error:
        read_labelled(folder, ("cat", "dog", "cow"))

    assert "name the data.yaml that has it: classes are matched by name" in error.value.fix


def test_all_wrong_lines_are_told_at_once_but_not_more_than_five(folder):
    write(folder / "labels" / "a.txt", "0 2 2 2 2\n" * 4)
    write(folder / "labels" / "b.txt", "0 2 2 2 2\n" * 4)

    with pytest.raises(LabelError, match=r"a\.txt:4: .*b\.txt:1: .*; and 3 more$"):
        read_labelled(folder)


def test_a_label_file_that_is_no_text_is_named(folder):
    (folder / "labels" / "b.txt").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(LabelError, match=r"cannot read .*b\.txt"):
        read_labelled(folder)


def test_no_label_file_for_any_picture_is_an_error(tmp_path):
    """Otherwise everything would be background and every model would have the same mAP of 0."""
    draw(tmp_path / "images" / "a.png")
    write(tmp_path / "labels" / "other.txt", "0 0.5 0.5 1 1\n")

    with pytest.raises(LabelError, match="none of the 1 pictures") as error:
        read_labelled(tmp_path)

    assert str(tmp_path / "labels" / "a.txt") in error.value.message


def test_labels_without_any_object_are_an_error(folder):
    """Accuracy would be 0 for every model."""
    for file in (folder / "labels").iterdir():
        file.write_text("")

    with pytest.raises(LabelError, match="labels nothing: no object is labelled on 3 pictures"):
        read_labelled(folder)


def test_label_files_without_a_picture_are_a_warning(folder, ear):
    write(folder / "labels" / "stray.txt", "0 0.5 0.5 1 1\n")
    write(folder / "labels" / "classes.txt", "cat\ndog\ncow\n")

    read_labelled(folder)

    (warning,) = ear.warnings
    assert warning[0] == f"1 label file has no picture, {folder / 'labels' / 'stray.txt'} first"


def test_label_files_of_pictures_that_a_list_leaves_out_are_none_without_a_picture(folder, ear):
    """Lists for training and for validation often share one folder: nobody should remove the labels of the others."""
    write(folder / "val.txt", "images/a.png\n")

    read_labelled(folder / "val.txt")

    assert not ear.warnings


def test_labels_for_half_of_the_pictures_or_fewer_are_a_warning(folder, ear):
    read_labelled(folder)
    assert not ear.warnings

    (folder / "labels" / "b.txt").unlink()
    read_labelled(folder)

    ((message, _),) = ear.warnings
    assert message.startswith(f"2 of the 3 pictures of {folder} have no label file and count as background, ")
    assert message.endswith(f"{folder / 'labels' / 'b.txt'} would be the first")


def test_no_such_folder(tmp_path):
    with pytest.raises(LabelError, match=r"no such file or folder: .*nowhere"):
        read_labelled(tmp_path / "nowhere")


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(PictureError, match="no pictures in"):
        read_labelled(tmp_path)


def test_a_data_yaml_names_its_val_pictures_and_its_classes(folder):
    write(folder / "data.yaml", "path: .\ntrain: nowhere\nval: images\nnames: {0: cat, 1: dog, 2: cow}\n")

    labelled = read_labelled(folder / "data.yaml")

    assert len(labelled.pictures) == 3
    assert labelled.names == ("cat", "dog", "cow")


def test_a_data_yaml_with_other_numbers_for_the_models_classes_is_matched_by_name(folder):
    write(folder / "data.yaml", "val: images\nnames: [Cow, cat, dog]\n")

    labelled = read_labelled(folder / "data.yaml", ("person", "cat", "dog", "cow"))

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[3, 2], [1], []]
    assert labelled.names == ("person", "cat", "dog", "cow")


@pytest.mark.parametrize("place", ["labels/classes.txt", "classes.txt"])
def test_a_list_of_classes_beside_the_labels_is_matched_by_name(folder, place):
    """labelImg and Label Studio write it; a class that no label has need not be the model's."""
    write(folder / place, "cow\ncat\ndog\nunicorn\n\n")

    labelled = read_labelled(folder, ("person", "cat", "dog", "cow"))

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[3, 2], [1], []]


def test_a_class_written_with_a_point_counts_among_those_that_labels_have(folder, ear):
    write(folder / "labels" / "a.txt", "2.0 0.5 0.5 0.2 0.4\n")
    write(folder / "classes.txt", "cow\ncat\n")

    labelled = read_labelled(folder, ("person", "cat", "dog", "cow"))

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[2], [1], []]
    assert "names 2 classes, and labels have class 2" in ear.warnings[0][0]


@pytest.mark.parametrize(
    ("place", "content", "told"),
    [
        ("labels/classes.txt", b"cow\ncat\n", "names 2 classes, and labels have class 2"),
        ("labels/classes.txt", b"\xff\xfe", "cannot read"),
        ("data.yaml", b"val: images\nnames: coco.names\n", "are no list or mapping of classes"),
        ("data.yaml", b"val: [", ""),
        ("data.yaml", b"- a list\n", ""),
    ],
)
def test_a_list_of_classes_that_was_only_found_stops_nothing(folder, ear, place, content, told):
    (folder / place).write_bytes(content)

    labelled = read_labelled(folder, ("person", "cat", "dog", "cow"))

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[0, 2], [1], []]
    assert [told in message for message, _ in ear.warnings] == [True] * bool(told)


@pytest.mark.parametrize("given", ["valid", "valid/images", "valid/labels", "list.txt"])
def test_a_data_yaml_is_found_from_wherever_its_labels_are_named(folder, given):
    for name in ("images", "labels"):
        (folder / "valid").mkdir(exist_ok=True)
        (folder / name).rename(folder / "valid" / name)
    write(folder / "list.txt", "".join(f"valid/images/{name}.png\n" for name in "abc"))
    places = "list.txt" if given == "list.txt" else "valid/images"
    write(folder / "data.yaml", f"path: {folder}\nval: {places}\nnames: [cow, cat, dog]\n")
    images = folder / "valid/images" if given == "valid/labels" else None

    labelled = read_labelled(folder / given, ("person", "cat", "dog", "cow"), images=images)

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[3, 2], [1], []]


@pytest.mark.parametrize("place", ["data.yaml", "../data.yaml"])
def test_a_data_yaml_in_the_folder_or_above_it_tells_the_classes_of_its_labels(folder, place):
    whole = folder / "valid"
    whole.mkdir()
    for name in ("images", "labels"):
        (folder / name).rename(whole / name)
    (whole / place).write_text(f"path: {folder}\nval: valid/images\nnames: [cow, cat, dog]\n")

    labelled = read_labelled(whole, ("person", "cat", "dog", "cow"))

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[3, 2], [1], []]


@pytest.mark.parametrize("text", ["val: elsewhere\nnames: [cow, cat, dog]\n", "val: set/images\n"])
def test_a_data_yaml_of_other_pictures_or_without_names_tells_nothing(folder, text):
    (folder / "elsewhere").mkdir()
    (folder / "set").mkdir()
    for name in ("images", "labels"):
        (folder / name).rename(folder / "set" / name)
    write(folder / "data.yaml", text)

    labelled = read_labelled(folder / "set", ("person", "cat", "dog", "cow"))

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[0, 2], [1], []]


def test_classes_that_the_model_does_not_know_are_refused(folder):
    write(folder / "data.yaml", "val: images\nnames: [cat, dog, helmet]\n")

    with pytest.raises(LabelError, match="has 3 classes, the model 2, and none of those is called 'helmet'"):
        read_labelled(folder / "data.yaml", ("cat", "dog"))


def test_as_many_classes_by_other_names_are_matched_by_order_with_a_warning(folder, ear):
    """Darknet's list says aeroplane where COCO says airplane."""
    write(folder / "data.yaml", "val: images\nnames: [cat, hound, cow]\n")

    labelled = read_labelled(folder / "data.yaml", ("cat", "dog", "cow"))

    assert labelled.truths[1][0].label == 1
    assert "'hound' first: classes are matched by their order" in ear.warnings[0][0]


def test_classes_in_another_order_and_by_other_names_are_refused(folder):
    """By name one class would be missing, and by order the others would be mixed up."""
    write(folder / "data.yaml", "val: images\nnames: [cow, hound, cat]\n")

    with pytest.raises(LabelError, match=r"'hound' first, .* another order: 'cow' is number 0 .* and 2 of the model's"):
        read_labelled(folder / "data.yaml", ("cat", "dog", "cow"))


def test_a_class_beyond_the_names_of_its_data_yaml_is_named(folder):
    write(folder / "data.yaml", "val: images\nnames: [cat, dog]\n")

    with pytest.raises(LabelError, match=r"a\.txt:3: class 2 is not among the 2 names"):
        read_labelled(folder / "data.yaml")


def coco(annotations, categories=((1, "cat"), (17, "dog"), (90, "cow"))):
    return {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}],
        "annotations": annotations,
        "categories": [{"id": key, "name": name} for key, name in categories],
    }


def annotation(**changes):
    return {"image_id": 3, "category_id": 17, "bbox": [4, 5, 10, 12], "area": 99.5, "iscrowd": 0, **changes}


@pytest.mark.parametrize("place", ["labels.json", "annotations/instances_val.json", "images/labels.json"])
def test_a_coco_json_and_its_pictures(folder, place):
    write(folder / place, json.dumps(coco([annotation(), annotation(image_id=7, category_id=90, iscrowd=1)])))

    labelled = read_labelled(folder / place, ("cow", "dog", "cat"))

    assert labelled.pictures == (folder / "images" / "a.png", folder / "images" / "b.png")
    assert not labelled.relative
    assert labelled.truths == (
        (Truth(0, (4.0, 5.0, 10.0, 12.0), 99.5, crowd=True),),
        (Truth(1, (4.0, 5.0, 10.0, 12.0), 99.5),),
    )


def test_names_that_differ_in_case_alone_are_different_classes(folder):
    data = coco([annotation(category_id=1), annotation(category_id=17)], ((1, "a"), (17, "A"), (90, "cow")))
    write(folder / "labels.json", json.dumps(data))

    labels = [truth.label for truth in read_labelled(folder / "labels.json", ("A", "a", "Cow")).truths[1]]

    assert labels == [1, 0]


def test_equal_names_in_the_models_order_are_matched_by_it(folder):
    data = coco([annotation(category_id=1), annotation(category_id=17)], ((1, "x"), (17, "x"), (90, "cow")))
    write(folder / "labels.json", json.dumps(data))

    assert [truth.label for truth in read_labelled(folder / "labels.json", ("x", "x", "cow")).truths[1]] == [0, 1]


def test_two_classes_that_count_as_one_are_told(folder, ear):
    data = coco([annotation(category_id=1), annotation(category_id=17)], ((1, "dog"), (17, "Dog"), (90, "cow")))
    write(folder / "labels.json", json.dumps(data))

    read_labelled(folder / "labels.json", ("dog", "cat", "cow"))

    ((message, _),) = [each for each in ear.warnings if "both count as class 0" in each[0]]
    assert "the classes 1, 'dog', and 17, 'Dog'" in message


def test_a_picture_under_two_ids_is_refused(folder):
    data = coco([annotation()])
    data["images"][1]["file_name"] = data["images"][0]["file_name"]
    write(folder / "labels.json", json.dumps(data))

    with pytest.raises(LabelError, match=r"has .*a\.png twice, as the images 7 and 3"):
        read_labelled(folder / "labels.json", ("cat", "dog", "cow"))


def test_an_annotation_that_repeats_another_counts_once(folder, ear):
    write(folder / "labels.json", json.dumps(coco([annotation(), annotation(), annotation(area=1.0)])))

    assert len(read_labelled(folder / "labels.json", ("cat", "dog", "cow")).truths[1]) == 2
    assert any("1 annotation of" in message and "each object counts once" in message for message, _ in ear.warnings)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_label_file_that_is_none_is_named(folder, kind):
    (folder / "labels" / "a.txt").unlink()
    {"folder": Path.mkdir, "pipe": os.mkfifo}[kind](folder / "labels" / "a.txt")

    with pytest.raises(LabelError, match=r"cannot read .*a\.txt"):
        read_labelled(folder)


def test_a_label_file_whose_suffix_is_in_capitals_is_told(folder, ear):
    (folder / "labels" / "a.txt").rename(folder / "labels" / "a.TXT")

    read_labelled(folder)

    assert any("1 label file has no picture" in message and "a.TXT first" in message for message, _ in ear.warnings)


@pytest.mark.parametrize("change", [{"area": None, "iscrowd": None}, {"area": 0, "iscrowd": False}])
def test_a_coco_json_need_tell_neither_area_nor_crowd(folder, change):
    write(folder / "labels.json", json.dumps(coco([annotation(**change)])))

    assert read_labelled(folder / "labels.json", classes=3).truths[1] == (Truth(1, (4.0, 5.0, 10.0, 12.0)),)


def test_pictures_of_another_size_than_a_coco_json_tells_are_a_warning(folder, ear):
    """Boxes in pixels lie elsewhere on pictures that were resized after they were labelled."""
    data = coco([annotation()])
    data["images"][0] |= {"width": 40, "height": 20}
    write(folder / "labels.json", json.dumps(data))
    read_labelled(folder / "labels.json")
    assert not ear.warnings

    data["images"][1] |= {"width": 80, "height": 40}
    write(folder / "labels.json", json.dumps(data))
    read_labelled(folder / "labels.json")

    ((message, _),) = ear.warnings
    assert message.startswith("1 of 2 pictures have another size than ")
    assert message.endswith("labels.json tells, b.png first: 40x20, not 80x40")


def test_category_ids_become_indices_by_order_where_the_model_tells_no_names(folder):
    write(folder / "labels.json", json.dumps(coco([annotation(), annotation(category_id=90)])))

    labelled = read_labelled(folder / "labels.json", classes=3)

    assert [truth.label for truth in labelled.truths[1]] == [1, 2]
    assert labelled.names == ("cat", "dog", "cow")


def test_a_category_that_nothing_belongs_to_may_be_unknown_to_the_model(folder):
    """Roboflow adds one with the name of the project."""
    categories = ((0, "my-project"), (1, "cat"), (17, "dog"))
    write(folder / "labels.json", json.dumps(coco([annotation()], categories)))

    assert read_labelled(folder / "labels.json", ("cat", "cow", "dog", "pig")).truths[1][0].label == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 5}, "image_id 5 is not among the 2 images"),
        ({"category_id": 2}, "category_id 2 is not among the 3 categories"),
        ({"bbox": [1, 2, 3]}, "bbox [1, 2, 3] is not x, y, width, height in pixels"),
        ({"bbox": [1, 2, -3, 4]}, "bbox [1, 2, -3, 4] is not x, y, width, height in pixels"),
        ({"bbox": [1, 2, None, 4]}, "bbox [1, 2, None, 4] is not x, y, width, height in pixels"),
        ({"bbox": [float("nan"), 2, 3, 4]}, "bbox [nan, 2, 3, 4] is not x, y, width, height in pixels"),
        ({"bbox": [1, 2, 10**400, 4]}, f"bbox [1, 2, {10**400}, 4] is not x, y, width, height in pixels"),
        ({"image_id": [3]}, "image_id [3] is no whole number"),
        ({"category_id": "1"}, "category_id '1' is no whole number"),
        ({"area": "abc"}, "area 'abc' is not a number of pixels, 0 or more"),
        ({"area": [1]}, "area [1] is not a number of pixels, 0 or more"),
        ({"area": -5}, "area -5 is not a number of pixels, 0 or more"),
        ({"area": float("nan")}, "area nan is not a number of pixels, 0 or more"),
        ({"iscrowd": "0"}, "iscrowd '0' is not 0 or 1"),
        ({"iscrowd": [1]}, "iscrowd [1] is not 0 or 1"),
    ],
)
def test_a_wrong_annotation_is_named_by_its_place(folder, change, reason):
    write(folder / "labels.json", json.dumps(coco([annotation(), annotation(**change)])))

    with pytest.raises(LabelError) as error:
        read_labelled(folder / "labels.json")

    assert error.value.message == f"{folder / 'labels.json'}: annotations[1]: {reason}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot read .*labels.json"),
        ("[]", "is no COCO instances JSON: 'images' must be a list of objects with file_name and id"),
        ('{"images": [{"id": 1}]}', "'images' must be a list of objects with file_name and id"),
        ('{"images": [], "annotations": 5, "categories": []}', "'annotations' must be a list of objects$"),
        ('{"images": [], "annotations": [], "categories": [{"id": "x", "name": "cat"}]}', "'categories' must"),
        (json.dumps(coco([], categories=[(1, "cat"), (1, "dog")])), "has 2 categories with the id 1$"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}', "names no pictures"),
        ('{"images": [{"id": "1", "file_name": "a.png"}]}', "with file_name and id, an id being a whole number"),
        (json.dumps(coco([])), "labels nothing: no object is labelled on 2 pictures"),
    ],
)
def test_what_is_no_coco_json_is_told(folder, text, reason):
    write(folder / "labels.json", text)

    with pytest.raises(LabelError, match=reason):
        read_labelled(folder / "labels.json")


def test_pictures_that_a_coco_json_names_must_be_there(folder):
    (folder / "images" / "b.png").unlink()
    write(folder / "labels.json", json.dumps(coco([annotation()])))

    with pytest.raises(LabelError, match=r"1 of 2 pictures of .* are not there: b\.png is in none of"):
        read_labelled(folder / "labels.json")


def test_the_real_labels(val):
    labelled = read_labelled(val, classes=80)

    assert len(labelled.pictures) == 128
    assert sum(map(len, labelled.truths)) == sum(
        len(path.read_text().split()) // 5 for path in (val / "labels").iterdir()
    )


def test_label_files_alone_are_joined_with_pictures_from_elsewhere(folder, tmp_path, ear):
    """YOLO's labels in one folder, pictures in another; a label file without a picture is told."""
    write(folder / "labels" / "gone.txt", "0 0.5 0.5 0.1 0.1\n")
    pictures = (folder / "images").rename(tmp_path / "elsewhere")

    for source in (folder, folder / "labels"):
        labelled = read_labelled(source, ("cat", "dog", "cow"), images=pictures)

        assert [path.parent for path in labelled.pictures] == [pictures] * 3
        assert [[truth.label for truth in truths] for truths in labelled.truths] == [[0, 2], [1], []]
    assert [message for message, _ in ear.warnings] == [
        "1 label file has no picture, " + str(folder / "labels/gone.txt first")
    ] * 2


def test_a_list_names_its_pictures_so_that_others_are_refused(folder):
    write(folder / "list.txt", "images/a.png\n")
    write(folder / "data.yaml", "val: list.txt\nnames: [cat, dog, cow]\n")

    for source in ("list.txt", "data.yaml"):
        with pytest.raises(LabelError, match=rf"{source} names its pictures, and --images .*images others"):
            read_labelled(folder / source, images=folder / "images")


def test_pictures_of_other_labels_are_named_with_the_labels(folder, tmp_path):
    draw(tmp_path / "others" / "z.png")

    with pytest.raises(LabelError, match=r"none of the 1 pictures of .*others has a label file") as error:
        read_labelled(folder / "labels", images=tmp_path / "others")

    assert error.value.fix.startswith("name the pictures of these labels with --images")


def test_label_files_in_folders_are_those_of_the_pictures_in_the_same_folders(folder, tmp_path):
    pictures = tmp_path / "elsewhere"
    for number, place in enumerate(("x", "y")):
        draw(pictures / place / "1.png")
        write(folder / "labels" / place / "1.txt", f"{number} 0.5 0.5 0.1 0.1\n")

    labelled = read_labelled(folder / "labels", images=pictures)

    assert [[truth.label for truth in truths] for truths in labelled.truths] == [[0], [1]]


def test_labels_that_would_be_those_of_two_pictures_are_refused(folder, tmp_path):
    pictures = tmp_path / "elsewhere"
    for place in ("x", "y"):
        draw(pictures / place / "a.png")

    with pytest.raises(LabelError, match=r"a\.txt would be the labels of .*x/a\.png and of .*y/a\.png"):
        read_labelled(folder / "labels", images=pictures)


def test_a_labelled_picture_that_is_there_twice_is_told(folder, ear):
    (folder / "images" / "d.png").write_bytes((folder / "images" / "a.png").read_bytes())

    read_labelled(folder)

    (told,) = [message for message, _ in ear.warnings if "repeat another" in message]
    assert told.startswith("1 of the 4 labelled pictures of ")
    assert told.endswith("repeat another one's bytes, as d.png does a.png")


def test_labels_of_a_list_whose_pictures_are_not_there_are_not_what_is_missing(tmp_path):
    write(tmp_path / "list.txt", "images\\1.jpg\nimages\\2.jpg\n")

    with pytest.raises(PictureError, match=r"none of the 2 pictures of .* is there") as error:
        read_labelled(tmp_path / "list.txt")

    assert "correct the paths" in error.value.fix


@pytest.mark.parametrize(
    ("box", "lost"),
    [
        ([4, 5, 10, 12], False),
        ([35, 5, 10, 12], False),  # half of it is inside
        ([36, 5, 10, 12], True),
        ([-100, 5, 10, 12], True),
        ([0.2, 0.3, 0.5, 0.5], True),  # shares, not pixels
        ([4, 5, 0, 12], True),
    ],
)
def test_boxes_that_are_not_in_their_pictures_are_told(folder, ear, box, lost):
    write(folder / "labels.json", json.dumps(coco([annotation(bbox=box)])))

    read_labelled(folder / "labels.json")

    assert ["lie outside of their pictures" in message for message, _ in ear.warnings] == [True] * lost


def test_a_coco_json_finds_its_pictures_where_the_user_says(folder, tmp_path):
    pictures = (folder / "images").rename(tmp_path / "elsewhere")
    data = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    (folder / "labels.json").write_text(json.dumps(data))

    assert read_labelled(folder / "labels.json", images=pictures).pictures == (pictures / "a.png",)
    with pytest.raises(LabelError, match=r"a\.png is in none of") as error:
        read_labelled(folder / "labels.json")
    assert "polyyolo verify also takes their folder as --images" in error.value.fix
    with pytest.raises(LabelError, match=r"typo is no folder, where the pictures of .*labels\.json should be"):
        read_labelled(folder / "labels.json", images=tmp_path / "typo")
