"""The six models as PyTorch's modules, channels first; an output is what a loss takes: logits, or the number itself."""

import importlib
from typing import Any

torch: Any = importlib.import_module("torch")  # it is in an environment of its own
nn: Any = torch.nn


def lstm(inputs: int, units: int) -> Any:
    """An LSTM, [batch, steps, inputs] -> [batch, steps, units]; one of its two biases, which are added, stays 0."""
    layer = nn.LSTM(inputs, units, batch_first=True)
    nn.init.zeros_(layer.bias_hh_l0).requires_grad_(False)
    return layer


class QA(nn.Module):
    """A text and a question about it, each through its own LSTM, into one of 500 answers."""

    def __init__(self) -> None:
        super().__init__()
        self.texts, self.questions = nn.Embedding(10_000, 64), nn.Embedding(10_000, 32)
        self.text, self.question = lstm(64, 32), lstm(32, 16)
        self.answer = nn.Linear(48, 500)

    def forward(self, inputs: Any) -> Any:
        """[batch, 500]."""
        t = self.text(self.texts(inputs["text"]))[0][:, -1]
        q = self.question(self.questions(inputs["question"]))[0][:, -1]
        return self.answer(torch.cat([t, q], dim=-1))


class Siamese(nn.Module):
    """Whether two series belong together: both through one LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.same = lstm(128, 32), nn.Linear(64, 1)

    def forward(self, inputs: Any) -> Any:
        """[batch, 1]."""
        both = [self.lstm(inputs[name])[0][:, -1] for name in ("left", "right")]
        return self.same(torch.cat(both, dim=-1))


class Heads(nn.Module):
    """Age, income and gender of whoever wrote a post."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5000, 64)
        self.tower = nn.Sequential(
            *(nn.Conv1d(64, 64, 5), nn.ReLU(), nn.MaxPool1d(5)),
            *(nn.Conv1d(64, 128, 5), nn.ReLU()),
            *(nn.Conv1d(128, 128, 5), nn.ReLU()),
        )
        self.hidden = nn.Linear(128, 64)
        self.ends = nn.ModuleDict({"age": nn.Linear(64, 1), "income": nn.Linear(64, 10), "gender": nn.Linear(64, 1)})

    def forward(self, posts: Any) -> Any:
        """By head."""
        x = self.tower(self.embedding(posts).transpose(1, 2)).amax(dim=-1)
        x = torch.relu(self.hidden(x))
        return {name: end(x) for name, end in self.ends.items()}


def convolution(inputs: int, size: int, stride: int = 1) -> Any:
    """A convolution into 64 channels with its activation; only a stride makes the image smaller."""
    return nn.Sequential(nn.Conv2d(inputs, 64, size, stride=stride, padding=size // 2), nn.ReLU())


class InceptionBlock(nn.Module):
    """Four branches beside each other, and a residual around them."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.branches = nn.ModuleList(
            [
                convolution(inputs, 1),
                nn.Sequential(convolution(inputs, 1), convolution(64, 3)),
                nn.Sequential(convolution(inputs, 1), convolution(64, 3), convolution(64, 3)),
                nn.Sequential(pool, convolution(inputs, 1)),
            ]
        )
        self.around = nn.Identity() if inputs == 256 else nn.Conv2d(inputs, 256, 1)

    def forward(self, x: Any) -> Any:
        """[batch, 256, height, width]."""
        return torch.cat([branch(x) for branch in self.branches], dim=1) + self.around(x)


class SeparableBlock(nn.Module):
    """Two separable convolutions beside a strided 1 x 1 one."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()

        def separable(inputs: int) -> list[Any]:
            depthwise = nn.Conv2d(inputs, inputs, 3, padding="same", groups=inputs, bias=False)
            return [nn.BatchNorm2d(inputs), nn.ReLU(), depthwise, nn.Conv2d(inputs, filters, 1, bias=False)]

        self.inner = nn.Sequential(*separable(inputs), *separable(filters), nn.MaxPool2d(3, stride=2, padding=1))
        self.around = nn.Conv2d(inputs, filters, 1, stride=2, bias=False)

    def forward(self, x: Any) -> Any:
        """[batch, filters, height / 2, width / 2]."""
        return self.inner(x) + self.around(x)


def mlp() -> Any:
    """16-64-64-1."""
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))


def classes(channels: int) -> list[Any]:
    """The mean over the image, and ten classes of it."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]


def inception() -> Any:
    """Three blocks of four branches."""
    blocks = [InceptionBlock(64), InceptionBlock(256), nn.MaxPool2d(2), InceptionBlock(256)]
    return nn.Sequential(convolution(3, 3, stride=2), *blocks, *classes(256))


def xception() -> Any:
    """Three blocks of separable convolutions."""
    blocks = [SeparableBlock(inputs, filters) for inputs, filters in ((64, 128), (128, 256), (256, 512))]
    return nn.Sequential(nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False), *blocks, *classes(512))


MODELS = {
    "mlp": mlp,
    "qa": QA,
    "siamese": Siamese,
    "heads": Heads,
    "inception": inception,
    "xception": xception,
}
