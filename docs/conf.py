"""How Sphinx makes the site: `sphinx-build -W -j auto docs build/site`."""

import sys
from pathlib import Path

import fastbp

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "fastbp"
author = "The fastbp developers"
copyright = author
version = release = fastbp.__version__
html_title = f"fastbp {release}"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx-mathjax-offline",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "reference",  # docs/extensions/reference.py: a page for each public module
    "bad_input",  # docs/extensions/bad_input.py: the tables of its page
    "pictures",  # docs/extensions/pictures.py: those of its page
    "links",  # docs/extensions/links.py: links to files that are no pages
    "chinese",  # docs/extensions/chinese.py: lines of Chinese
]
exclude_patterns = ["extensions", "tutorials", "gallery", "**/sg_execution_times.rst", "sg_execution_times.rst"]
repository = "https://github.com/fastbp/fastbp"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
templates_path = ["templates"]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
# A prompt is no part of what is copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_default_options = {"members": True, "inherited-members": False}
autodoc_typehints = "none"  # the docstrings have types, shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
intersphinx_mapping = {}

# Tutorials and examples are scripts; the build runs them and shows what they print and draw.
sphinx_gallery_conf = {
    "examples_dirs": ["tutorials/en", "tutorials/zh", "gallery"],
    "gallery_dirs": ["learn/en", "learn/zh", "examples"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
    "matplotlib_animations": False,
    "min_reported_time": 1,
    "parallel": False,
    "capture_repr": ("_repr_html_", "__repr__"),
    "image_scrapers": ("matplotlib",),
    "reference_url": {"fastbp": None},
}
suppress_warnings = ["config.cache"]


def setup(app):
    # It copies files and reads none.
    app.extensions["sphinx-mathjax-offline"].parallel_read_safe = True
