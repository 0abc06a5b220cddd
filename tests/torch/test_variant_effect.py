"""Substitutions, deletions and insertions, with the results of tangermeme."""

from __future__ import annotations

from typing import Any

import pytest

WHY = "PyTorch takes 5.8 GB: python -m benchmarks.torch_environment -m pytest tests/torch"
torch = pytest.importorskip("torch", reason=WHY)
theirs = pytest.importorskip("tangermeme.variant_effect", reason=WHY)

import fastism_compiler as fc  # noqa: E402
import fastism_compiler.torch as ours  # noqa: E402 (triton before TensorFlow)
from tests.torch.test_saturation import LENGTH, Net, assert_same, counts  # noqa: E402


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


def letters(count: int, length: int = LENGTH, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    return torch.nn.functional.one_hot(torch.randint(0, 4, (count, length)), 4).permute(0, 2, 1).float()


SUBSTITUTIONS = torch.tensor([[0, 5, 1], [0, 9, 2], [2, 0, 3], [2, LENGTH - 1, 0], [3, 30, 1], [4, 31, 2]])
INSERTIONS = torch.tensor([[0, 5, 1], [0, 5, 2], [0, 9, 3], [1, 0, 0], [3, LENGTH - 1, 2], [3, LENGTH - 1, 1]])
DELETIONS = torch.tensor([[0, 5], [0, 6], [1, 0], [3, LENGTH + 1], [0, 40]])


def compare(found: Any, expected: Any) -> None:
    for mine, other in zip(found, expected, strict=True):
        for y, z in zip(*([v] if torch.is_tensor(v) else v for v in (mine, other)), strict=True):
            assert_same(y, z)


def test_substitutions(net: Any) -> None:
    x = letters(5)
    x[4] = x[3]  # one reference for both
    expected = theirs.substitution_effect(net, x, SUBSTITUTIONS, device="cpu")
    compare(ours.substitution_effect(net, x, SUBSTITUTIONS, device="cpu", batch_size=4), expected)
    compare(ours.substitution_effect(net, x, SUBSTITUTIONS.numpy()), expected)
    compare(ours.substitution_effect(ours.from_torch(net, x[:1]), x, SUBSTITUTIONS), expected)
    nothing = ours.substitution_effect(net, x, torch.zeros((0, 3), dtype=torch.int64))
    compare([nothing.y_before], [nothing.y_after])


@pytest.mark.parametrize("left", [False, True])
def test_deletions_and_insertions(net: Any, left: bool) -> None:
    longer, x = letters(4, LENGTH + 3), letters(4)
    compare(
        ours.deletion_effect(net, longer, DELETIONS, left, verbose=False),
        theirs.deletion_effect(net, longer, DELETIONS, left, device="cpu"),
    )
    expected = theirs.insertion_effect(net, x, INSERTIONS, left, device="cpu")
    compare(ours.insertion_effect(net, x, INSERTIONS, left), expected)
    compare(ours.insertion_effect(ours.from_torch(net, x[:1]), x, INSERTIONS, left, batch_size=3), expected)


def test_other_inputs_and_functions(net: Any) -> None:
    torch.manual_seed(3)
    controls, x = torch.rand(5, 1, LENGTH), letters(5)
    with_controls = Net(controls=True).eval()
    compare(
        ours.substitution_effect(with_controls, x, SUBSTITUTIONS, args=(controls,)),
        theirs.substitution_effect(with_controls, x, SUBSTITUTIONS, args=(controls,), device="cpu"),
    )
    options = {"start": 20, "end": 40}
    found = ours.substitution_effect(
        net,
        x[:3],
        SUBSTITUTIONS[:4],
        func=ours.saturation_mutagenesis,
        additional_func_kwargs={"func": counts},
        **options,
    )
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    expected = theirs.substitution_effect(
        net, x[:3], SUBSTITUTIONS[:4], func=saturation_mutagenesis, additional_func_kwargs={"func": counts},
        device="cpu", **options,
    )  # fmt: skip
    compare(found, expected)


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        (torch.tensor([[0, 5, 1], [0, 5, 2]]), "one substitution at a position"),
        (torch.tensor([[0, LENGTH, 1]]), "that exist"),
        (torch.tensor([[0, -1, 1]]), "that exist"),
        (torch.tensor([[0, 1, 4]]), "that exist"),
        (torch.tensor([[0, 1]]), "a row each"),
        (torch.tensor([[0, 1.5, 2]]), "whole numbers"),
    ],
)
def test_edits_refused(net: Any, edits: Any, fault: str) -> None:
    with pytest.raises(fc.InputError, match=fault):
        ours.substitution_effect(net, letters(1), edits)


def test_functions_of_outputs_and_uncertain_letters(net: Any) -> None:
    x = letters(4)
    x[:, :, 7] = 0.25
    for options in ({"func": counts}, {}):
        for edit, edits in (("substitution", SUBSTITUTIONS[:4]), ("insertion", INSERTIONS)):
            mine, other = (getattr(module, f"{edit}_effect") for module in (ours, theirs))
            found = mine(net, x, edits, additional_func_kwargs=options)
            compare(found, other(net, x, edits, device="cpu", additional_func_kwargs=options))
    with pytest.raises(fc.UnsupportedError, match="needs a module"):
        ours.insertion_effect(ours.from_torch(net, x[:1]), x, INSERTIONS, additional_func_kwargs={"func": counts})


def test_arguments_refused(net: Any) -> None:
    with pytest.raises(fc.UnsupportedError, match="no counterpart"):
        ours.insertion_effect(net, letters(4), INSERTIONS, packed=True)
    with pytest.raises(fc.OptionError, match="float32"):
        ours.substitution_effect(net, letters(5), SUBSTITUTIONS, dtype=torch.float16)
    with pytest.raises(fc.InputError, match="entry for each example"):
        ours.substitution_effect(net, letters(5), SUBSTITUTIONS, args=(torch.rand(10, 1, LENGTH),))
    with pytest.raises(fc.InputError, match="N, letters, length"):
        ours.insertion_effect(net, letters(4)[:0], INSERTIONS)
    with pytest.raises(fc.InputError, match="leaves a part"):
        ours.deletion_effect(net, letters(1, 2), torch.tensor([[0, 0], [0, 1]]))
