"""The sample pictures: whole models up to InceptionV3, with nothing on top of each other, the same in any process."""

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jgraph.draw.shapes import Group, Rect, Words
from jgraph.draw.shapes import Path as Line
from scripts.pictures import MODELS

ROOT = Path(__file__).parents[2]


def rectangle(group: Group) -> Rect:
    return next(part for part in group.parts if isinstance(part, Rect))


def apart(a: Rect, b: Rect) -> bool:
    beside = a.x + a.width <= b.x or b.x + b.width <= a.x
    return beside or a.y + a.height <= b.y or b.y + b.height <= a.y


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("name", MODELS)
def test_no_two_boxes_overlap(name: str, rankdir: str) -> None:
    model = MODELS[name]()
    picture = model.plot(rankdir=rankdir)
    boxes = [rectangle(group) for group in picture.scene.groups if group.kind == "box"]
    frames = [group for group in picture.scene.groups if group.kind == "frame"]
    closed = {node.owner for node in model.nodes} - {None}
    outputs = sum(box.kind == "output" for box in picture.diagram.boxes)
    assert len(boxes) == len(model.nodes) - len(closed) + outputs
    assert len(frames) == len(closed)
    assert all(apart(a, b) for a, b in itertools.combinations(boxes, 2))
    links = [group for group in picture.scene.groups if group.kind == "link"]
    assert len(links) == len(picture.diagram.links)
    assert all(any(isinstance(part, Line) for part in group.parts) for group in links)


def test_inception_v3_is_whole_and_narrow() -> None:
    model = MODELS["inception_v3"]()
    picture = model.plot()
    assert picture.diagram.subtitle == "313 nodes · 23,817,352 parameters (90.9 MiB)"
    boxes = [group for group in picture.scene.groups if group.kind == "box"]
    names = [next(part.text for part in group.parts if isinstance(part, Words)) for group in boxes]
    assert names == [*(node.path for node in model.nodes), "output"]
    assert picture.scene.width < 1100


def test_the_same_picture_in_another_process() -> None:
    script = (
        "import hashlib; from scripts.pictures import MODELS; p = MODELS['two_cameras']().plot(); "
        "print(hashlib.sha256((p.svg + p.dot + p.mermaid).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=ROOT)
    picture = MODELS["two_cameras"]().plot()
    here = hashlib.sha256((picture.svg + picture.dot + picture.mermaid).encode()).hexdigest()
    assert done.stdout.strip() == here, done.stderr
