"""How Sphinx makes the site; `build.py` beside it says of what."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from docstrings import as_rst

import beluga_llm

project = "beluga-llm"
release = beluga_llm.__version__
html_title = f"beluga-llm {release}"
html_theme = "furo"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
show_copyright = False

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
add_module_names = False
default_role = "code"  # docstrings are Markdown: `name`

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"


def setup(app: object) -> None:
    """Docstrings are changed before napoleon reads them."""
    app.connect("autodoc-process-docstring", as_rst, priority=100)  # type: ignore[attr-defined] -- Sphinx
