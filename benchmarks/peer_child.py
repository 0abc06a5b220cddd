"""Runs inside the environment of `benchmarks.peer`: fastISM on a model built there with our weights.

One JSON request per line on stdin, one JSON answer per line on stdout.
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.insert(0, sys.argv[1])
answers, sys.stdout = sys.stdout, sys.stderr  # fastISM prints

import fastism  # noqa: E402
import numpy as np  # noqa: E402

from fastism_compiler import models  # noqa: E402


def build(name, weights):
    """One of our models under Keras 2, with given weights."""
    module = sys.modules[getattr(models, name).__module__]
    module.randomize = lambda model, seed=0: model  # weights come from the file
    model = getattr(models, name)()
    with np.load(weights) as arrays:
        model.set_weights([arrays[key] for key in arrays.files])
    return model


def main():
    """Answer requests until the pipe closes."""
    ism = x = None
    for line in sys.stdin:
        request = json.loads(line)
        if "model" in request:
            x = np.load(request["x"])
            ism = fastism.FastISM(build(request["model"], request["weights"]), test_correctness=False)
            outputs = ism(x)
            outputs = outputs if isinstance(outputs, list) else [outputs]
            for k, y in enumerate(outputs):
                np.save(os.path.join(request["out"], f"scores{k}.npy"), np.asarray(y))
            answer = {"outputs": len(outputs)}
        else:
            started = time.perf_counter()
            ism(x)
            answer = {"seconds": time.perf_counter() - started}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
