"""PyTorch modules compiled, and saturation mutagenesis with the results of tangermeme."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

WHY = "PyTorch takes 5.8 GB: python -m benchmarks.torch_environment -m pytest tests/torch"
torch = pytest.importorskip("torch", reason=WHY)
theirs = pytest.importorskip("tangermeme.saturation_mutagenesis", reason=WHY)

import fastism_compiler as fc  # noqa: E402
from fastism_compiler.torch import from_torch, saturation_mutagenesis  # noqa: E402 (triton before TensorFlow)

LENGTH = 60


class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A profile and two counts, from the sequence and a control track."""

    def __init__(self, controls: bool = False) -> None:
        super().__init__()
        self.scale = 1.0
        self.first = torch.nn.Conv1d(4, 8, 5, padding=2)
        self.dilated = torch.nn.Conv1d(8, 8, 3, padding=2, dilation=2)
        self.profile = torch.nn.Conv1d(8 + controls, 1, 5)
        self.counts = torch.nn.Linear(8, 2)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: Any, control: Any = None) -> Any:
        x = torch.relu(self.first(x))
        x = self.drop(x + torch.relu(self.dilated(x)))
        wide = x if control is None else torch.cat([x, control], dim=1)
        return self.profile(wide).squeeze(1), self.counts(x.mean(dim=-1)) * self.scale


def counts(outputs: Any) -> Any:
    return outputs[1]


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    return Net().train()


@pytest.fixture(scope="module")
def x() -> Any:
    torch.manual_seed(1)
    return torch.nn.functional.one_hot(torch.randint(0, 4, (2, LENGTH)), 4).permute(0, 2, 1).float()


def assert_same(ours: Any, expected: Any) -> None:
    assert tuple(ours.shape) == tuple(expected.shape)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "options",
    [{}, {"hypothetical": True}, {"start": 7, "end": 20, "target": 1}, {"end": -2, "target": slice(0, 1)}],
    ids=str,
)
def test_attributions_are_those_of_tangermeme(net: Any, x: Any, options: dict[str, Any]) -> None:
    expected = theirs.saturation_mutagenesis(net, x, func=counts, device="cpu", **options)
    assert_same(saturation_mutagenesis(net, x, func=counts, **options), expected)
    assert net.training and net.drop.training


def test_raw_outputs_are_those_of_tangermeme(net: Any, x: Any) -> None:
    y0, y_hat = saturation_mutagenesis(net, x, raw_outputs=True)
    expected = theirs.saturation_mutagenesis(net, x, raw_outputs=True, device="cpu")
    for ours, other in zip([*y0, *y_hat], [*expected.y0, *expected.y_hat], strict=True):
        assert_same(ours, other)


def test_an_unknown_letter_is_replaced_as_tangermeme_does(net: Any, x: Any) -> None:
    unknown = x.clone()
    unknown[0, :, 11] = 0
    ours = saturation_mutagenesis(net, unknown, func=counts, raw_outputs=True)
    expected = theirs.saturation_mutagenesis(net, unknown, func=counts, raw_outputs=True, device="cpu")
    assert_same(ours.y_hat, expected.y_hat)


def test_a_control_track_stays_as_it_is(x: Any) -> None:
    torch.manual_seed(2)
    net, control = Net(controls=True), torch.rand(2, 1, LENGTH)
    ours = saturation_mutagenesis(net, x, args=(control,), raw_outputs=True)
    expected = theirs.saturation_mutagenesis(net, x, args=(control,), raw_outputs=True, device="cpu")
    for a, b in zip(ours.y_hat, expected.y_hat, strict=True):
        assert_same(a, b)


def test_a_module_that_was_changed_is_compiled_again(x: Any) -> None:
    torch.manual_seed(3)
    net = Net()
    before = saturation_mutagenesis(net, x, func=counts, hypothetical=True)
    with torch.no_grad():
        net.counts.weight.data.mul_(2)  # which no version counter shows
    assert_same(saturation_mutagenesis(net, x, func=counts, hypothetical=True), 2 * before)
    net.scale = 3.0  # which is no weight
    assert_same(saturation_mutagenesis(net, x, func=counts, hypothetical=True), 6 * before)


def test_a_program_takes_and_gives_tensors(net: Any, x: Any) -> None:
    program = from_torch(net, x[:1])
    assert not program.plan.stops
    assert program.verify(ranges=5)
    profile, numbers = program(x, delta=True)
    assert isinstance(profile, torch.Tensor) and profile.shape[:2] == (2, LENGTH)
    scored = program.saturate(x)[1]
    (some,) = (y for y in [program.variants(x, variants=[(1, 5, "G")])[1]])
    torch.testing.assert_close(some[0], scored[1, 5, 2])
    torch.testing.assert_close(program.reference(x)[1], net.eval()(x)[1], rtol=1e-4, atol=1e-5)
    assert_same(saturation_mutagenesis(program, x, raw_outputs=True).y_hat[1], scored.transpose(1, 2))
    net.train()
    assert np.isfinite(numbers.numpy()).all()


class Branching(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Its flow depends on its values."""

    def forward(self, x: Any) -> Any:
        total = x.sum(dim=(1, 2))
        return total if total.sum() > 0 else total + 1


def test_what_is_asked_wrongly_is_refused(net: Any, x: Any) -> None:
    for options, error in (
        ({"start": 5, "end": 5}, fc.RangeError),
        ({"dtype": "float16"}, fc.OptionError),
        ({"device": "cuda"}, fc.OptionError),
        ({}, fc.InputError),
    ):
        with pytest.raises(error):
            saturation_mutagenesis(net, x, **options)
    with pytest.raises(fc.InputError, match="letters"):
        saturation_mutagenesis(net, x[0])
    with pytest.warns(UserWarning, match="one-hot"):
        saturation_mutagenesis(net, x * 1.5, func=counts)


def test_a_module_that_pytorch_cannot_export_is_refused(x: Any) -> None:
    with pytest.raises((fc.UnsupportedError, fc.VerificationError)):
        from_torch(Branching(), x[:1])
