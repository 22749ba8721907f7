"""The pages of `docs/layers`, made from the docstrings of the layers and of what their weights are given.

    make docs

A page holds one family: what its modules say, then every class and function with the call that makes it and its
docstring, laid out as Markdown. The index has a table for each family, and the words that all layers share. Nothing is
written by hand, so that `help(jg.layers.LSTM)` and the pages cannot differ; `tests/scripts/test_document_layers.py`
compares the pages with the docstrings.
"""

import importlib
import inspect
import itertools
import re
import textwrap
import types
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jgraph as jg
from scripts.draw_activations import draw_activations

FOLDER = Path(__file__).parents[1] / "docs/layers"

WIDTH = 120
"""The longest line of a page."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "Dense and embedding": ("layers.dense", "layers.einsum_dense", "layers.embedding"),
    "Convolution": ("layers.convolution", "layers.convolution_transpose", "layers.separable"),
    "Pooling": ("layers.pooling",),
    "Recurrent": (
        "layers.recurrent",
        "layers.recurrent_cells",
        "layers.cells",
        "layers.bidirectional",
        "layers.time_distributed",
    ),
    "Attention": ("layers.attention", "layers.multi_head_attention"),
    "Normalization": ("layers.normalization", "layers.batch_normalization"),
    "Regularization": ("layers.regularization",),
    "Activation": ("layers.activation", "layers.rectifiers"),
    "Merging": ("layers.merging", "layers.dot"),
    "Reshaping": ("layers.reshaping", "layers.borders", "layers.resampling"),
    "Masking": ("layers.masking",),
    "Preprocessing": ("layers.preprocessing", "layers.augmentation"),
    "Functions and modules": (
        "layers.lambda_layer",
        "layers.lift",
        "layers.flax_module",
        "layers.equinox_module",
        "layers.stax_pair",
    ),
    "Adaptation": ("layers.lora",),
    "Initializers": (
        "initializers",
        "initializers.scaling",
        "initializers.distributions",
        "initializers.constants",
        "initializers.initializer",
    ),
    "Regularizers": ("regularizers",),
    "Constraints": ("constraints",),
}
"""The pages by title, and the modules of jgraph that each is made from."""

PICTURES = {"Activation": ("activation.svg", "The activations that map each number by itself, from -4 to 8")}
"""Pictures at the top of a page: the file, and what it shows."""

SECTION = re.compile(r"[A-Z][a-z]+:")
ENTRY = re.compile(r"(`?\*{0,2}[\w.]+`?(?:, `?\*{0,2}[\w.]+`?)*): ")


def pages() -> dict[str, str]:
    """The text of every file by its name."""
    made = {slug(title): page(title) for title in FAMILIES}
    return {"README.md": index(), **made, PICTURES["Activation"][0]: draw_activations()}


def slug(title: str) -> str:
    """The file of a page."""
    return f"{title.lower().replace(' ', '_')}.md"


def modules_of(title: str) -> list[types.ModuleType]:
    """The modules that a page is made from."""
    return [importlib.import_module(f"jgraph.{name}") for name in FAMILIES[title]]


def members(module: types.ModuleType) -> dict[str, Any]:
    """What a module shows to users, in its own order: what its face has; its classes, where it is a face itself."""
    face = getattr(jg, module.__name__.split(".")[1])
    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    public = {name: value for name, value in own.items() if getattr(face, name, None) is value and name[0] != "_"}
    return {name: value for name, value in public.items() if face is not module or isinstance(value, type)}


def members_of(title: str) -> dict[str, Any]:
    """What a page describes."""
    return {name: value for module in modules_of(title) for name, value in members(module).items()}


def index() -> str:
    """The table of everything, and what all layers share."""
    lines = ["# Layers", "", *markdown(jg.layers.__doc__ or ""), ""]
    lines += ["These pages are made from the docstrings by `make docs`.", ""]
    links: list[str] = []
    for title in FAMILIES:
        found = members_of(title)
        lines += [f"## [{title}]({slug(title)})", ""]
        if found:
            names = [f"[{heading(name, value)}]" for name, value in found.items()]
            room = WIDTH - max(map(len, names)) - len("|  |  |")
            lines += aligned(
                ["", "what it gives"], zip(names, [first_sentence(v, room) for v in found.values()], strict=True)
            )
            links += [f"{name}: {slug(title)}#{anchor}" for name, anchor in zip(names, anchors(found), strict=True)]
        else:
            lines += markdown(modules_of(title)[0].__doc__ or "")
        lines.append("")
    return finished([*lines, *links])


def heading(name: str, value: Any) -> str:
    """A class by its name, a function with parentheses, as Markdown's links do not tell small letters from capitals."""
    return name if isinstance(value, type) else f"{name}()"


def anchors(names: Iterable[str]) -> list[str]:
    """Where headings are found on a page: their words in small letters; one that comes again is numbered."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        small = name.lower()
        found.append(f"{small}-{seen[small]}" if seen[small] else small)
        seen[small] += 1
    return found


def first_sentence(value: Any, room: int) -> str:
    """What a thing gives, for a table: without shapes, sources, and parts at its end that there is no room for."""
    text = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
    text = re.sub(r" \([A-Z][^()]* (?:19|20)\d\d\)", "", text)
    text = re.split(r"\.(?= |$)|; |: (?=\[)|:$", text)[0]
    while len(escaped(text)) > room and (shorter := re.match(r"((?:[^`[]|`[^`]*`|\[[^]]*\])+)[,:] ", text)):
        text = shorter[1]
    return escaped(text)


def page(title: str) -> str:
    """One family."""
    modules, found = modules_of(title), members_of(title)
    lines = [f"# {title}", ""]
    for module in modules:
        lines += [*markdown(module.__doc__ or ""), ""]
    titles = [heading(name, value) for name, value in found.items()]
    links = [f"[{text}](#{anchor})" for text, anchor in zip(titles, anchors(found), strict=True)]
    lines += [*wrapped(" · ".join(["[All layers](README.md)", *links])), ""]
    if title in PICTURES:
        file, caption = PICTURES[title]
        lines += [f"![{caption}]({file})", ""]
    for name, value in found.items():
        lines += [
            f"## {heading(name, value)}",
            "",
            "```text",
            *call_of(name, value),
            "```",
            "",
            *markdown(value.__doc__ or ""),
            "",
        ]
    for module in modules:
        lines += names_of(module)
    return finished(lines)


def names_of(module: types.ModuleType) -> list[str]:
    """What may be given by its name: the table of a module that is called as the page's part of jgraph is."""
    table = getattr(module, module.__name__.split(".")[1].upper(), None)
    if not isinstance(table, dict):
        return []
    values = [repr(value() if isinstance(value, type) else value) for value in table.values()]
    if any("<" in value for value in values):
        return ["## By name", "", *wrapped(", ".join(f'`"{name}"`' for name in table)), ""]
    rows = [[f'`"{name}"`', f"`{value}`"] for name, value in zip(table, values, strict=True)]
    return ["## By name", "", *aligned(["name", "value"], rows), ""]


def call_of(name: str, value: Any) -> list[str]:
    """How a thing is made and called, with arguments and defaults."""
    home = value.__module__.split(".")[1]
    lines = arguments_of(f"jg.{home}.{name}", list(inspect.signature(value).parameters.values()))
    if isinstance(value, type) and issubclass(value, jg.Layer):
        taken = list(inspect.signature(value.apply).parameters.values())[3:]
        taken = [p for p in taken if p.name not in ("train", "key") or p.default is p.empty]
        lines = [*lines[:-1], *arguments_of(lines[-1], taken)]
    return lines


def arguments_of(name: str, parameters: Sequence[inspect.Parameter]) -> list[str]:
    """`name(a, b=1)`, on several lines where one is too short."""
    texts, kinds = [], [p.kind for p in parameters]
    for at, parameter in enumerate(parameters):
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.KEYWORD_ONLY not in kinds[:at]:
            texts += [] if parameter.VAR_POSITIONAL in kinds else ["*"]
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f"={shown(parameter.default)}"
        texts.append(f"{star}{parameter.name}{default}")
    line = f"{name}({', '.join(texts)})"
    if len(line) <= WIDTH - 20:
        return [line]
    glued = " ".join(f"{text},".replace(" ", "\0") for text in texts)  # a default is not broken
    inner = textwrap.wrap(glued, WIDTH - 24, break_long_words=False, break_on_hyphens=False)
    return [f"{name}(", *(f"    {text}".replace("\0", " ") for text in inner), ")"]


def shown(value: Any) -> str:
    """A default as one writes it."""
    if isinstance(value, str):
        return f'"{value}"'
    return (
        getattr(value, "__name__", repr(value))
        if callable(value) and isinstance(value, types.FunctionType)
        else repr(value)
    )


def markdown(docstring: str) -> list[str]:
    """A docstring as Markdown: prose, sections as lists; pictures and examples as they are."""
    lines: list[str] = []
    for language, group in itertools.groupby(re.split(r"\n\s*\n", inspect.cleandoc(docstring)), language_of):
        blocks = list(group)
        code = [f"```{language}", *textwrap.dedent("\n\n".join(blocks)).split("\n"), "```"]
        for part in [code] if language else map(laid_out, blocks):
            lines += ["", *part]
    return lines[1:]


def language_of(block: str) -> str:
    """What a block of a docstring is written in: a picture, which is indented, an example, or, empty, prose."""
    if block.startswith(">>> "):
        return "pycon"
    return "text" if all(row.startswith("    ") for row in block.split("\n")) else ""


def laid_out(block: str) -> list[str]:
    """One block of a docstring: a list, a section, or prose."""
    rows = block.split("\n")
    if SECTION.fullmatch(rows[0]):
        return [f"**{rows[0][:-1]}**", "", *items(entries(rows[1:]))]
    if rows[0].startswith("- "):
        return items(re.split(r"\n- ", block[2:]))
    text = " ".join(row.strip() for row in rows)
    text = re.sub(r"(?<=[.)]) (?=As `keras\.)", "\n", text)
    text = re.sub(r"(?:^|(?<=\.) )(Parameters?\b[^:.]*:)(.*?[^.]\.)(?: |$)", r"\n**\1**\2\n", text, flags=re.M)
    return [line for part in text.split("\n") if part for line in ("", *wrapped(marked(part)))][1:]


def entries(rows: Sequence[str]) -> list[str]:
    """The entries of a section, `name: text`, whose texts may go on, indented or not."""
    found: list[str] = []
    for row in textwrap.dedent("\n".join(rows)).split("\n"):
        entry = ENTRY.match(row)
        if entry and not row.startswith(" "):
            found.append(f"`{entry[1].replace('`', '').replace(', ', '`, `')}`: {row[entry.end() :]}")
        elif found:
            found[-1] += f" {row.strip()}"
        else:
            found.append(row.strip())
    return found


def items(texts: Iterable[str]) -> list[str]:
    """A list of them."""
    rows = (" ".join(text.split()) for text in texts)
    return [line for row in rows for line in wrapped(escaped(row), "- ")]


def wrapped(text: str, bullet: str = "") -> list[str]:
    """A paragraph in lines that are not too long."""
    glued = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)  # code stays on one line, and a sign
    glued = re.sub(r" ([-+#>=]) ", "\0\\1 ", glued)  # never begins one, where it would be read as a list
    wrapper = textwrap.TextWrapper(
        WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in wrapper.wrap(glued)]


def marked(text: str) -> str:
    """Prose with its label, if it begins with one, left bold."""
    label = re.match(r"\*\*.*?\*\*|", text)
    return label[0] + escaped(text[label.end() :]) if label else escaped(text)


def escaped(text: str) -> str:
    """Prose as Markdown reads it: outside of code, stars and angle brackets are what they are."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<])", r"\\\1", part) for part in parts)


def aligned(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table whose columns stand below each other in the file too; the last one is as long as each row needs."""
    cells = [list(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(columns) - 1)]
    lines = [f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, [*widths, 0], strict=True))} |" for row in cells]
    return [lines[0], f"|{'|'.join('-' * (w + 2) for w in widths)}|---|", *lines[1:]]


def finished(lines: Iterable[str]) -> str:
    """The lines as a file: none has blanks at its end, no two are empty in a row."""
    text = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main() -> None:
    """Writes all pages, and removes those of families that are no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for file in sorted(FOLDER.iterdir()):
        if file.name not in made:
            file.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(made)} files in {FOLDER.relative_to(FOLDER.parents[1])}")


if __name__ == "__main__":
    main()
