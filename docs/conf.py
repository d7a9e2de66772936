"""The documentation's build: `make docs`."""

import re
import sys
from inspect import isclass, ismodule
from operator import attrgetter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import nnkit  # noqa: E402
from nnkit.kernels.table import ACTIVATIONS, LOSSES  # noqa: E402

project = "nnkit"
author = "nnkit contributors"
release = nnkit.__version__
copyright = author

extensions = [
    "myst_nb",  # myst_parser, and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"nnkit {release}"
html_static_path, html_css_files = ["_static"], ["custom.css"]
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2a6fbb", "color-brand-content": "#2a6fbb"},
    "dark_css_variables": {"color-brand-primary": "#7fb4ea", "color-brand-content": "#7fb4ea"},
}
pygments_style, pygments_dark_style = "friendly", "native"

default_role = "py:obj"  # `name` in a docstring is a link where there is something of that name
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_type_aliases = {"Array": "Array"}
autodoc_typehints_format = "short"
napoleon_google_docstring = False
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nb_execution_mode, nb_execution_raise_on_error = "force", True  # they are kept without outputs
nb_execution_in_temp, nb_execution_timeout = True, 600
nb_merge_streams, nb_output_stderr = True, "remove"  # the bars, which have moved on

MODULES = {
    "Models": ("nnkit.layers.sequential", "nnkit.parameters", "nnkit.loading"),
    "Layers": ("nnkit.layers",),
    "Losses": ("nnkit.losses",),
    "Optimizers": ("nnkit.optimizers",),
    "Training": ("nnkit.training", "nnkit.progress", "nnkit.showing.warning"),
    "Callbacks": ("nnkit.callbacks",),
    "Checkpoints": ("nnkit.checkpoint",),
    "Checking gradients": ("nnkit.gradcheck",),
    "Backends": ("nnkit.backends",),
}
"""What the API reference shows of the public names, by the module that defines them."""

CODE = [
    "nnkit/layers/linear.py",
    "nnkit/layers/convolution.py",
    "nnkit/layers/pooling.py",
    "nnkit/layers/activations.py",
    "nnkit/layers/softmax.py",
    "nnkit/layers/dropout.py",
    "nnkit/layers/normalization.py",
    "nnkit/layers/base.py",
    "nnkit/losses.py",
    "nnkit/optimizers.py",
    "nnkit/initializers.py",
    "nnkit/schedules.py",
    "nnkit/augment.py",
    "nnkit/layers/chain.py",
    "nnkit/layers/sequential.py",
    "nnkit/layers/containers.py",
    "nnkit/models/lenet.py",
    "nnkit/models/simple_conv.py",
    "nnkit/models/deep_conv.py",
    "nnkit/models/vgg.py",
    "nnkit/models/resnet.py",
    "nnkit/parameters.py",
    "nnkit/training/steps.py",
    "nnkit/training/loop.py",
    "nnkit/training/trainer.py",
    "nnkit/gradcheck.py",
    "nnkit/checkpoint.py",
    "kernels/table.py",
    "nnkit/backends/contract.py",
    "nnkit/backends/numpy/activations.py",
    "nnkit/backends/numpy/windows.py",
    "nnkit/backends/numpy/convolution.py",
    "nnkit/backends/numpy/softmax_cross_entropy.py",
    "nnkit/backends/numpy/losses.py",
    "nnkit/backends/numpy/normalization.py",
    "nnkit/backends/numpy/pooling.py",
    "nnkit/backends/numpy/optimizers.py",
    "nnkit/plotting/filters.py",
    "nnkit/plotting/saliency.py",
    "nnkit/data/digits.py",
]
"""What the page "The code" shows, in the order in which it is good to read."""


def public_names():
    """Return (heading, [entry]) for all of `nnkit.__all__`: nothing public is left out."""
    groups = {heading: [] for heading in MODULES}
    others = []
    for name in nnkit.__all__:
        thing = attrgetter(name)(nnkit)
        module = getattr(thing, "__module__", name)
        home = [heading for heading, modules in MODULES.items() if module.startswith(modules)]
        (groups[home[0]] if home else others).append(entry(name, thing))
    return [*groups.items(), *([("More", others)] if others else [])]


def entry(name, thing):
    """Return an autodoc directive and its options."""
    if not isclass(thing):
        return {"name": name, "kind": "module" if ismodule(thing) else "function", "options": []}
    kind = "exception" if issubclass(thing, Exception) else "class"
    bases = thing.__mro__[1:-1]
    settings = [key for key, value in vars(thing).items() if not callable(value)]
    again = [key for key in settings if any(key in vars(base) for base in bases)]
    options = [":show-inheritance:"] if bases else []
    options += [f":exclude-members: {', '.join(again)}"] if again else []
    return {"name": name, "kind": kind, "options": options}


def fill_in(app, docname, source):
    """Fill in the pages that are made from the code."""
    if docname in {"api", "code", "examples"}:
        context = {
            "activations": ACTIVATIONS,
            "code": CODE,
            "losses": LOSSES,
            "examples": {
                path.stem: path.with_suffix(".png").exists()
                for path in sorted((ROOT / "docs" / "outputs").glob("*.txt"))
            },
            "public": public_names(),
        }
        source[0] = app.builder.templates.render_string(source[0], context)


def show_examples(app, context, lines):
    """Show a command's examples, which nnkit's commands keep beside the epilog."""
    examples = getattr(context.command, "examples", "").strip().splitlines()
    if examples:
        lines += [
            "",
            ".. rubric:: Examples",
            "",
            ".. code-block:: text",
            "",
            *(f"    {line}" for line in examples),
            "",
        ]


def set_options_in_code(app, context, lines):
    """Set --options that help texts mention in code: as text, their hyphens become a dash."""
    for i, line in enumerate(lines):
        if not line.startswith(".. option::"):
            lines[i] = re.sub(r"(?<![\w`-])--[a-z-]+", r"``\g<0>``", line)


def end_parameters(app, what, name, obj, options, lines):
    """End a list of parameters where prose goes on at the margin: to Napoleon it would be one."""
    listing = False
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if re.fullmatch("-{3,}", line):
            listing = lines[i - 1] in {"Parameters", "Attributes"}
        elif listing and re.match(r"\S", line) and not re.match(" |-{3,}", following):
            lines[i:i] = ["Notes", "-----"]
            return


def hide_private_bases(app, name, obj, options, bases):
    """Say what a class is derived from in public."""
    for i in range(len(bases)):
        while bases[i].__name__.startswith("_"):
            bases[i] = bases[i].__base__


def setup(app):
    """Connect the functions above."""
    app.connect("autodoc-process-docstring", end_parameters, priority=400)  # before Napoleon
    app.connect("source-read", fill_in)
    app.connect("sphinx-click-process-description", set_options_in_code)
    app.connect("sphinx-click-process-options", set_options_in_code)
    app.connect("autodoc-process-bases", hide_private_bases)
    app.connect("sphinx-click-process-epilog", show_examples)
