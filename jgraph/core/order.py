"""Which calls a graph consists of, and in what order: depth first from the outputs, without recursion."""

from collections.abc import Iterable, Set

from jgraph.core.layer import InputLayer
from jgraph.core.symbol import Call, Symbol
from jgraph.draw.specs import show
from jgraph.errors import GraphError, listing


def order(
    starts: list[tuple[Symbol, Symbol]], ends: Iterable[tuple[str, Symbol]], where: str
) -> tuple[list[Call], set[object]]:
    """The calls that the outputs need, each after its sources, and the tokens of the nested calls that are cut open.

    A nested call is whole where everything inside reads what the model was called on; then that is needed too.

    Raises:
        GraphError: an output needs an input that was not given.
    """
    sources = {(s.call.token, s.index): start for s, start in starts}
    calls = _ordered(starts, ends, where, set())
    cut = _cut_open(calls, sources)
    return (_ordered(starts, ends, where, cut), cut) if cut else (calls, cut)


def _ordered(
    starts: list[tuple[Symbol, Symbol]], ends: Iterable[tuple[str, Symbol]], where: str, cut: Set[object]
) -> list[Call]:
    """The calls that the outputs need; and those that give what nested models were called on, unless they are cut."""
    sources = {(s.call.token, s.index): start.call for s, start in starts}
    given = {start.call.token for _, start in starts}
    done: dict[object, Call] = {}
    complete: dict[object, bool] = {}
    for name, end in ends:
        stack = [(end, False)]
        while stack:
            symbol, sources_done = stack.pop()
            call = sources.get((symbol.call.token, symbol.index), symbol.call)
            if call.token in done:
                if done[call.token].path is None:  # the same call, drawn freshly and handed on by a model
                    done[call.token] = call
                continue
            reads = call.sources()
            if call.token not in cut:
                reads += [s for s in call.inputs() if _whole(s, sources, given, complete)]
            if sources_done or not reads:
                if isinstance(call.layer, InputLayer) and call.token not in given:
                    _disconnected(call, name, starts, where)
                done[call.token] = call
            else:
                stack.append((symbol, True))
                stack.extend((s, False) for s in reversed(reads))
    for _, start in starts:  # inputs that no output needs
        done.setdefault(start.call.token, start.call)
    return list(done.values())


def _cut_open(calls: list[Call], sources: dict[tuple[object, int], Symbol]) -> set[object]:
    """The tokens of nested calls that the graph cuts: something inside reads what the model was not called on."""
    closers = {call.token: call for call in calls if call.layer.is_graph}
    given = {
        token: {(s.call.token, s.index) for s in (sources.get((s.call.token, s.index), s) for s in call.inputs())}
        for token, call in closers.items()
    }
    cut: set[object] = set()
    for call in calls:
        around = _around(call, closers)
        for read in call.sources() if around else ():
            symbol = sources.get((read.call.token, read.index), read)
            outside = set(around).difference(_around(symbol.call, closers))
            cut |= {token for token in outside if (symbol.call.token, symbol.index) not in given[token]}
    return cut


def _around(call: Call, closers: dict[object, Call]) -> list[object]:
    """The tokens of the nested calls that a call is in, itself if it closes one, from the inside out."""
    around = [call.token] if call.token in closers else []
    while call.within is not None and call.within.token in closers:
        call = closers[call.within.token]
        around.append(call.token)
    return around


def _whole(
    symbol: Symbol, sources: dict[tuple[object, int], Call], given: set[object], complete: dict[object, bool]
) -> bool:
    """Whether a symbol depends on no input but the given ones; `complete` remembers what was found of each call."""
    stack = [symbol]
    while stack:
        call = sources.get((stack[-1].call.token, stack[-1].index), stack[-1].call)
        if call.token in complete:
            stack.pop()
            continue
        reads = [sources.get((s.call.token, s.index), s.call) for s in call.sources()]
        if waiting := [s for s, c in zip(call.sources(), reads, strict=True) if c.token not in complete]:
            stack.extend(waiting)
            continue
        is_input = isinstance(call.layer, InputLayer)
        complete[call.token] = call.token in given if is_input else all(complete[c.token] for c in reads)
        stack.pop()
    return complete[sources.get((symbol.call.token, symbol.index), symbol.call).token]


def _disconnected(call: Call, output: str, starts: list[tuple[Symbol, Symbol]], where: str) -> None:
    name = call.path or call.layer.name
    missing = f"the input {name!r}" if name else f"an unnamed input {show(call.inference.outputs[0])}"
    given = [s.call.path or s.call.layer.name or show(start.spec) for s, start in starts]
    if name in given:
        raise GraphError(
            where,
            expected=f"the symbol {name!r} that {f'the output {output!r}' if output else 'the output'} was drawn on",
            got="another symbol of that name",
            cure="Use one symbol for both; those of a model that was loaded or copied are model.inputs.",
        )
    raise GraphError(
        where,
        expected=f"all inputs that {f'the output {output!r}' if output else 'the output'} depends on",
        got=f"{listing(given)}, while it also needs {missing}",
        cure=f"Add {missing} to the inputs, or end the graph elsewhere."
        + " The mask of an input is an input too: jg.Model([x, x.mask], ...)."
        * any(s.mask is not None for s, _ in starts),
    )
