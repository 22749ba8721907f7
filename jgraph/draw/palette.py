"""The colours of pictures of graphs: quiet fills with a stronger edge, by kind of box, on white."""

INK, TEXT, FAINT, LINE, SHEET, EDGE = "#1F2937", "#4B5563", "#6B7280", "#8A94A3", "#FFFFFF", "#E2E5EA"
MASK = "#8B3FC7"
"""Lines and words about masks."""

FROZEN = ("#BAE3FB", "#075985")
"""The fill and the words of the mark of frozen layers."""

MARK = ("#F1F2F4", "#4B5563")
"""Those of other marks, such as a dtype."""

FILLS = {
    "input": ("#EEF2F7", "#7C8BA1"),
    "output": ("#E9EBEF", "#5B6472"),
    "convolution": ("#E4EFFC", "#5B8DC9"),
    "recurrent": ("#DDF3EE", "#3F9C86"),
    "attention": ("#F9E8F4", "#B8669E"),
    "dense": ("#E9E7FB", "#7A70C4"),
    "embedding": ("#E5F5DF", "#67A353"),
    "normalization": ("#FBF2DC", "#C79A3B"),
    "pooling": ("#FCE8E2", "#CC7A62"),
    "merging": ("#E3EDF1", "#5F7F8C"),
    "activation": ("#FCE9EC", "#C96B78"),
    "regularization": ("#F2F2E9", "#9A9A78"),
    "reshaping": ("#EDF2E0", "#8A9A5B"),
    "preprocessing": ("#E5F3F7", "#5D9BAB"),
    "model": ("#F0EBF7", "#8C78AD"),
    "op": ("#F4F5F7", "#9CA3AF"),
    "other": ("#F4F1ED", "#A59A8C"),
}
"""The fill and the edge of each kind of box."""

FRAMES = (("#F8F9FB", "#EDF0F4"), ("#F1F3F7", "#E4E8EE"))
"""The fill and the head of a frame, in turn by how deep it lies."""

SHARED = ("#C2410C", "#0F766E", "#1D4ED8", "#A21CAF", "#4D7C0F", "#B91C1C")
"""The accents of sets of weights that several boxes share, of Tailwind's darker tones, in turn."""


def accent(weights: int | None) -> str | None:
    """The colour of a set of weights that is shared; `None` for boxes that share none.

    >>> accent(None), accent(0) == accent(6)
    (None, True)
    """
    return None if weights is None else SHARED[weights % len(SHARED)]
