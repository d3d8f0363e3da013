"""Time and energy of tasks and transfers on a mesh, from the target alone (roofline model)."""

from dataclasses import dataclass

from .mesh import Device, MeshTarget, Route


@dataclass(frozen=True, slots=True)
class Work:
    """What a task does: floating operations of matrix products (two per multiply-add), elements
    through simple and special scalar operations, bytes rearranged, bytes of memory traffic."""

    matmul_flops: float = 0.0
    elementwise: float = 0.0
    special: float = 0.0
    moved_bytes: float = 0.0
    memory_bytes: float = 0.0


def task_latency_s(device: Device, work: Work) -> float:
    """Launch, then the longer of arithmetic and memory traffic (Williams et al., CACM 2009)."""
    rate = device.throughput
    compute_s = (
        work.matmul_flops / rate.matmul_gflops
        + work.elementwise / rate.elementwise_gops
        + work.special / rate.special_gops
        + work.moved_bytes / rate.move_gb_s
    ) * 1e-9
    memory_s = work.memory_bytes / (device.memory_gb_s * 1e9)
    return device.launch_us * 1e-6 + max(compute_s, memory_s)


def task_energy_j(device: Device, work: Work) -> dict[str, float]:
    """Energy above idle by part; a special operation counts as ``elementwise`` by its time."""
    rate = device.throughput
    special = work.special * rate.elementwise_gops / rate.special_gops
    traffic = work.memory_bytes + work.moved_bytes
    return {
        "matmul": work.matmul_flops * device.energy.matmul_pj_per_flop * 1e-12,
        "elementwise": (work.elementwise + special) * device.energy.elementwise_pj * 1e-12,
        "memory": traffic * device.energy.memory_pj_per_byte * 1e-12,
    }


def transfer_latency_s(route: Route, nbytes: float) -> float:
    """Time of moving ``nbytes`` over a route; 0 within one device."""
    return route.latency_us * 1e-6 + nbytes / (route.gb_s * 1e9)


def transfer_energy_j(route: Route, nbytes: float) -> float:
    """Energy of moving ``nbytes`` over a route."""
    return nbytes * route.pj_per_byte * 1e-12


def idle_j(target: MeshTarget, time_s: float) -> float:
    """Idle energy of all devices over ``time_s``."""
    return target.idle_w * time_s
