"""The documentation site: `make site` builds it from the pages as they lie in the repository."""

import importlib.metadata

project = "Dragoman"
release = importlib.metadata.version("dragoman")
copyright = "the authors of Dragoman"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_llms_txt",
    "sphinxcontrib.mermaid",
]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "recipes/README.md",
    "recipes/*/README.md",
    "benchmarks/results/model_runtime_avx2.md",
    "benchmarks/results/model_runtime_cpu.md",
    "benchmarks/results/store.md",
    "benchmarks/results/busy.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "README.zh.md",
]
html_theme = "furo"
html_title = f"Dragoman {release}"
html_static_path: list[str] = []

myst_enable_extensions = ["colon_fence"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

default_role = "py:obj"  # single backticks in docstrings name an object where there is one
autodoc_member_order = "alphabetical"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_use_ivar = True
llms_txt_summary = "A language model anywhere in the RL loop of any Gymnasium environment."
