"""Training by hand in PyTorch, eager: rows are chosen by index, the loss is read at the end of an epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.benchmark.libraries import Prepared
from scripts.benchmark.modules import MODELS, nn, torch
from scripts.benchmark.tasks import Arrays, Task

LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": nn.functional.mse_loss,
    "binary_crossentropy": nn.functional.binary_cross_entropy_with_logits,
    "sparse_categorical_crossentropy": nn.functional.cross_entropy,
}


def tensor(array: np.ndarray) -> Any:
    """As PyTorch takes it: images with channels first, integers of 64 bits."""
    array = array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
    array = array.astype(np.int64) if array.dtype == np.int32 else array
    return torch.from_numpy(np.ascontiguousarray(array))


def mapped(function: Callable[[Any], Any], arrays: Arrays) -> Any:
    """A function of one array, or of each in a dict."""
    return {name: function(array) for name, array in arrays.items()} if isinstance(arrays, dict) else function(arrays)


def loss_of(losses: Any, outputs: Any, targets: Any) -> Any:
    """The loss, or the sum of those of all outputs."""
    if isinstance(losses, dict):
        return sum(LOSSES[name](outputs[key], targets[key]) for key, name in losses.items())
    return LOSSES[losses](outputs, targets)


def prepare(name: str, task: Task, data: tuple[Arrays, Arrays]) -> Prepared:
    """Makes module and optimizer, on the GPU where there is one."""
    torch.manual_seed(0)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    inputs, targets = (mapped(lambda array: tensor(array).to(device), arrays) for arrays in data)
    model = MODELS[name]().to(device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-3)
    rows = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)

    def train(going: Callable[[], bool]) -> None:
        while True:
            total = torch.zeros((), device=device)
            for chosen in torch.randperm(rows, device=device).split(task.batch_size):
                x, y = (mapped(lambda array, chosen=chosen: array[chosen], arrays) for arrays in (inputs, targets))
                optimizer.zero_grad()
                loss = loss_of(task.losses, model(x), y)
                loss.backward()
                optimizer.step()
                total += loss.detach()
            total.item()
            if not going():
                return

    words = f"gpu: {torch.cuda.get_device_name()}" if cuda else "cpu: cpu"
    return Prepared(
        sum(p.numel() for p in trained), train, words, lambda: torch.cuda.max_memory_allocated() if cuda else None
    )
