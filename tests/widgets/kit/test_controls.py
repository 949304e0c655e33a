"""Sliders: what they are called, what they span, and that every place of one is a value that leads back to it."""

import dataclasses

import pytest

from course_lib.formulas import momentum, quadratic, rosenbrock
from course_lib.formulas.signature import Range, signature
from course_lib.widgets.kit.bundle import FOLDER
from course_lib.widgets.kit.controls import control, label, own_control, symbol


@pytest.mark.parametrize(
    ("name", "letter", "words"),
    [
        ("lr", "η", "learning rate"),
        ("beta1", "β₁", "decay of m"),
        ("beta", "β", "β"),
        ("gamma10", "γ₁₀", "γ₁₀"),
        ("eps", "ε", "epsilon"),
        ("decay", "λ", "weight decay"),
        ("condition_number", "κ", "condition number"),
        ("patience", "patience", "patience"),
        ("warm_up2", "warm up2", "warm up2"),
    ],
)
def test_a_slider_has_a_symbol_and_a_name(name, letter, words):
    assert (symbol(name), label(name)) == (letter, words)


def test_a_slider_is_read_off_the_signature():
    made = control(signature(momentum), "momentum", 0.5)
    assert {key: made[key] for key in ("name", "symbol", "label", "initial")} == {
        "name": "momentum",
        "symbol": "m",
        "label": "momentum",
        "initial": 0.5,
    }
    assert {key: made["range"][key] for key in ("low", "high", "scale")} == {
        "low": 0.0,
        "high": 0.999,
        "scale": "decay",
    }


@pytest.mark.parametrize(
    ("rule", "name", "value", "low", "high", "scale"),
    [
        (momentum, "lr", 5.0, 1e-4, 5.0, "log"),
        (momentum, "lr", 1e-7, 1e-7, 1.0, "log"),
        (momentum, "lr", 0.0, 0.0, 1.0, "linear"),  # a log scale has no zero
        (momentum, "momentum", 0.9999, 0.0, 0.9999, "decay"),
        (quadratic, "condition_number", 5000.0, 1.0, 5000.0, "log"),
        (quadratic, "angle", -180.0, -180.0, 90.0, "linear"),
        (rosenbrock, "b", 0.0, 0.0, 1000.0, "linear"),
    ],
)
def test_a_value_outside_the_usual_range_widens_the_slider(rule, name, value, low, high, scale):
    owner = signature(rule, inputs=("w",) if rule is not momentum else ("w", "g", "t"))
    made = control(owner, name, value)["range"]
    assert (made["low"], made["high"], made["scale"]) == (low, high, scale)


RANGES = [
    Range(1e-4, 1.0, "log"),
    Range(1e-12, 1e-1, "log"),
    Range(1.0, 1000.0, "log"),
    Range(1e-3, 1e2, "log"),
    Range(0.0, 0.999, "decay"),
    Range(0.0, 0.99, "decay"),
    Range(0.5, 0.99999, "decay"),
    Range(0.0, 1.0),
    Range(-90.0, 90.0),
    Range(0.5, 1.5),
]


@pytest.fixture(scope="module")
def in_page(serve, browser):
    """`in_page(script, argument)` runs a script to which the module controls.js is `controls`, loaded as the browser loads it."""
    page = browser.new_page()
    page.goto(f"{serve(FOLDER)}/kit/kit.js")
    yield lambda script, argument: page.evaluate(
        f"async (argument) => {{ const controls = await import('/kit/controls.js'); {script} }}", argument
    )
    page.close()


@pytest.mark.parametrize("values", RANGES, ids=str)
def test_places_and_values_lead_to_each_other(in_page, values):
    pairs = in_page(
        "return Array.from({ length: 401 }, (_, k) => { const x = controls.valueAt(k / 400, argument); return [x, controls.placeOf(x, argument)]; });",
        finite(values),
    )
    numbers = [x for x, _ in pairs]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1]) == pytest.approx((values.low, values.high))
    digits = (
        0.022 if values.scale == "decay" else 0.006
    )  # of rounding: 1 - x has two digits, and 1.05 is written as 1.0 or 1.1
    for k, (_, place) in enumerate(pairs):
        assert place == pytest.approx(k / 400, abs=digits)


@pytest.mark.parametrize("values", RANGES, ids=str)
@pytest.mark.parametrize("way", [1, -1])
def test_arrow_keys_get_from_one_end_to_the_other(in_page, values, way):
    """Rounding a value may move the slider's place; it must not undo a step."""
    last = in_page(
        """
        let place = argument.way > 0 ? 0 : 400, x = controls.valueAt(place / 400, argument.range);
        for (let presses = 0; presses < 400; presses++) {
          place = Math.min(400, Math.max(0, place + argument.way));
          const next = controls.valueAt(place / 400, argument.range);
          if (next !== x) place = Math.round(controls.placeOf((x = next), argument.range) * 400);
        }
        return x;""",
        {"way": way, "range": finite(values)},
    )
    assert last == pytest.approx(values.high if way > 0 else values.low)


@pytest.mark.parametrize("values", RANGES, ids=str)
def test_a_value_outside_the_slider_stands_at_its_end(in_page, values):
    assert in_page(
        "return [argument.low - 1e9, argument.high + 1e9].map((x) => controls.placeOf(x, argument));", finite(values)
    ) == [0, 1]


COUNTED = [Range(1, 64, "log"), Range(1, 20), Range(1, 200)]  # fewer values than a slider has places


@pytest.mark.parametrize("values", COUNTED, ids=str)
def test_what_is_counted_is_whole_and_leaves_nothing_out(in_page, values):
    made = own_control("B", values, 8, label="batch size", whole=True)
    assert (made["symbol"], made["label"], made["initial"]) == ("B", "batch size", 8)
    script = "return Array.from({ length: 401 }, (_, k) => [k / 400, Math.round(400 * controls.placeOf(controls.valueAt(k / 400, argument), argument)) / 400].map((u) => controls.valueAt(u, argument)));"
    numbers = in_page(script, made["range"])
    assert {x for x, _ in numbers} == set(range(values.low, values.high + 1))
    assert [pair for pair in numbers if pair[0] != pair[1]] == []


def finite(values: Range) -> dict:
    return dataclasses.asdict(values) | {"at_least": None, "below": None}
