"""The page in a real browser: quiet, alone, legible, and usable by mouse, finger and keyboard."""

import base64
import itertools
import json
from pathlib import Path

import pytest
from attrs import evolve

from polyyolo.progress import Warned
from polyyolo.records import Layer, Precision, Shown

CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")
COPIED = "document.querySelector('.heard').textContent === 'Copied'"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}</style>&amp;$x$"


def at(slider):
    """Where a slider's divider is, in percent."""
    return float(slider.evaluate("element => element.style.getPropertyValue('--at')").rstrip("%"))


def test_the_page_says_nothing_on_the_console_and_asks_nobody(opened):
    page = opened()

    assert page.noise == []
    assert page.asked == [page.url]


def test_the_first_screen_holds_the_answer_every_check_and_the_first_step(opened):
    page = opened()

    def bottom(selector):
        return max(box.bounding_box()["y"] + box.bounding_box()["height"] for box in page.locator(selector).all())

    assert page.locator("h1").inner_text().endswith("Not yet: nothing failed, but 2 of 5 checks are not proven.")
    assert page.locator(".checks li").count() == 5
    assert bottom(".checks li") <= 800
    assert bottom(".steps li:first-child") <= 800


def test_on_a_phone_the_first_screen_holds_the_answer_and_what_to_do_next(opened):
    page = opened(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)

    lead = page.locator(".lead").bounding_box()

    assert "Next: " in page.locator(".lead").inner_text()
    assert lead["y"] + lead["height"] < 0.6 * 740


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_makes_the_page_scroll_sideways(opened, full, width):
    long = evolve(full, source=evolve(full.source, path=Path("a" * 200 + ".onnx")), warnings=(Warned("b" * 300),))
    page = opened(long, viewport={"width": width, "height": 740})
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")

    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(opened, scheme):
    page = opened(color_scheme=scheme)
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")

    ratios = page.evaluate(CONTRAST)

    assert len(ratios) > 150
    assert [each for each in ratios if each["ratio"] < 4.5] == []


def test_light_and_dark_are_different(opened):
    papers = {
        opened(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }

    assert papers == {"rgb(255, 255, 255)", "rgb(16, 20, 24)"}


def test_a_slider_follows_the_mouse(opened):
    page = opened()
    slider = page.locator(".slider").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert at(slider) == 50

    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 30, steps=4)

    assert at(slider) == pytest.approx(80, abs=0.5)
    clip = slider.locator("img.right").evaluate("image => getComputedStyle(image).clipPath")
    assert float(clip.split()[-1].rstrip("%)")) == pytest.approx(80, abs=0.5)
    page.mouse.up()
    page.mouse.move(box["x"] + 10, box["y"] + 30)
    assert at(slider) == pytest.approx(80, abs=0.5)


def test_a_slider_shows_fp32_on_the_left_of_the_divider_and_int8_on_the_right(opened):
    """The first pair of pictures is red for FP32 and blue for INT8."""
    page = opened()
    slider = page.locator(".slider").first
    slider.scroll_into_view_if_needed()

    colours = page.evaluate(
        """async ([png, places]) => {
            const image = new Image();
            image.src = `data:image/png;base64,${png}`;
            await image.decode();
            const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            return places.map((x) => [...context.getImageData(x * image.width, 0.8 * image.height, 1, 1).data]);
        }""",
        [base64.b64encode(slider.screenshot()).decode(), [0.2, 0.8]],
    )

    (left_red, _, left_blue, _), (right_red, _, right_blue, _) = colours
    assert min(left_red, right_blue) > 150
    assert max(left_blue, right_red) < 60


def test_a_slider_moves_by_keyboard_and_tells_where_it_is(opened):
    page = opened()
    slider = page.locator(".slider").first
    handle = page.get_by_role("slider", name="Divider between FP32 and INT8 on street.jpg")

    handle.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert at(slider) == 60
    assert handle.get_attribute("aria-valuetext") == "60% FP32, 40% INT8"
    page.keyboard.press("Home")
    assert at(slider) == 0
    page.keyboard.press("End")
    assert at(slider) == 100
    page.keyboard.press("ArrowLeft")
    assert at(slider) == 98


def test_a_slider_follows_a_finger(opened):
    page = opened(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    slider = page.locator(".slider").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()

    page.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])

    assert at(slider) == pytest.approx(25, abs=1)


def test_copy_takes_the_whole_command_and_says_so(opened):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    command = page.locator(".command").first

    command.locator("button").click()

    page.wait_for_function(COPIED)
    assert command.locator("button").inner_text() == "Copied"
    assert page.evaluate("navigator.clipboard.readText()") == command.locator("code").inner_text()


def test_copy_works_where_the_clipboard_is_refused(opened):
    page = opened()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")

    page.locator(".copy").first.click()

    page.wait_for_function(COPIED)
    assert page.locator("textarea").count() == 0


def test_headings_go_down_one_level_at_a_time_and_landmarks_are_there(opened):
    page = opened()

    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((each) => +each.tagName[1])")

    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.evaluate("document.documentElement.lang") == "en"


def test_every_picture_has_words_and_every_table_cell_its_head(opened):
    page = opened()

    assert page.locator("img").count() == 5
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("tbody tr:not(:has(th[scope=row]))").count() == 0
    assert page.locator("svg:not([role=img][aria-label])").count() == 0
    assert page.locator("button:not([aria-label])").count() == 0


def test_every_anchor_leads_somewhere_and_no_id_is_there_twice(opened):
    page = opened()

    assert page.evaluate("[...document.links].filter((each) => !document.querySelector(each.hash))") == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(opened):
    page = opened()
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => {
            const each = document.activeElement;
            const shown = each.type === "range" ? each.parentElement : each;
            return [each.tagName, each.className, getComputedStyle(shown).outlineStyle];
        }""")
        if here[0] == "BODY":
            break
        seen.append(here)

    assert seen[0][1] == "skip"
    assert {tag for tag, _, _ in seen} >= {"A", "BUTTON", "INPUT", "SUMMARY", "PRE"}
    assert [each for each in seen if each[2] == "none"] == []


def test_in_print_every_detail_is_open_and_both_pictures_are_whole(opened):
    page = opened()
    page.emulate_media(media="print")

    page.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert page.locator("details:not([open])").count() == 0
    right = page.locator(".slider img.right").first
    assert right.evaluate("image => getComputedStyle(image).clipPath") == "none"
    left = page.locator(".slider img.left").first.bounding_box()
    assert right.bounding_box()["x"] >= left["x"] + left["width"]
    assert page.locator(".copy:visible").count() == 0
    assert page.pdf()[:5] == b"%PDF-"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_without_scripts_both_pictures_are_beside_each_other(opened):
    page = opened(java_script_enabled=False)

    left, right = (page.locator(f".slider img.{side}").first.bounding_box() for side in ("left", "right"))

    assert right["x"] >= left["x"] + left["width"]
    assert page.locator(".copy:visible").count() == 0


def test_names_that_are_html_stay_text(opened, full):
    """Class, model, layer and file names come from files that others made."""
    accuracy = evolve(full.fidelity.reference, per_class={HOSTILE: 0.5}, per_size={HOSTILE: 0.5})
    shown = Shown("pictures/01-street.jpg", HOSTILE, 1, 1, 1, 0.0)
    run = evolve(
        full,
        source=evolve(full.source, path=Path(HOSTILE.replace("/", "|")), head=evolve(full.source.head, why=HOSTILE)),
        fidelity=evolve(full.fidelity, reference=accuracy, candidate=accuracy, shown=(shown,)),
        layers=(Layer(HOSTILE, HOSTILE, Precision.FP16, 5, HOSTILE),),
        sensitivities=tuple(evolve(each, tensor=HOSTILE) for each in full.sensitivities),
        engine_layers=tuple(evolve(each, name=HOSTILE, kind=HOSTILE, precision=HOSTILE) for each in full.engine_layers),
        benchmarks=tuple(evolve(each, gpu=HOSTILE, command=(HOSTILE,)) for each in full.benchmarks),
        warnings=(Warned(HOSTILE, HOSTILE),),
        licence=HOSTILE,
        seconds={HOSTILE: 1.0},
    )

    page = opened(run, manifest={"model": HOSTILE})

    assert page.noise == []
    assert page.asked == [page.url]
    assert page.locator("script").count() == 1
    assert page.locator("img").count() == 5
    assert page.locator("#warnings p").first.inner_text() == HOSTILE
    assert page.locator(".bars tbody th").first.inner_text() == HOSTILE
    assert json.loads(page.locator(".manifest").text_content()) == {"model": HOSTILE}
