"""One module text from the figures' files: it is what the files say, and what it can't bundle it names."""

import importlib
import re
from pathlib import Path

import pytest

from course_lib.widgets.kit.bundle import FOLDER, bundle, link

module = importlib.import_module("course_lib.widgets.kit.bundle")

IMPORT = re.compile(r'^import (?:\{([^}]*)\}|\* as \w+) from "(\.{1,2}/[^"]+)";$', re.M)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """`write(name=text, …)` writes JavaScript files (`a__b` is a/b.js) and returns the bundle of entry.js."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)

    def files(**texts: str) -> str:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.js"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return link(tmp_path / "entry.js")

    return files


@pytest.fixture
def run(browser):
    """`run(text)` imports a module in the browser and returns what its default export returns."""
    page = browser.new_page()
    load = "text => import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })))"
    yield lambda text, then="m => m.default()": page.evaluate(f"text => ({load})(text).then({then})", text)
    page.close()


def test_every_form_of_import_and_export(write, run):
    text = write(
        entry='import { a, b as c } from "./one.js";\nimport * as two from "./two.js";\nexport default () => [a(), c, new two.K().x, two.short, two.f().next().value];\n',
        one='import { b as inner } from "./deep/three.js";\nexport async function later() {}\nexport function a() { return inner; }\nexport const b = 2;\n',
        two="export class K { x = 3; }\nexport function* f() { yield 5; }\nconst long = 4;\nexport { long as short };\n",
        deep__three='import { b as up } from "./../two_more.js";\nexport const b = "deep " + up;\n',
        two_more="export const b = 'up';\n",
    )
    assert run(text) == ["deep up", 2, 3, 4, 5]


def test_an_import_may_take_several_lines(write, run):
    text = write(
        entry='import {\n  a,\n  b,\n} from "./one.js";\nexport default () => [a, b];\n',
        one="export const a = 1;\nexport const b = 2;\n",
    )
    assert run(text) == [1, 2]


def test_equal_private_names_do_not_meet(write, run):
    text = write(
        entry='import { one } from "./one.js";\nimport { two } from "./two.js";\nimport { name } from "./sub/one.js";\nconst secret = 3;\nexport default () => [one(), two(), secret, name];\n',
        one="const secret = 1;\nfunction get() { return secret; }\nexport function one() { return get(); }\n",
        two="const secret = 2;\nfunction get() { return secret; }\nexport function two() { return get(); }\n",
        sub__one="export const name = 'one, but in a folder';\n",
    )
    assert run(text) == [1, 2, 3, "one, but in a folder"]


def test_a_file_that_two_others_import_runs_once(write, run):
    text = write(
        entry='import { a } from "./a.js";\nimport { b } from "./b.js";\nexport default () => a === b;\n',
        a='import { shared } from "./shared.js";\nexport const a = shared;\n',
        b='import { shared } from "./shared.js";\nexport const b = shared;\n',
        shared="export const shared = {};\n",
    )
    assert text.count("const shared = {}") == 1
    assert run(text) is True


@pytest.mark.parametrize(
    "entry",
    [
        'import a from "./a.js";\nexport default a;',
        "import { a } from './a.js';\nexport default a;",
        'import { a } from "d3";\nexport default a;',
    ],
    ids=["default", "single quotes", "a package"],
)
def test_an_import_of_another_form_is_named(write, entry):
    with pytest.raises(
        ValueError,
        match=r'^entry.js has an import that the bundle does not understand. Write `import { name } from "./file.js";` on one line.$',
    ):
        write(entry=entry, a="export const a = 1;\n")


@pytest.mark.parametrize("export", ["export default 1;", "export let a = 1;", 'export * from "./b.js";'])
def test_an_export_of_another_form_is_named(write, export):
    with pytest.raises(
        ValueError,
        match=r"^a.js has an export that the bundle does not understand\. Write `export function name` or `export const name`\.$",
    ):
        write(entry='import { a } from "./a.js";\nexport default a;', a=f"{export}\n", b="export const a = 1;\n")


def test_a_circle_is_named(write):
    with pytest.raises(ValueError, match="^a.js imports itself, by way of entry.js and a.js and b.js.$"):
        write(
            entry='import { a } from "./a.js";\nexport default a;',
            a='import { b } from "./b.js";\nexport const a = b;\n',
            b='import { a } from "./a.js";\nexport const b = a;\n',
        )


def test_a_missing_file_is_named(write):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.js"):
        write(entry='import { a } from "./nowhere.js";\nexport default a;')


def test_an_entry_without_a_default_export_is_named(write):
    with pytest.raises(ValueError, match="^entry.js is the entry and has no `export default`.$"):
        write(entry="export const a = 1;\n")


def test_the_figures_are_one_module_that_exports_its_default_alone(run):
    assert run(bundle(), "m => [Object.keys(m), Object.keys(m.default)]") == [["default"], ["render"]]
    assert not IMPORT.search(bundle())


def test_what_is_imported_is_exported():
    """A bundle binds a name that does not exist to `undefined`; a browser would refuse it."""
    for file in FOLDER.rglob("*.js"):
        for names, path in IMPORT.findall(file.read_text()):
            for name in filter(None, (pair.split(" as ")[0].strip() for pair in names.split(","))):
                assert name in exported(file.parent / path), f"{file.name} imports {name} from {path}"


def exported(path: Path) -> set[str]:
    text = path.read_text()
    listed = re.search(r"export\s*\{([^}]*)\};?\s*$", text)
    names = re.findall(r"^export (?:async )?(?:function\*?|const|class) (\w+)", text, re.M)
    return {pair.split(" as ")[-1].strip() for pair in listed[1].split(",")} if listed else set(names)


def test_the_vendored_d3_has_what_its_entry_lists():
    listed = re.findall(r"\{ ([^}]*) \}", (FOLDER / "kit" / "vendor" / "d3.entry.js").read_text())
    assert exported(FOLDER / "kit" / "vendor" / "d3.js") == {name for names in listed for name in names.split(", ")}
