"""Model files that try to run code: refused by name, and nothing has run, unless the user says `safe_mode=False`."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest
import tf_keras

import fastism_compiler as fc
from fastism_compiler.frontend.keras import file_config, loading
from fastism_compiler.frontend.keras import keras2 as keras2_module
from fastism_compiler.frontend.keras.loading import load_model
from tests.frontend.model_files import Config, changed, keras2, keras3, layer

MAKERS = [(keras3, ".keras"), (keras3, ".h5"), (keras2, ".keras"), (keras2, ".h5")]
IDS = ["keras3-keras", "keras3-h5", "keras2-keras", "keras2-h5"]
Make = tuple[Callable[[Path], Path], str]


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """A file that exists once hostile code has run."""
    return tmp_path / "ran"


def refused(path: Path, *parts: str, **options: Any) -> None:
    with pytest.raises(fc.ModelError) as caught:
        load_model(path, **options)
    for part in (path.name, *parts):
        assert part in str(caught.value)


def write_lambda(library: Any, path: Path, ran: Path) -> Path:
    inputs = library.Input((20, 4))
    code: Any = eval(f"lambda x: (open({str(ran)!r}, 'w').close(), x)[1]")
    library.Model(inputs, library.layers.GlobalMaxPooling1D()(library.layers.Lambda(code, name="evil")(inputs))).save(
        path
    )
    ran.unlink()
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
def test_a_lambda_runs_only_where_the_user_says_so(library: Any, suffix: str, tmp_path: Path, ran: Path) -> None:
    path = write_lambda(library, tmp_path / f"model{suffix}", ran)
    refused(path, "Python code", "Lambda", "'evil'", "--unsafe-load")
    assert not ran.exists()
    load_model(path, safe_mode=False)
    assert ran.exists()


@pytest.mark.parametrize("make", MAKERS, ids=IDS)
def test_a_file_that_is_swapped_after_the_check_is_not_loaded(
    make: Make, tmp_path: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what is loaded."""
    write, suffix = make
    library = keras if write is keras3 else tf_keras
    evil = write_lambda(library, tmp_path / f"evil{suffix}", ran)
    path = write(tmp_path / f"model{suffix}")
    real = loading.check_config

    def slow(*arguments: Any) -> None:
        real(*arguments)
        path.write_bytes(evil.read_bytes())

    monkeypatch.setattr(loading, "check_config", slow)
    monkeypatch.setattr(keras2_module, "check_config", slow)
    assert len(load_model(path).layers) == 5
    assert not ran.exists()
    refused(path, "Python code")


def test_a_file_that_changes_under_the_reader_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras3(tmp_path / "model.keras")

    def slow(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())
        source.write_bytes(b"another")

    monkeypatch.setattr(file_config.shutil, "copyfile", slow)
    refused(path, "changed while it was read")


def test_no_room_for_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras3(tmp_path / "model.keras")

    def full(*_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(file_config.shutil, "copyfile", full)
    refused(path, "TMPDIR", "No space left")


def test_a_function_that_a_keras_2_lambda_names(tmp_path: Path, ran: Path) -> None:
    """tf_keras imports and calls it while the model is built."""

    def change(config: Config) -> None:
        layer(config, "act").update(class_name="Lambda")
        layer(config, "act")["config"] = {
            "name": "act",
            "function": {
                "module": "pydoc",
                "class_name": "function",
                "config": "pipepager",
                "registered_name": "pipepager",
            },
            "function_type": "function",
            "output_shape": None,
            "output_shape_type": "raw",
            "arguments": {"cmd": f"touch {ran}"},
        }

    path = changed(keras2(tmp_path / "model.keras"), change)
    refused(path, "pipepager of pydoc", "'act'", "custom_objects")
    assert not ran.exists()


EVIL = "evil_module_of_a_test"
FOREIGN = {
    "class": {"module": EVIL, "class_name": "Evil", "config": {}, "registered_name": "Evil"},
    "class without a module": {"class_name": "Evil", "config": {}},
    "function": {"module": EVIL, "class_name": "function", "config": "evil", "registered_name": "relu"},
    "builtin": {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    "internals of Keras": {"module": "keras.src.ops.numpy", "class_name": "np", "config": {}},
    "a module of Keras": {"module": "keras.utils", "class_name": "function", "config": "get_file"},
    "SavedModel": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}},
    "PyTorch": {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"}},
    "JAX": {"module": "keras.layers", "class_name": "JaxLayer", "config": {"call_fn": None}},
    "Flax": {"module": "keras.layers", "class_name": "FlaxLayer", "config": {"module": "x"}},
    "bytecode": {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}},
    "type": {"class_name": "__typespec__", "module": EVIL, "spec_name": "Evil", "config": [], "registered_name": None},
    "old type": {"class_name": "TypeSpec", "type_spec": "x", "serialized": []},
    "deserializer": {"class_name": "deserialize", "config": {"config": {}}},
    "no name": {"class_name": ["Dense"], "config": {}},
    "two names": {"module": EVIL, "class_name": "Evil", "config": {}, "registered_name": "Dense"},
    "passive": {"module": "keras.layers", "class_name": "Evil", "config": {}, "__passive_serialization__": True},
}


def activation(config: Config, evil: Config) -> None:
    layer(config, "act")["config"]["activation"] = evil


def initializer(config: Config, evil: Config) -> None:
    layer(config, "conv")["config"]["kernel_initializer"] = evil


def dtype_policy(config: Config, evil: Config) -> None:
    layer(config, "conv")["config"]["dtype"] = evil


def argument_of_a_call(config: Config, evil: Config) -> None:
    layer(config, "act")["inbound_nodes"].append({"args": [evil], "kwargs": {"deep": [{"er": evil}]}})


def wrapped(config: Config, evil: Config) -> None:
    layer(config, "act").update(class_name="TimeDistributed", config={"name": "act", "layer": evil})


def both_ways(config: Config, evil: Config) -> None:
    honest = {"class_name": "LSTM", "config": {"units": 2}}
    inner = {"name": "act", "layer": honest, "backward_layer": evil}
    layer(config, "act").update(class_name="Bidirectional", config=inner)


def built_or_compiled(config: Config, evil: Config) -> None:
    layer(config, "act")["build_config"] = {"input_shape": [evil]}
    layer(config, "act")["compile_config"] = {"loss": evil}


def shared(config: Config, evil: Config) -> None:
    layer(config, "conv")["config"]["bias_initializer"] = {**evil, "shared_object_id": 7}


def whole_layer(config: Config, evil: Config) -> None:
    layer(config, "act").update({**evil, "config": {"name": "act", "config": evil["config"]}})


PLACES = [activation, initializer, dtype_policy, argument_of_a_call, wrapped, both_ways, built_or_compiled, shared]


@pytest.fixture
def evil_module(tmp_path: Path, ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{EVIL}.py").write_text(f"open({str(ran)!r}, 'w').close()\nEvil = evil = print\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("evil_module")
@pytest.mark.parametrize("make", MAKERS, ids=IDS)
def test_nothing_foreign_is_reached_from_anywhere(make: Make, tmp_path: Path, ran: Path) -> None:
    write, suffix = make
    honest = write(tmp_path / f"honest{suffix}").read_bytes()
    path = tmp_path / f"model{suffix}"
    tries = [(place, evil) for place in PLACES for evil in (FOREIGN["class"], FOREIGN["function"])]
    for place, evil in [*tries, *((activation, e) for e in FOREIGN.values()), (whole_layer, FOREIGN["class"])]:
        path.write_bytes(honest)
        changed(path, lambda config, place=place, evil=evil: place(config, evil))
        refused(path)
        assert not ran.exists(), (place, evil)
        assert EVIL not in sys.modules
    changed(path, lambda config: config.update(FOREIGN["class"]))
    refused(path, "Evil")
    assert not ran.exists()


@pytest.mark.usefixtures("evil_module")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_name_registered_with_one_keras_is_no_name_of_the_other(tmp_path: Path, ran: Path, suffix: str) -> None:
    """A Keras 2 file goes to both: what Keras 3 knows, tf_keras would import by module."""

    @keras.saving.register_keras_serializable("test_hostile")
    class Honest(keras.layers.Layer):  # type: ignore[misc]
        pass

    def change(config: Config) -> None:
        layer(config, "act").update(module=EVIL, class_name="Evil", registered_name="test_hostile>Honest")

    refused(changed(keras2(tmp_path / f"model{suffix}"), change), "test_hostile>Honest")
    assert not ran.exists()
    assert EVIL not in sys.modules


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    "symbol",
    ["io.write_file", "raw_ops.WriteFile", "py_function", "numpy_function", "keras.utils.get_file", "", 3, None],
)
def test_a_keras_2_call_of_another_function_of_tensorflow(tmp_path: Path, symbol: Any, suffix: str) -> None:
    def change(config: Config) -> None:
        layer(config, "act").update(class_name="TFOpLambda", config={"name": "act", "function": symbol})
        if suffix == ".keras":
            layer(config, "act")["module"] = "tf_keras.src.layers.core.tf_op_layer"

    refused(changed(keras2(tmp_path / f"model{suffix}"), change), "only compute", str(symbol), "'act'")


@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup", "TextVectorization"])
@pytest.mark.parametrize("make", MAKERS, ids=IDS)
def test_a_vocabulary_in_another_file(tmp_path: Path, make: Make, kind: str) -> None:
    write, suffix = make
    inner = {"name": "act", "vocabulary": "/etc/passwd"}
    path = changed(write(tmp_path / f"m{suffix}"), lambda c: layer(c, "act").update(class_name=kind, config=inner))
    refused(path, "another file", "/etc/passwd")


def test_weights_in_another_file(tmp_path: Path) -> None:
    path = keras3(tmp_path / "model.h5")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = [1.0, 2.0]
    with h5py.File(path, "r+") as file:
        del file["model_weights"]["head"]
        file["model_weights"]["head"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    refused(path, "other files", "head")


def test_operations_that_hdf5_loses(tmp_path: Path) -> None:
    inputs = keras.Input((20, 4))
    path = tmp_path / "model.h5"
    keras.Model(inputs, keras.ops.exp(keras.layers.Dense(2)(inputs))[:, 1]).save(path)
    refused(path, "saved again as a .keras file", "Exp")
