"""Scans of files, end to end, against plain loops over `model.predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zarr

import fastism_compiler as fc
from fastism_compiler.options import CompileOptions
from tests.runs.models import LENGTH, close, genome, predict, reverse, saturate, save, small_model, write_fasta

EXAMPLE = Path(__file__).parents[2] / "examples" / "lambda_phage.fa"
ALONE = fc.Execution(verify=False)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_model()


@pytest.fixture(scope="module")
def path(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(model, tmp_path_factory.mktemp("model"))


def texts(count: int, length: int = LENGTH, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(count)]


def fasta(tmp_path: Path, sequences: list[str]) -> Path:
    return write_fasta(tmp_path / "in.fa", {f"s{i}": t for i, t in enumerate(sequences)}, width=25)


def scan(path: Any, source: Path, tmp_path: Path, genome: Path | None = None, **settings: Any) -> Any:
    summary = fc.scan(
        path, source, tmp_path / "out.zarr", genome=genome, settings=fc.ScanSettings(**settings), execution=ALONE
    )
    assert summary.complete
    return zarr.open_group(str(tmp_path / "out.zarr"), mode="r")


def test_regions_of_phage_lambda(path: str, model: keras.Model, tmp_path: Path) -> None:
    """Windows of both strands of a real genome, from BED with and without strands."""
    text = "".join(EXAMPLE.read_text().split("\n")[1:])
    bed = tmp_path / "in.bed"
    starts = [(35_588, "-"), (37_987, "+"), (1000, "."), (48_400, "-")]
    bed.write_text("".join(f"NC_001416.1\t{s}\t{s + 29}\tp{s}\t0\t{strand}\n" for s, strand in starts))
    genome_path = tmp_path / "lambda.fa"
    genome_path.write_bytes(EXAMPLE.read_bytes())
    store = scan(path, bed, tmp_path, genome_path, window=20)
    windows = []
    for s, strand in starts:
        begin = s + 29 // 2 - LENGTH // 2
        window = text[begin : begin + LENGTH]
        windows.append(reverse(window) if strand == "-" else window)
    positions = list(range(20, 40))
    references = predict(model, windows)
    for k, name in enumerate(("head", "chance")):
        close(store[f"scores/{name}"][:], saturate(model, windows, positions)[k] - references[k][:, None, None])
        close(store[f"reference/{name}"][:], references[k])
    assert store["positions"][:].tolist() == positions
    assert store["strand"][:].tolist() == ["-", "+", "+", "-"]
    assert store["start"][:].tolist() == [s + 14 - 30 for s, _ in starts]
    assert store.attrs["outputs"] == ["head", "chance"]


@pytest.mark.traced
def test_300_regions_of_a_generated_genome(path: str, model: keras.Model, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sequences = genome(rng, {"chr1": 120_000, "chr2": 80_000})
    fasta_path = write_fasta(tmp_path / "genome.fa", sequences)
    bed, windows = [], []
    for i in range(300):
        chrom = str(rng.choice(["chr1", "chr2"]))
        start = int(rng.integers(40, len(sequences[chrom]) - 200))
        end, strand = start + int(rng.integers(1, 120)), "+-"[i % 2]
        begin = (start + end) // 2 - LENGTH // 2
        window = sequences[chrom][begin : begin + LENGTH]
        windows.append(window if strand == "+" else reverse(window))
        bed.append(f"{chrom}\t{start}\t{end}\t.\t0\t{strand}")
    (tmp_path / "in.bed").write_text("\n".join(bed) + "\n")
    store = scan(path, tmp_path / "in.bed", tmp_path, fasta_path, batch_size=8)
    assert store.attrs["rows_per_task"] == 8, "several tasks, the last of them short"
    naive, references = saturate(model, windows, list(range(LENGTH))), predict(model, windows)
    for k, name in enumerate(("head", "chance")):
        close(store[f"scores/{name}"][:], naive[k] - references[k][:, None, None])
        close(store[f"reference/{name}"][:], references[k])
    one_hot = np.eye(4, dtype=bool)[store["sequence"][:]]
    assert (store["scores/head"][:][one_hot] == 0).all(), "the letter that is there already has no effect"
    assert store.attrs["counts"]["sequences"] == 300


SCORES = {
    "delta": lambda alt, ref: alt - ref,
    "value": lambda alt, ref: alt,
    "logit": lambda alt, ref: np.log(alt / (1 - alt)) - np.log(ref / (1 - ref)),
    "log2fc": lambda alt, ref: np.log2((alt + 0.5) / (ref + 0.5)),
}


@pytest.mark.parametrize("score", SCORES)
def test_scores(score: str, path: str, model: keras.Model, tmp_path: Path) -> None:
    sequences = texts(3)
    store = scan(
        path, fasta(tmp_path, sequences), tmp_path, score=score, pseudocount=0.5, outputs=("chance",), window=9
    )
    alternates = saturate(model, sequences, list(range(25, 34)))[1].astype(np.float64)
    references = predict(model, sequences)[1].astype(np.float64)[:, None, None]
    close(store["scores/chance"][:], SCORES[score](alternates, np.broadcast_to(references, alternates.shape)))


@pytest.mark.parametrize("runtime", ["jax", "onnxruntime"])
def test_another_runtime(
    runtime: str, path: str, model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CompileOptions.__init__.__kwdefaults__, "jit", True)
    sequences = texts(2)
    store = scan(path, fasta(tmp_path, sequences), tmp_path, runtime=runtime, outputs=("chance",), window=9)
    alternates, reference = saturate(model, sequences, list(range(25, 34)))[1], predict(model, sequences)[1]
    close(store["scores/chance"][:], alternates - reference[:, None, None])
    assert store.attrs["settings"]["runtime"] == runtime


def test_a_score_that_does_not_exist_is_nan_and_counted(path: str, model: keras.Model, tmp_path: Path) -> None:
    """The head is no probability: its log odds exist only where it lies between 0 and 1."""
    sequences = texts(4)
    store = scan(path, fasta(tmp_path, sequences), tmp_path, score="logit", outputs=("head",), window=5)
    alternates = saturate(model, sequences, list(range(27, 32)))[0]
    references = np.broadcast_to(predict(model, sequences)[0][:, None, None], alternates.shape)
    exists = (alternates > 0) & (alternates < 1) & (references > 0) & (references < 1)
    assert 0 < exists.sum() < exists.size
    np.testing.assert_array_equal(np.isnan(store["scores/head"][:]), ~exists)
    assert store.attrs["counts"]["unscored"] == (~exists).sum()


@pytest.mark.parametrize("window", [LENGTH, 9])  # 60 - 9 is odd: the window of the other strand lies elsewhere
def test_average_with_the_reverse_complement(window: int, path: str, model: keras.Model, tmp_path: Path) -> None:
    sequences = [*texts(3), "N" * 31 + "ACGTA" * 5 + "NNNN"]
    store = scan(path, fasta(tmp_path, sequences), tmp_path, window=window, rc=True, batch_size=2)
    begin = (LENGTH - window) // 2
    positions = list(range(begin, begin + window))
    other = [reverse(t) for t in sequences]
    forward = saturate(model, sequences, positions)
    backward = saturate(model, other, [LENGTH - 1 - p for p in positions])
    for k, name in enumerate(("head", "chance")):
        ref = predict(model, sequences)[k], predict(model, other)[k]
        deltas = forward[k] - ref[0][:, None, None], backward[k][:, :, ::-1] - ref[1][:, None, None]
        close(store[f"scores/{name}"][:], (deltas[0] + deltas[1]) / 2)
        close(store[f"reference/{name}"][:], (ref[0] + ref[1]) / 2)


@pytest.mark.parametrize("rc", [False, True])
def test_ranges_are_replaced_by_unknown_letters(rc: bool, path: str, model: keras.Model, tmp_path: Path) -> None:
    sequences, ranges = texts(3), ((3, 10), (8, 9), (50, 60))
    store = scan(path, fasta(tmp_path, sequences), tmp_path, ranges=ranges, rc=rc, outputs=("head",))
    expected = []
    for start, end in ranges:
        mutants = [t[:start] + "N" * (end - start) + t[end:] for t in sequences]
        effect = predict(model, mutants)[0] - predict(model, sequences)[0]
        if rc:
            other = (
                predict(model, [reverse(t) for t in mutants])[0] - predict(model, [reverse(t) for t in sequences])[0]
            )
            effect = (effect + other) / 2
        expected.append(effect)
    close(store["scores/head"][:], np.stack(expected, axis=1))
    assert store["ranges"][:].tolist() == [list(r) for r in ranges]


def test_outputs_are_chosen_and_reduced_on_the_device(path: str, model: keras.Model, tmp_path: Path) -> None:
    sequences = texts(2)
    store = scan(path, fasta(tmp_path, sequences), tmp_path, outputs=("head:0,2", "1"), reduce="sum", window=3)
    naive, references = saturate(model, sequences, [28, 29, 30]), predict(model, sequences)
    close(store["scores/head"][:], (naive[0] - references[0][:, None, None])[..., [0, 2]].sum(-1))
    close(store["scores/chance"][:], (naive[1] - references[1][:, None, None])[..., 0])


def test_unknown_letters_padding_and_what_is_left_out(path: str, model: keras.Model, tmp_path: Path) -> None:
    """A sequence of N alone has no letter to stand for the reference, and is scored all the same."""
    sequences = ["N" * LENGTH, texts(1)[0][:20].lower(), texts(1, seed=5)[0]]
    source = tmp_path / "in.fa"
    write_fasta(source, {"n": sequences[0], "short": sequences[1], "long": "A" * 61, "full": sequences[2]})
    settings = fc.ScanSettings(pad=True, skip=True, batch_size=2, window=4)
    summary = fc.scan(path, source, tmp_path / "out.zarr", settings=settings, execution=ALONE)
    store = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    padded = [sequences[0], "N" * 20 + sequences[1].upper() + "N" * 20, sequences[2]]
    naive, references = saturate(model, padded, [28, 29, 30, 31]), predict(model, padded)
    close(store["scores/head"][:], naive[0] - references[0][:, None, None])
    assert store["name"][:].tolist() == ["n", "short", "full"]
    assert summary.counts["sequences"] == 3
    assert summary.counts["unknown letters"] == 100
    assert summary.counts["left out: a record is not as long as the model's input"] == 1
    assert "in.fa:5" in summary.messages[0]


def test_chromosome_ends(path: str, model: keras.Model, tmp_path: Path) -> None:
    sequences = genome(np.random.default_rng(2), {"c": 100})
    fasta_path = write_fasta(tmp_path / "genome.fa", sequences)
    bed = tmp_path / "in.bed"
    bed.write_text("c\t0\t10\nc\t45\t55\nc\t90\t100\t.\t.\t-\n")
    store = scan(path, bed, tmp_path, fasta_path, pad=True, window=2)
    text = "N" * 25 + sequences["c"] + "N" * 25
    windows = [text[0:60], text[45:105], reverse(text[90:150])]
    close(store["reference/head"][:], predict(model, windows)[0])
    assert store["start"][:].tolist() == [-25, 20, 65]
    padded = fc.ScanSettings(pad=True)
    fc.scan(path, bed, tmp_path / "padded", genome=fasta_path, settings=padded, execution=ALONE)
    fc.convert(tmp_path / "padded", tmp_path / "padded.tsv", "tsv")
    lines = [line.split("\t") for line in (tmp_path / "padded.tsv").read_text().splitlines()[1:]]
    assert len(lines) == (3 * 60 - 2 * 25) * 3
    assert all(int(pos) >= 1 and sequences["c"][int(pos) - 1] == ref for _, _, pos, _, ref, *_ in lines)
    fc.scan(path, bed, tmp_path / "two", genome=fasta_path, settings=fc.ScanSettings(skip=True), execution=ALONE)
    assert zarr.open_group(str(tmp_path / "two"), mode="r")["start"][:].tolist() == [20]


def test_arrays_with_the_models_other_inputs(tmp_path: Path) -> None:
    sequence, age = keras.Input((20, 4), name="dna"), keras.Input((2,), name="age")
    y = keras.layers.Flatten()(keras.layers.Conv1D(3, 5, activation="relu")(sequence))
    model = keras.Model([sequence, age], keras.layers.Dense(1, name="out")(keras.layers.Concatenate()([y, age])))
    rng = np.random.default_rng(0)
    x, ages = np.eye(4)[rng.integers(0, 4, (5, 20))], rng.standard_normal((5, 2)).astype(np.float32)
    np.savez(tmp_path / "in.npz", dna=x, age=ages)
    store = scan(model, tmp_path / "in.npz", tmp_path, batch_size=2)
    for position in (0, 7, 19):
        for letter in range(4):
            mutants = x.copy()
            mutants[:, position] = np.eye(4)[letter]
            naive = model.predict([mutants, ages], verbose=0) - model.predict([x, ages], verbose=0)
            close(store["scores/out"][:, position, letter], naive)
    with pytest.raises(fc.OptionError, match="more inputs than a sequence"):
        fc.scan(model, write_fasta(tmp_path / "in.fa", {"a": "ACGT" * 5}), tmp_path / "b", execution=ALONE)
    np.savez(tmp_path / "in.npz", dna=x)
    with pytest.raises(fc.InputError, match="an input of the model is missing"):
        fc.scan(model, tmp_path / "in.npz", tmp_path / "c", execution=ALONE)


def test_tokens(tmp_path: Path) -> None:
    """A, C, G, T are tokens 5, 3, 2, 4; token 0 is an unknown letter."""
    inputs = keras.Input((30,), dtype="int32", name="tokens")
    y = keras.layers.Conv1D(4, 5, activation="relu")(keras.layers.Embedding(6, 8)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(keras.layers.GlobalAveragePooling1D()(y)))
    numbers = {"A": 5, "C": 3, "G": 2, "T": 4, "N": 0}
    sequences = [*texts(2, 30), "NN" + texts(1, 28)[0]]
    source = write_fasta(tmp_path / "in.fa", {f"s{i}": t for i, t in enumerate(sequences)})
    with pytest.raises(fc.InputError, match="reads tokens without one for it"):
        scan(model, source, tmp_path, channels=(5, 3, 2, 4))
    store = scan(model, source, tmp_path, channels=(5, 3, 2, 4), unknown_token=0)

    def naive(batch: list[str]) -> Any:
        return model.predict(np.array([[numbers[c] for c in t] for t in batch]), verbose=0)

    for position in range(0, 30, 7):
        for letter, name in enumerate("ACGT"):
            mutants = [t[:position] + name + t[position + 1 :] for t in sequences]
            close(store["scores/out"][:, position, letter], naive(mutants) - naive(sequences))


def test_other_orders_of_letters_and_rna(tmp_path: Path) -> None:
    model = small_model(24)
    rna = texts(2, 24)
    source = write_fasta(tmp_path / "in.fa", {f"s{i}": t.replace("T", "U") for i, t in enumerate(rna)})
    store = scan(model, source, tmp_path, alphabet="rna", channels=(3, 2, 1, 0), window=2)
    order = str.maketrans("ACGT", "TGCA")  # letter 0, A, is channel 3, which `predict` calls T
    naive = saturate(model, [t.translate(order) for t in rna], [11, 12])[0][:, :, ::-1]
    close(store["scores/head"][:], naive - predict(model, [t.translate(order) for t in rna])[0][:, None, None])


def test_what_has_no_meaning_is_refused(path: str, tmp_path: Path) -> None:
    inputs = keras.Input((20, 4), name="x")
    profile = keras.Model(inputs, keras.layers.Conv1D(2, 3, name="profile")(inputs))
    source = write_fasta(tmp_path / "in.fa", {"a": "ACGT" * 5})
    with pytest.raises(fc.OptionError, match="rc= averages outputs that do not run along the sequence"):
        scan(profile, source, tmp_path, rc=True)
    scan(profile, source, tmp_path, rc=True, reduce="mean")
    with pytest.raises(fc.OptionError, match="only DNA and RNA"):
        scan(path, source, tmp_path, alphabet="protein", rc=True)
    with pytest.raises(fc.OptionError, match="no such runtime"):
        scan(path, source, tmp_path, runtime="torch")
    with pytest.raises(fc.OptionError, match="other processes load the model from a file"):
        fc.scan(profile, source, tmp_path / "b", execution=fc.Execution(workers=2))


@pytest.mark.traced
def test_memory_does_not_grow_with_the_number_of_sequences(path: str, tmp_path: Path) -> None:
    """Eight times the sequences, the same peak: neither the input nor the scores are ever held as a whole."""
    import tracemalloc

    peaks = []
    for count in (1_000, 8_000):
        source = tmp_path / f"{count}.fa"
        with source.open("w") as file:
            for i in range(count):
                file.write(f">s{i}\n{'ACGT' * 15}\n")
        settings = fc.ScanSettings(ranges=((0, 1),), outputs=("chance",), batch_size=32)
        tracemalloc.start()
        fc.scan(path, source, tmp_path / f"{count}.zarr", settings=settings, execution=ALONE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5 + 4e6, f"{peaks[0] / 1e6:.1f} MB, then {peaks[1] / 1e6:.1f} MB"


def test_whole_numbers_beside_the_sequence_keep_every_digit(tmp_path: Path) -> None:
    """Beyond 2^24, where float32 holds even numbers only."""
    sequence, index = keras.Input((20, 4), name="dna"), keras.Input((1,), dtype="int32", name="index")
    y = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(2, 5)(sequence))
    odd = keras.ops.cast(index % 2, "float32")
    model = keras.Model([sequence, index], keras.layers.Dense(1, name="out")(y) * odd)
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (2, 20))]
    numbers = np.array([[2**24 + 1], [2**24]], np.int64)
    np.savez(tmp_path / "in.npz", dna=x, index=numbers)
    store = scan(model, tmp_path / "in.npz", tmp_path)
    np.testing.assert_array_equal(store["inputs/index"][:], numbers)
    (name,) = store.attrs["outputs"]
    close(store[f"reference/{name}"][:], model.predict([x, numbers.astype(np.int32)], verbose=0))
    for wrong in (2.0**40, 1.5, -(2.0**31) - 1):
        np.savez(tmp_path / "wrong.npz", dna=x, index=np.array([[1.0], [wrong]]))
        with pytest.raises(fc.InputError, match=r"wrong\.npz\[1\] index: an input of the model cannot hold"):
            fc.scan(model, tmp_path / "wrong.npz", tmp_path / "w", execution=ALONE)


def test_no_change_is_no_effect_beside_a_sequence_of_unknown_letters(path: str, tmp_path: Path) -> None:
    sequences = {"known": texts(1)[0], "unknown": "N" * LENGTH}
    store = scan(path, write_fasta(tmp_path / "in.fa", sequences), tmp_path, batch_size=2)
    own = np.array(["ACGT".index(c) for c in sequences["known"]])
    for name in ("head", "chance"):
        scores = store[f"scores/{name}"][0]
        assert not scores[np.arange(LENGTH), own].any()
        assert np.isfinite(store[f"scores/{name}"][:]).all()


def test_a_program_stands_for_its_model(model: keras.Model, tmp_path: Path) -> None:
    source = fasta(tmp_path, texts(2))
    program = fc.compile(model, jit=False, verify=False)
    store = scan(program, source, tmp_path, window=4)
    values, positions = program.saturate(fc.one_hot(texts(2)), delta=True), range(28, 32)
    for name, y in zip(("head", "chance"), values, strict=True):
        close(store[f"scores/{name}"][:], y[:, positions])
    chosen = fc.compile(model, outputs="head", jit=False, verify=False)
    with pytest.raises(fc.OptionError, match="compiled with outputs"):
        fc.scan(chosen, source, tmp_path / "other.zarr", execution=ALONE)
    ordered = fc.compile(model, channels=np.arange(4), jit=False, verify=False)
    with pytest.raises(fc.OptionError, match="compiled with channels"):
        fc.scan(ordered, source, tmp_path / "other.zarr", execution=ALONE)
    folds = fc.compile([model, model], jit=False, verify=False)
    with pytest.raises(fc.OptionError, match=r"a program of 2 models"):
        fc.scan(folds, source, tmp_path / "other.zarr", execution=ALONE)
