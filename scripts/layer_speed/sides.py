"""The sides of a case as functions `run(count) -> seconds a call`: jgraph, plain JAX, each alone or in a loop; PyTorch.

With `loop`, the JAX sides run inside the body of a `lax.fori_loop` with a traced count, as a trainer's program of n
steps does: inputs are chosen by the step, and with the gradient the params move, so that nothing can be computed once.
"""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from scripts.layer_speed.family import Work, key_of

Run = Callable[[int], float]
Side = tuple[Run, Any, str]
"""How it is run, what it gives, and its program as text, which PyTorch has none of."""

Apply = Callable[[Any, Any], Any]

TOLERANCES = {"cpu": 1e-3, "gpu": 2e-2, "tpu": 4e-2}
"""Of the largest number; others than CPUs multiply matrices in fewer bits."""

RATE = 1e-6
"""How far the params of a loop move."""


class Data:
    """Params, two inputs and two cotangents of a case, from fixed seeds."""

    def __init__(self, work: Work) -> None:
        dtype = np.float32 if work.high is None else np.int32
        specs = [jax.ShapeDtypeStruct(work.shape, dtype)] * (2 if work.again else 1)
        self.params, self.state = work.layer.init(jax.random.key(0), *specs)
        random = np.random.default_rng(0)
        shape = (2, *work.shape)
        x = random.normal(size=shape) if work.high is None else random.integers(0, work.high, shape)
        self.xs = jnp.asarray(x, dtype)
        y = jax.eval_shape(self.apply(work), self.params, self.xs[0])
        self.cs = jnp.asarray(random.normal(size=(2, *y.shape)), y.dtype)
        self.x, self.c = self.xs[0], self.cs[0]

    def apply(self, work: Work) -> Apply:
        """The layer of jgraph in training, as a function of params and inputs."""

        def function(params: Any, x: Any) -> Any:
            inputs = (x, x) if work.again else (x,)
            key = {"key": key_of(x)} if work.random else {}
            return work.layer.apply(params, self.state, *inputs, train=True, **key)[0]

        return function


def computed(apply: Apply, direction: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """`(params, x, c) -> (y, gradients)`: of params and, where it has one, of x; `None` forward."""

    def function(params: Any, x: Any, c: Any) -> tuple[Any, Any]:
        if direction == "forward":
            return apply(params, x), None
        if jnp.issubdtype(x.dtype, jnp.integer):
            y, pull = jax.vjp(lambda params: apply(params, x), params)
            return y, (pull(c)[0], None)
        y, pull = jax.vjp(apply, params, x)
        return y, pull(c)

    return function


def each(call: Callable[[], Any]) -> Run:
    """The median of the seconds of single calls: one that others interrupt does not count."""

    def run(count: int) -> float:
        seconds = []
        for _ in range(count):
            begin = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begin)
        return statistics.median(seconds)

    return run


def alone(function: Callable[..., Any], data: Data) -> Side:
    """One call a dispatch, waited for."""
    program = jax.jit(function)
    arguments = data.params, data.x, data.c
    result = jax.block_until_ready(program(*arguments))
    text = program.lower(*arguments).as_text()
    return each(lambda: jax.block_until_ready(program(*arguments))), result, text


def looped(function: Callable[..., Any], data: Data) -> Side:
    """All calls in one dispatch, less what a dispatch without any takes; the result is that of the first call."""

    def program(count: Any, params: Any, xs: Any, cs: Any) -> Any:
        def body(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            params = carry[0]
            x, c = (jax.lax.dynamic_index_in_dim(a, i % 2, keepdims=False) for a in (xs, cs))
            y, grads = function(params, x, c)
            if grads is not None:
                params = jax.tree.map(lambda p, g: p - RATE * g, params, grads[0])
            return params, (y, grads)

        result = jax.eval_shape(function, params, xs[0], cs[0])
        start = params, jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), result)
        return jax.lax.fori_loop(0, count, body, start)

    compiled = jax.jit(program)
    arguments = data.params, data.xs, data.cs

    def seconds(count: int) -> float:
        begin = time.perf_counter()
        jax.block_until_ready(compiled(np.int32(count), *arguments))
        return time.perf_counter() - begin

    def run(count: int) -> float:
        return max(seconds(count) - seconds(0), 1e-9) / count

    result = jax.block_until_ready(compiled(np.int32(1), *arguments))[1]
    return run, result, compiled.lower(np.int32(1), *arguments).as_text()


def torch_side(work: Work, data: Data, direction: str) -> Side | None:
    """PyTorch's eager layer on the same device, and its result; `None` where there is none to compare with."""
    platform = jax.default_backend()
    if work.peer is None or platform not in ("cpu", "gpu") or importlib.util.find_spec("torch") is None:
        return None
    torch: Any = importlib.import_module("torch")  # which need not be there

    if platform == "gpu" and not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = True  # as XLA's matrix products on GPUs are by default
    device = {"cpu": "cpu", "gpu": "cuda"}[platform]
    wait = torch.cuda.synchronize if platform == "gpu" else lambda: None

    def tensor(array: Any) -> Any:
        return torch.tensor(np.array(array), device=device).contiguous().requires_grad_()

    def to_torch(array: Any) -> Any:
        moved = torch.tensor(np.array(array), device=device)
        moved = moved.long() if work.high is not None else moved
        return moved.movedim(-1, 1).contiguous() if work.channels_first and moved.ndim > 2 else moved

    weights, function = work.peer(torch, tensor, data.params)
    x, c = to_torch(data.x), to_torch(data.c)
    leaves = [*weights, *([] if work.high is not None else [x.requires_grad_()])]

    def once() -> tuple[Any, Any]:
        if direction == "forward":
            with torch.inference_mode():
                return function(x), None
        y = function(x)
        return y, torch.autograd.grad(y, leaves, c)

    y = once()[0].detach()
    y = y.movedim(1, -1) if work.channels_first and y.ndim > 2 else y
    return each(lambda: (once(), wait())), (y.cpu().numpy(), None), ""


def check_same(side: str, ours: Any, theirs: Any) -> None:
    """Checks that another side computes what jgraph does; where it has no gradients to compare, the outputs alone.

    Raises:
        ArithmeticError: it does not.
    """
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=theirs[1] is not None or ours[1] is None)
    # A gradient that is zero but for rounding, as that of a key's bias, is measured by the others.
    largest = max(np.max(np.abs(np.asarray(a)), initial=0) for a in jax.tree.leaves(ours))
    for number, (a, b) in enumerate(pairs):
        if a.shape != b.shape:
            raise ArithmeticError(f"{side} gives the shape {b.shape} as array {number}, and jgraph {a.shape}.")
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        error = np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(a), initial=0), largest / 100)
        if not error <= TOLERANCES.get(jax.default_backend(), 4e-2):
            raise ArithmeticError(f"{side} differs from jgraph by {error:.2g} of the largest number in array {number}.")


def sides(work: Work, direction: str, loop: bool) -> tuple[dict[str, Run], Data, bool]:
    """All sides by name, compiled, and found to compute the same: `jgraph`, `plain`, `torch`; in a loop also `single`.

    `single` is jgraph's layer outside of a loop. Also the data, and whether jgraph and plain JAX are one program.
    """
    data = Data(work)
    ours, theirs = (computed(apply, direction) for apply in (data.apply(work), work.plain))
    place = looped if loop else alone
    made: dict[str, Side | None] = {"jgraph": place(ours, data), "plain": place(theirs, data)}
    if loop:
        made["single"] = alone(ours, data)
    made["torch"] = torch_side(work, data, direction)
    present = {name: side for name, side in made.items() if side is not None}
    if not work.random:
        for name, (_, result, _) in present.items():
            check_same(name, present["jgraph"][1], result)
    same = present["jgraph"][2] == present["plain"][2]
    return {name: side[0] for name, side in present.items()}, data, same
