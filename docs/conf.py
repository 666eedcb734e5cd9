"""How Sphinx makes a site of these pages: `make docs`."""

import linecache

from diijam_consent_sdk import UserConsent, __version__

project = "diijam-consent-sdk"
release = version = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_show_copyright = False

myst_enable_extensions = ["deflist"]  # the glossary
myst_heading_anchors = 3

default_role = "code"  # `name` in a docstring is code, as in Markdown
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
python_display_short_literal_types = True
python_maximum_signature_line_length = 100

# Show guards as plain methods: the descriptor that binds them does not matter to a caller.
for name, guard in list(vars(UserConsent).items()):
    if isinstance(guard, property) and callable(guard):
        setattr(UserConsent, name, guard.__wrapped__)

# Without attrs' generated source, Sphinx shows a default's value instead of attrs' internal name for it.
for generated in [file for file in linecache.cache if file.startswith("<attrs generated")]:
    del linecache.cache[generated]
