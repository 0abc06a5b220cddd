"""Settings: what decides the numbers of a run besides the model and the input, and who computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from fastism_compiler.arguments import flag, number, or_none, pair, path, position_or_name, several, text, whole
from fastism_compiler.frontend.ensemble.models import check_combine
from fastism_compiler.genomics.alphabet import find_alphabet
from fastism_compiler.host.runtimes import RUNTIMES
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.profile_scores import PROFILE
from fastism_compiler.runs.scores import find_score
from fastism_compiler.runs.splice_scores import SPLICE
from fastism_compiler.runs.tables import TABLES

_MOST = 1024
"""Workers, or threads, of one run at most: more would not start."""
DISTANCE = 50
"""Bases on both sides of a variant, by default: SpliceAI's."""
REDUCTIONS = ("sum", "mean", "max")
MEAN_OF_SCORES = "scores"
_COMBINATIONS = {PROFILE: ("mean", MEAN_OF_SCORES), SPLICE: ("mean",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How sequences are read and scored.

    Attributes:
        alphabet: `dna`, `rna` or `protein`.
        seq_input: the mutated input, by number or name.
        length: sequence length, where the model leaves it open.
        stop_at: layers from which on everything is recomputed.
        channels: the channel (or token) of each letter; None: in the alphabet's order.
        unknown_token: the token of an unknown letter, for models that read tokens.
        outputs: which outputs, such as `profile` or `head:3,7` (see `outputs.py`); empty: all.
        reduce: `sum`, `mean` or `max` over all axes of each output, on the device.
        score: a name of `scores.SCORES`, or one of `tables`.
        pseudocount: added to both sides of `log2fc`.
        rc: average with the reverse complement.
        pad: unknown letters beyond the ends of chromosomes and around short records.
        aliases: other names of the genome's chromosomes: `auto` (`chr1` is `1`, `chrM` is `MT`), or a file with two
            names in each line.
        skip: leave out and count what cannot be scored, instead of stopping there.
        batch_size: most sequences per block; None: by memory, at most 32.
        runtime: what runs the programs: `tensorflow`, `jax`, `onnxruntime` or `auto` (see `compile`).
        imports: modules of the user that register layers, imported before a model file is loaded.
        custom: `NAME=MODULE:CLASS` for each class that a model file names and Keras does not have.
        safe_mode: refuse model files that hold Python code or name what is not allowed (see `compile`).
        also: paths of further models, such as folds, whose outputs are combined with those of the first.
        combine: `mean` or `logits` (see `compile`); of variants also `scores`: every model is scored by itself, and
            the scores are averaged.
    """

    alphabet: str = "dna"
    seq_input: int | str = 0
    length: int | None = None
    stop_at: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None
    unknown_token: int | None = None
    outputs: tuple[str, ...] = ()
    reduce: str | None = None
    score: str = "delta"
    pseudocount: float = 1.0
    rc: bool = False
    pad: bool = False
    aliases: str | None = None
    skip: bool = False
    batch_size: int | None = None
    runtime: str = RUNTIMES[0]
    imports: tuple[str, ...] = ()
    custom: tuple[str, ...] = ()
    safe_mode: bool = True
    also: tuple[str, ...] = ()
    combine: str = "mean"

    def __post_init__(self) -> None:
        _check_kinds(self, {**_KINDS, **self.more_kinds()})

    @classmethod
    def more_kinds(cls) -> Mapping[str, Kind]:
        """The kinds of the fields that a class adds."""
        return {}

    @classmethod
    def tables(cls) -> Sequence[str]:
        """Names of scores that are made of all outputs together."""
        return ()

    @property
    def models(self) -> int:
        """How many models there are."""
        return 1 + len(self.also)

    @property
    def apart(self) -> bool:
        """Whether every model is scored by itself."""
        return self.combine == MEAN_OF_SCORES

    def check(self) -> None:
        """Refuse values outside their domain.

        Raises:
            OptionError: an unknown alphabet, score, reduction or runtime; `rc` without complements; a token that is no
                int32.
        """
        alphabet = find_alphabet(self.alphabet)
        if self.score not in self.tables():
            find_score(self.score)
        if self.apart and not self.tables():
            raise OptionError(
                "scores are averaged for variants; a scan combines outputs",
                expected="combine='mean' or 'logits'",
                got=f"combine={self.combine!r}",
            )
        if not self.apart:
            check_combine(self.combine)
        if self.combine != "mean" and not self.also:
            raise OptionError("combine= is for several models", expected="also=, the other models", got="one model")
        if self.rc:
            _ = alphabet.complement_order
        if self.reduce is not None and self.reduce not in REDUCTIONS:
            raise OptionError("no such reduction", expected=f"one of {list(REDUCTIONS)}", got=repr(self.reduce))
        if self.runtime not in RUNTIMES:
            raise OptionError("no such runtime", expected=f"one of {list(RUNTIMES)}", got=repr(self.runtime))
        if self.unknown_token is not None and not -(1 << 31) <= self.unknown_token < 1 << 31:
            raise OptionError("a token is an int32", got=self.unknown_token)

    def change_ranges(self, length: int) -> list[tuple[int, int]] | None:
        """What the program is compiled for, in a model input of this length; None: every position."""
        del length
        return None

    def to_json(self) -> dict[str, Any]:
        """As plain data; of a single model, without what belongs to several."""
        data = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return data if self.also else {k: v for k, v in data.items() if k not in ("also", "combine")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From plain data."""
        known = {f.name for f in fields(cls)}
        values = {k: _frozen(v) for k, v in data.items() if k in known}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings(Settings):
    """How a scan mutates.

    Attributes:
        window: only this many positions in the middle of the model's input; None: all.
        ranges: replace these `[start, end)` by unknown letters, instead of every letter by every other.
    """

    window: int | None = None
    ranges: tuple[tuple[int, int], ...] | None = None

    @classmethod
    def more_kinds(cls) -> Mapping[str, Kind]:
        """The kinds of the fields above."""
        return {"window": or_none(whole), "ranges": or_none(several(pair))}

    def check(self) -> None:
        """Refuse values outside their domain.

        Raises:
            OptionError: see `Settings.check`; both a window and ranges, or an empty one.
        """
        Settings.check(self)
        if self.window is not None and self.ranges is not None:
            raise OptionError("a scan has a window or ranges, not both", got=f"{self.window} and {self.ranges}")
        if self.window is not None and self.window < 1:
            raise OptionError("a window has at least one position", got=self.window)
        if self.ranges is not None and not self.ranges:
            raise OptionError("at least one range is needed", got="none")

    def change_ranges(self, length: int) -> list[tuple[int, int]] | None:
        """The ranges, or the window's positions; None: every position."""
        if self.ranges is not None:
            return list(self.ranges)
        return None if self.window is None else [(p, p + 1) for p in self.positions(length)]

    def positions(self, length: int) -> list[int]:
        """The scanned positions of a model input of this length: all, or the window in its middle.

        Raises:
            OptionError: a window longer than the input.
        """
        if self.window is None:
            return list(range(length))
        if self.window > length:
            raise OptionError("a window fits the model's input", expected=f"at most {length}", got=self.window)
        begin = (length - self.window) // 2
        return list(range(begin, begin + self.window))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        data = Settings.to_json(self)
        return data if self.ranges is None else {**data, "ranges": [list(r) for r in self.ranges]}


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSettings(Settings):
    """How variants are scored.

    The score may also be a table: `profile` (see `profile_scores.py`) or `splice` (see `splice_scores.py`).

    Attributes:
        genes: of `splice`: a file of genes (see `Genes`).
        distance: of `splice`: how far from a variant splice sites are looked for, in bases.
        mask: of `splice`: leave out gains of annotated sites and losses of others.
    """

    genes: str | None = None
    distance: int = DISTANCE
    mask: bool = False

    @classmethod
    def more_kinds(cls) -> Mapping[str, Kind]:
        """The kinds of the fields above."""
        genes = or_none(lambda name, value: str(path(name, value)))
        return {"genes": genes, "distance": lambda name, value: whole(name, value, 1), "mask": flag}

    @classmethod
    def tables(cls) -> Sequence[str]:
        """Names of scores that are made of all outputs together."""
        return tuple(TABLES)

    def check(self) -> None:
        """Refuse values outside their domain.

        Raises:
            OptionError: see `Settings.check`; a table of models combined in another way; `splice` without genes, with
                `rc` or `reduce`; what belongs to it for another score.
        """
        Settings.check(self)
        if (self.score == SPLICE) != (self.genes is not None):
            raise OptionError("score='splice' and genes= go together", got=f"{self.score!r} and genes={self.genes!r}")
        if self.score != SPLICE and (self.mask or self.distance != DISTANCE):
            raise OptionError("distance= and mask= belong to score='splice'", got=repr(self.score))
        if self.score in self.tables() and self.combine not in (fits := _COMBINATIONS[self.score]):
            expected = " or ".join(f"combine={name!r}" for name in fits)
            raise OptionError(
                f"score={self.score!r} is of the mean of models", expected=expected, got=repr(self.combine)
            )
        if self.score == SPLICE and (self.rc or self.reduce is not None):
            raise OptionError("score='splice' reads every base of the gene's strand", expected="no rc= or reduce=")

    def to_json(self) -> dict[str, Any]:
        """As plain data; without what belongs to `splice`, unless that is the score."""
        data = Settings.to_json(self)
        return data if self.score == SPLICE else {k: v for k, v in data.items() if k not in self.more_kinds()}


Kind = Callable[[str, Any], Any]
"""Reads a value of this kind, or refuses it by the name of its field."""
_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "alphabet": text,
        "seq_input": position_or_name,
        "length": or_none(whole),
        "stop_at": lambda name, value: (value,) if isinstance(value, str) else several(text)(name, value),
        "channels": or_none(several(whole)),
        "unknown_token": or_none(whole),
        "outputs": several(text),
        "reduce": or_none(text),
        "aliases": or_none(text),
        "score": text,
        "pseudocount": lambda name, value: number(name, value, 0),
        **dict.fromkeys(("rc", "pad", "skip", "safe_mode"), flag),
        "batch_size": or_none(lambda name, value: whole(name, value, 1)),
        "runtime": text,
        "imports": several(text),
        "custom": several(text),
        "also": several(lambda name, value: str(path(name, value))),
        "combine": text,
    }
)


def _check_kinds(settings: Settings | Execution, kinds: Mapping[str, Kind]) -> None:
    """Refuse values of another kind; lists become tuples, numpy's numbers Python's.

    Raises:
        OptionError: such a value.
    """
    for name, kind in kinds.items():
        object.__setattr__(settings, name, kind(name, getattr(settings, name)))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Who computes what. Nothing here changes a number by more than rounding.

    Attributes:
        join: share the work with other runs of the same command on the same store.
        shard: `(i, n)`: only the `i`-th of `n` parts of the tasks (from 1); shards join by themselves.
        workers: local processes; with GPUs, one on each.
        threads: threads of each process (equal bits need equal threads); None:
            TensorFlow's choice, or the cores divided among local workers.
        client: a `distributed.Client`, or the address of a scheduler.
        verify: compare a few ranges with naive ISM first.
    """

    join: bool = False
    shard: tuple[int, int] | None = None
    workers: int = 1
    threads: int | None = None
    client: Any = None
    verify: bool = True

    def __post_init__(self) -> None:
        counts: dict[str, Kind] = {"shard": or_none(pair), "workers": whole, "threads": or_none(whole)}
        _check_kinds(self, {**counts, "join": flag, "verify": flag})

    def check(self, model: Any) -> None:
        """Refuse what does not go together.

        Raises:
            OptionError: no worker or thread, or more than 1,024; a shard that does not exist; workers beside a client;
                a model that other processes cannot load.
        """
        if not all(1 <= count <= _MOST for count in (self.workers, self.threads or 1)) or self.threads == 0:
            raise OptionError(
                "workers and threads are counted from 1", expected=f"1 .. {_MOST}", got=(self.workers, self.threads)
            )
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise OptionError("a shard is i/n, i from 1 to n", expected="such as 1/8", got="{}/{}".format(*self.shard))
        if self.client is not None and self.workers > 1:
            raise OptionError("a cluster brings its own workers", expected="workers or a client", got="both")
        if (self.client is not None or self.workers > 1) and not isinstance(model, str | Path):
            raise OptionError("other processes load the model from a file", expected="a path", got=type(model).__name__)

    def tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """This shard's part of the tasks."""
        return tasks if self.shard is None else tasks[self.shard[0] - 1 :: self.shard[1]]
