"""The curves of all activations as one picture: SVG text, the same bytes wherever it is drawn.

It is drawn here and not by matplotlib, whose files change with its version; and in float64, so that rounding to tenths
of a pixel does not depend on how XLA orders a sum.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jgraph.ops.activations import ACTIVATIONS

ROWS_MIXED = ("glu", "log_softmax", "softmax", "sparsemax")
"""Activations that see a whole axis, and so have no curve."""

COLUMNS, SIDE, GAP, TITLE = 6, 120, 18, 18
LOW, HIGH = -4.0, 8.0
"""What each panel shows on both axes; `relu6` bends at 6."""

INK, CURVE, PAPER = "#57606a", "#0b66c3", "#ffffff"


def curves() -> dict[str, np.ndarray]:
    """Every activation's values at the points of `grid`; names of one function share a curve, `silu, swish`."""
    found: dict[str, np.ndarray] = {}
    with jax.enable_x64(True):
        for name, function in sorted(ACTIVATIONS.items()):
            if name not in ROWS_MIXED:
                ys = np.asarray(function(jnp.asarray(grid())), "float64")
                same = next((other for other, curve in found.items() if np.array_equal(curve, ys)), None)
                found[f"{same}, {name}" if same else name] = found.pop(same) if same else ys
    return dict(sorted(found.items()))


def grid() -> np.ndarray:
    """Where curves are drawn."""
    return np.linspace(LOW, HIGH, 193)


def draw_activations() -> str:
    """The picture."""
    panels = [panel(name, ys, number) for number, (name, ys) in enumerate(curves().items())]
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * (SIDE + GAP) + GAP, rows * (SIDE + GAP + TITLE) + GAP
    style = f'font-family="sans-serif" font-size="11" fill="{INK}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="{PAPER}"/>', *panels, "</svg>"]) + "\n"


def panel(name: str, ys: np.ndarray, number: int) -> str:
    """One curve in its square, with its axes and its name above; a jump parts it."""
    left = GAP + number % COLUMNS * (SIDE + GAP)
    top = GAP + number // COLUMNS * (SIDE + GAP + TITLE) + TITLE
    parts = [f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="{INK}" stroke-opacity="0.35"/>']
    zero = -LOW * SIDE / (HIGH - LOW)
    parts.append(f'<path d="M0 {SIDE - zero:g}H{SIDE}M{zero:g} 0V{SIDE}" stroke="{INK}" stroke-opacity="0.35"/>')
    line = f'fill="none" stroke="{CURVE}" stroke-width="2" stroke-linejoin="round"'
    lines = [f'<polyline points="{points(piece)}" {line}/>' for piece in pieces(ys)]
    parts += [f'<svg width="{SIDE}" height="{SIDE}">', *lines, "</svg>"]  # which cuts off what lies outside
    parts.append(f'<text x="{SIDE / 2:g}" y="-6" text-anchor="middle">{name}</text>')
    return "\n".join([f'<g transform="translate({left} {top})">', *parts, "</g>"])


def pieces(ys: np.ndarray) -> list[list[tuple[float, float]]]:
    """The points in and near the square, parted where the curve leaves it or jumps."""
    steps = np.abs(np.diff(ys, prepend=ys[0], append=ys[-1]))
    beside = np.maximum(np.roll(steps, 1), np.roll(steps, -1))
    jumps = (steps > 3 * beside) & (steps > 2 * (HIGH - LOW) / len(ys))
    found: list[list[tuple[float, float]]] = [[]]
    for x, y, jump in zip(grid(), ys, jumps[:-1], strict=True):
        inside = LOW - 1 <= y <= HIGH + 1
        if (jump or not inside) and found[-1]:
            found.append([])
        if inside:
            found[-1].append((float(x), float(y)))
    return [piece for piece in found if len(piece) > 1]


def points(piece: Sequence[tuple[float, float]]) -> str:
    """Points as SVG has them, in tenths of a pixel; those on a straight line are left out."""
    scale = SIDE / (HIGH - LOW)
    at = [((x - LOW) * scale, (HIGH - y) * scale) for x, y in piece]
    bends = [abs((c[1] - b[1]) - (b[1] - a[1])) > 1e-9 for a, b, c in zip(at, at[1:], at[2:], strict=False)]
    kept = [p for p, bend in zip(at, [True, *bends, True], strict=True) if bend]
    return " ".join(f"{x:.1f},{y:.1f}".replace(".0", "") for x, y in kept)
