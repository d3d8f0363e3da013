"""Times the peers that this interpreter has on one workload; called by ``crossbar.py``.

    PYTHON benchmarks/crossbar_peers.py '{"vectors": 64, "shapes": [[512, 512]], "seconds": 8}'

Prints a JSON object: peer to CPU time as a multiple of numpy's float32 product of the same shapes,
run in turns in this process, one thread. It imports nothing of semc, which the interpreter need
not have.
"""

import json
import os
import sys
import time
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

Run = Callable[[], object]
Shapes = list[list[int]]


def aihwkit(vectors: int, shapes: Shapes) -> dict[str, Run]:
    """IBM's toolkit: its C++ tile with read noise of the weights, its torch tile with output
    noise; tiles of 512 x 512, 8-bit converters."""
    import torch
    from aihwkit.nn import AnalogLinear
    from aihwkit.simulator.configs import InferenceRPUConfig, TorchInferenceRPUConfig
    from aihwkit.simulator.parameters.enums import WeightNoiseType

    torch.set_num_threads(1)

    def layers(config: object) -> Run:
        config.mapping.max_input_size = config.mapping.max_output_size = 512
        config.forward.inp_res = config.forward.out_res = 1 / 254
        model = _chain(torch, [AnalogLinear(k, n, False, rpu_config=config) for k, n in shapes])
        x = torch.randn(vectors, shapes[0][0])
        return lambda: _no_grad(torch, model, x)

    read, output = InferenceRPUConfig(), TorchInferenceRPUConfig()
    read.forward.w_noise, read.forward.w_noise_type = 0.01, WeightNoiseType.ADDITIVE_CONSTANT
    read.forward.out_noise = 0.0
    output.forward.out_noise = 0.01
    return {"aihwkit C++ tile, read noise": layers(read), "aihwkit torch tile": layers(output)}


def lightning(vectors: int, shapes: Shapes) -> dict[str, Run]:
    """IBM's aihwkit-lightning: 8-bit inputs and outputs, no noise."""
    import torch
    from aihwkit_lightning.nn import AnalogLinear
    from aihwkit_lightning.simulator.configs import TorchInferenceRPUConfig

    torch.set_num_threads(1)
    config = TorchInferenceRPUConfig()
    config.mapping.max_input_size = 512
    config.forward.inp_res, config.forward.out_res, config.forward.out_bound = 254, 254, 10.0
    config.pre_post.input_range.enable = True
    config.pre_post.input_range.init_value = 3.0
    made = [AnalogLinear(k, n, bias=False, rpu_config=config) for k, n in shapes]
    model = _chain(torch, made).eval()
    x = torch.randn(vectors, shapes[0][0])
    return {"aihwkit-lightning, no noise": lambda: _no_grad(torch, model, x)}


def crosssim(vectors: int, shapes: Shapes) -> dict[str, Run]:
    """Sandia's CrossSim: 8-bit converters, without noise and with read noise of every cell."""
    from simulator import AnalogCore, CrossSimParameters

    rng = np.random.default_rng(0)
    found: dict[str, Run] = {}
    for name, noisy in (("CrossSim, no noise", False), ("CrossSim, read noise", True)):
        params = CrossSimParameters()
        params.core.rows_max = params.core.cols_max = 512
        params.xbar.dac.mvm.bits = params.xbar.adc.mvm.bits = 8
        params.xbar.device.read_noise.enable = noisy
        if noisy:
            params.xbar.device.read_noise.model = "NormalIndependentDevice"
            params.xbar.device.read_noise.magnitude = 0.01
        cores = [AnalogCore(rng.standard_normal((n, k)), params) for k, n in shapes]
        x = rng.standard_normal((shapes[0][0], vectors)).astype(np.float32)

        def run(cores: list = cores, x: np.ndarray = x) -> np.ndarray:
            for number, core in enumerate(cores):
                x = core @ (np.maximum(x, 0) if number else x)
            return x

        found[name] = run
    return found


def _chain(torch: object, made: list) -> object:
    parts = [part for layer in made for part in (torch.nn.ReLU(), layer)]
    return torch.nn.Sequential(*parts[1:])


def _no_grad(torch: object, model: object, x: object) -> object:
    with torch.no_grad():
        return model(x)


def plain(vectors: int, shapes: Shapes) -> Run:
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    first = rng.standard_normal((vectors, shapes[0][0])).astype(np.float32)

    def run() -> np.ndarray:
        x = first
        for number, weight in enumerate(weights):
            x = (np.maximum(x, 0) if number else x) @ weight
        return x

    return run


def main() -> None:
    request = json.loads(sys.argv[1])
    vectors, shapes = request["vectors"], request["shapes"]
    work = {"plain": plain(vectors, shapes)}
    for peer in (aihwkit, lightning, crosssim):
        try:
            made = peer(vectors, shapes)
            for run in made.values():
                run()
        except Exception as error:  # a peer that is not there, or does not run here, is left out
            print(f"{peer.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        work |= made
    best = dict.fromkeys(work, float("inf"))
    end, turns = time.perf_counter() + request["seconds"], 0
    while turns < 3 or time.perf_counter() < end:
        for name, run in work.items():
            run()
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
        turns += 1
    floor = best.pop("plain")
    print(json.dumps({name: seconds / floor for name, seconds in best.items()}))


if __name__ == "__main__":
    main()
