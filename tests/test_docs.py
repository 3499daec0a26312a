"""The documentation: its code runs and prints what it says, and its links lead somewhere."""

import contextlib
import doctest
import importlib
import inspect
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import kernel_names
import numpy as np
import pytest

import fastbp
from fastbp.command import cli

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # at the end: the fastbp under test stays the one it is

from bench import samples  # noqa: E402

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: What the site's build makes of tutorials, examples and docstrings.
BUILT = {("docs", name) for name in ("learn", "examples", "pictures", "reference")}
#: How the README names the project's own files.
IN_REPOSITORY = re.compile(
    r"https://(github\.com/fastbp/fastbp/(blob|tree)|raw\.githubusercontent\.com/fastbp/fastbp)/main/"
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(page):
    """(language, text) of each fenced block."""
    return FENCED.findall(page.read_text(encoding="utf-8"))


def page_id(page):
    return page.relative_to(ROOT).as_posix()


def run_examples(text, names, page):
    """Run a block of >>> examples in the namespace `names`."""
    test = doctest.DocTestParser().get_doctest(text, names, page, page, 0)
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    assert not runner.run(test, out=report.write, clear_globs=False).failed, report.getvalue()
    names.update(test.globs)


@pytest.mark.parametrize("page", [p for p in PAGES if any(kind == "python" for kind, _ in blocks(p))], ids=page_id)
def test_python_blocks_run_and_print_what_the_page_says(page, monkeypatch, tmp_path):
    """The blocks of a page share their names; a text block is what the block above it prints."""
    if "safetensors" in page.read_text(encoding="utf-8"):
        pytest.importorskip("safetensors")
    for optional in ("onnxruntime", "skl2onnx"):
        if f"import {optional}" in page.read_text(encoding="utf-8"):
            pytest.importorskip(optional)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    printed = None
    for kind, text in blocks(page):
        if kind == "python" and ">>>" in text:
            run_examples(text, names, page_id(page))
        elif kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(text, page_id(page), "exec"), names)
            printed = output.getvalue()
            continue
        elif kind == "console" and page not in samples.PAGES:  # about files that the blocks above wrote
            output = io.StringIO()
            (command, was), *_ = samples.BLOCK.findall(f"```{kind}\n{text}```\n")
            with contextlib.redirect_stdout(output):
                assert cli.main(shlex.split(command)) == 0, command
            assert samples.alike(was, now := samples.shown(output.getvalue())), now
        elif kind == "text" and printed is not None:
            assert printed == text
        printed = None


def test_readme_and_docs_have_python_blocks():
    assert {"README.md", "docs/the-book.md", "docs/kernels.md", "docs/data.md", "docs/tables.md"} <= {
        page_id(p) for p in PAGES if any(kind == "python" for kind, _ in blocks(p))
    }


@pytest.mark.parametrize("page", samples.PAGES, ids=page_id)
def test_samples_of_the_command_have_the_digits_of_a_run(page):
    """`python -m bench.samples --write` writes them."""
    if samples.BLOCK.search(page.read_text("utf-8")):
        pytest.importorskip("safetensors")
    assert samples.stale(page) == []


def test_a_stale_sample_is_noticed_and_written_anew(tmp_path, capsys):
    pytest.importorskip("safetensors")
    page = tmp_path / "page.md"
    command = "train iris --epochs 3 --hidden 4"
    text = f"# Page\n\n```console\n$ fastbp {command}\n{samples.printed(command)}```\n"
    assert re.search(r"^epoch 1/3 .*\n\.\.\.\nepoch 3/3 ", text, re.M)
    for changed in (
        re.sub(r"loss (\d)\.", lambda m: f"loss {int(m[1]) + 1}.", text, count=1),
        re.sub(r"(test accuracy   0\.)(\d)", lambda m: m[1] + str((int(m[2]) + 3) % 10), text),
        text.replace("150 training", "151 training").replace("120 training", "121 training"),
        text.replace("gradient check", "gradients"),
    ):
        assert changed != text
        page.write_text(changed)
        assert len(samples.stale(page)) == 1
        samples.write(page)
        assert page.read_text() == text and samples.stale(page) == []


def test_every_sample_is_that_of_a_run():
    """A text block stands below the code that prints it, and a console block has a command."""
    for page in PAGES:
        kinds = [kind for kind, _ in blocks(page)]
        for before, kind in zip(["", *kinds], kinds, strict=False):
            assert kind != "text" or before == "python", page_id(page)
        assert kinds.count("console") == len(samples.BLOCK.findall(page.read_text("utf-8")))


def test_first_code_block_of_the_readme_is_the_two_lines():
    assert blocks(README)[0][1].splitlines() == [
        "pip install '.[all]' && fastbp train",
        "pip install '.[test]' && pytest",
    ]


def anchors(page):
    """The names under which GitHub makes a page's headings available."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_internal_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if page == README:  # which stands on the index's page, too, where no file lies beside it
            assert "://" in target, target
            target = IN_REPOSITORY.sub("", target)
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if file.resolve().relative_to(ROOT).parts[:2] in BUILT:
            continue  # Sphinx looks at these
        assert file.exists(), f"{target} of {page_id(page)}"
        assert not anchor or anchor in anchors(file), f"{target} of {page_id(page)}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_named_in_the_text_exist(page):
    named = re.findall(r"\b((?:docs|examples|tests|bench)/\w+\.\w+)", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_numbers_of_the_speed_section_stand_between_the_markers():
    section = re.search(r"^## Speed$(.*?)(?=^## |\Z)", README.read_text("utf-8"), re.M | re.S)[1]
    typed, markers = re.subn(r"<!-- grid:begin -->.*?<!-- grid:end -->", "", section, flags=re.S)
    assert markers == 1
    assert re.findall(r"\d+", typed) == []


def test_cython_block_of_the_kernels_page_builds(monkeypatch, tmp_path):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    (text,) = [text for kind, text in blocks(ROOT / "docs/kernels.md") if kind == "cython"]
    (tmp_path / "hidden.pyx").write_text(text)
    monkeypatch.setenv("CFLAGS", "-O0")  # quick to build
    # Cython looks for .pxd files along sys.path, where an editable install is not.
    monkeypatch.setenv("PYTHONPATH", str(Path(fastbp.__file__).parents[1]))
    build = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-3", "hidden.pyx"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    call = (
        "import numpy as np, hidden; out = np.empty((2, 2)); "
        "hidden.hidden_layer(np.ones((2, 3)), np.outer(np.ones(3), [1.0, -1.0]), np.ones(2), out); "
        "print(out.tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", call], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ran.stdout == f"{np.array([[4.0, 0.0]] * 2).tolist()}\n"


def test_the_page_of_kernels_lists_the_activations():
    page = kernel_names.PAGE.read_text()
    assert page == kernel_names.written(page), "python tests/kernel_names.py writes it"


def test_every_public_name_has_its_place_in_the_reference(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(ROOT / "docs/extensions")
    reference = importlib.import_module("reference")
    where = reference.homes()
    for module in reference.MODULES:
        home, page = importlib.import_module(module), reference.page(module, where)
        exported = home.EXPORTED if module == "fastbp.autograd" else getattr(home, "__all__", ())
        for name in exported:
            thing = getattr(home, name)
            if not inspect.ismodule(thing):
                assert re.search(rf"``{name}``|:: {module}\.{name}$", page, re.M), f"{module}.{name}"
    # ... and each public module that a user imports has a page
    public = {f"fastbp.{name}" for name in fastbp.__all__ if inspect.ismodule(getattr(fastbp, name))}
    assert public - {"fastbp.backend", "fastbp.network", "fastbp.training", "fastbp.utils"} <= set(reference.MODULES)


def test_one_version():
    version = re.escape(fastbp.__version__)
    for file, line in {
        "CITATION.cff": f"version: {version}",
        "packaging/conda/recipe.yaml": f'  version: "{version}"',
    }.items():
        assert re.search(f"^{line}$", (ROOT / file).read_text("utf-8"), re.M), file


def test_lines_of_chinese_are_joined_without_a_space(monkeypatch):
    nodes = pytest.importorskip("docutils.nodes")
    core = importlib.import_module("docutils.core")
    monkeypatch.syspath_prepend(ROOT / "docs/extensions")
    document = core.publish_doctree("第一行，\n第二行\nthird\nfourth *强\n调*\n\n::\n\n  甲\n  乙\n")
    first = next(iter(document.findall(nodes.paragraph)))
    first.insert(1, [nodes.Text("甲"), nodes.Text("\n"), nodes.Text("乙")])  # as Markdown has it
    importlib.import_module("chinese").join_lines(None, document)
    assert [each.astext() for each in document] == ["第一行，第二行\nthird\nfourth 甲乙强调", "甲\n乙"]
