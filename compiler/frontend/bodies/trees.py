"""Decision trees of ai.onnx.ml: one position a tree, moved down its tables level by level.

All nodes of all trees are numbered through. At each level a position reads its node's feature and
threshold, compares, and goes on to one of two nodes; a leaf goes on to itself. After as many levels
as the deepest tree has, the leaves' values are gathered and joined over the trees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..body_writer import BodyWriter, opens
from .classical import ML, labelled, transformed

#: Comparisons by the number that TreeEnsemble has for them.
COMPARISONS = ("LessOrEqual", "Less", "GreaterOrEqual", "Greater", "Equal")
_NEQ, _MEMBER = 5, 6
#: The names that its forerunners have for the first of them.
MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ")
_TENSORS = (
    "nodes_values_as_tensor",
    "target_weights_as_tensor",
    "class_weights_as_tensor",
    "base_values_as_tensor",
)
JOINS = {"AVERAGE": "ReduceMean", "SUM": "ReduceSum", "MIN": "ReduceMin", "MAX": "ReduceMax"}


@dataclass(frozen=True, slots=True)
class Forest:
    """Tables by node: ``modes`` is -1 at a leaf; ``values`` [node, target] are those of leaves.

    ``says`` [node, target] tells which of them there are; the others change nothing. ``members``
    [node, set] holds NaN beyond the set of a node that tests for membership.
    """

    features: np.ndarray
    splits: np.ndarray
    modes: np.ndarray
    where_true: np.ndarray
    where_false: np.ndarray
    missing_is_true: np.ndarray
    values: np.ndarray
    says: np.ndarray
    roots: np.ndarray
    members: np.ndarray | None = None

    def __post_init__(self) -> None:
        by_node = (self.features, self.splits, self.where_true, self.where_false)
        if any(len(t) != len(self.modes) for t in (*by_node, self.missing_is_true, self.values)):
            raise ValueError("every node must be in every list")

    def depth(self) -> int:
        """Levels from the roots to the deepest leaf."""
        level, reached = 0, np.unique(self.roots)
        inner = self.modes >= 0
        while (reached := reached[inner[reached]]).size:
            reached = np.unique([self.where_true[reached], self.where_false[reached]])
            level += 1
            if level > len(self.modes):
                raise ValueError("a tree must have no cycle")
        return level


@opens(ML, "TreeEnsemble")
def tree_ensemble(w: BodyWriter) -> str:
    join = tuple(JOINS)[int(w.attr("aggregate_function", 1))]
    return transformed(w, _scores(w, _forest(w, join), join, []))


@opens(ML, "TreeEnsembleRegressor")
def tree_regressor(w: BodyWriter) -> str:
    join = w.attr("aggregate_function", "SUM")
    forest = _forest_of_lists(w, "target", int(w.attr("n_targets", 1)), join)
    return transformed(w, _scores(w, forest, join, w.attr("base_values", [])))


@opens(ML, "TreeEnsembleClassifier")
def tree_classifier(w: BodyWriter) -> Sequence[str]:
    """The label of the largest score, and the scores, for three classes or more."""
    labels = w.attr("classlabels_int64s", [])
    if len(labels) < 3:
        raise w.refuse("labels that are strings, or two classes")
    forest = _forest_of_lists(w, "class", len(labels), "SUM")
    scores = _scores(w, forest, "SUM", w.attr("base_values", []))
    return [labelled(w, scores, labels), transformed(w, scores)]


def _scores(w: BodyWriter, forest: Forest, join: str, base: Sequence[float]) -> str:
    """x [N, features] through ``forest``: [N, targets], plus ``base`` by target.

    A target of which no reached leaf says anything is 0, without the base, as in ONNX Runtime.
    """
    x = w.required(0)
    rows, trees = w.shape(x)[0], len(forest.roots)
    at = w.constant(np.broadcast_to(forest.roots.astype(np.int64), (rows, trees)).copy())
    for _ in range(forest.depth()):
        goes = _comparison(w, forest, x, at)
        ways = (w.op("Gather", w.constant(t), at) for t in (forest.where_true, forest.where_false))
        at = w.op("Where", goes, *ways)
    values = w.op("Gather", w.constant(forest.values), at)  # [N, trees, targets]
    scores = w.op(JOINS[join], values, w.ints(1), keepdims=0)
    if base:
        scores = w.op("Add", scores, w.constant(base, forest.values.dtype))
    if forest.says[forest.modes < 0].all():
        return scores
    said = w.op("Gather", w.constant(forest.says.astype(np.int32)), at)
    any_said = w.cast(w.op("ReduceMax", said, w.ints(1), keepdims=0), np.bool_)
    return w.op("Where", any_said, scores, w.constant(np.zeros((), forest.values.dtype)))


def _comparison(w: BodyWriter, forest: Forest, x: str, at: str) -> str:
    """Which positions [N, trees] go on to ``where_true``."""

    def of_node(table: np.ndarray) -> str:
        return w.op("Gather", w.constant(table), at)

    feature = w.op("GatherElements", x, of_node(forest.features), axis=1)
    split = of_node(forest.splits)
    goes = None
    for mode in np.unique(forest.modes[forest.modes >= 0]):
        holds = _holds(w, forest, int(mode), feature, split, of_node)
        chosen = of_node(forest.modes == mode)
        goes = holds if goes is None else w.op("Where", chosen, holds, goes)
    assert goes is not None
    if forest.missing_is_true.any():
        missing = w.op("And", w.op("IsNaN", feature), of_node(forest.missing_is_true))
        goes = w.op("Or", goes, missing)
    return goes


def _holds(
    w: BodyWriter,
    forest: Forest,
    mode: int,
    feature: str,
    split: str,
    of_node: Callable[[np.ndarray], str],
) -> str:
    if mode == _NEQ:
        return w.op("Not", w.op("Equal", feature, split))
    if mode == _MEMBER:
        assert forest.members is not None
        same = w.op("Equal", w.op("Unsqueeze", feature, w.ints(2)), of_node(forest.members))
        return w.cast(w.op("ReduceMax", w.cast(same, np.int32), w.ints(2), keepdims=0), np.bool_)
    return w.op(COMPARISONS[mode], feature, split)


def _spread(count: int, targets: int, join: str, dtype: np.dtype) -> np.ndarray:
    """A table [count, targets] of what changes nothing when trees are joined."""
    neutral = {"MIN": np.finfo(dtype).max, "MAX": np.finfo(dtype).min}.get(join, 0)
    return np.full((count, targets), neutral, dtype)


def _forest(w: BodyWriter, join: str) -> Forest:
    """TreeEnsemble numbers nodes and leaves apart; here the leaves come after the nodes."""
    from onnx import numpy_helper

    def ints(name: str) -> np.ndarray:
        return np.array(w.attr(name, []), np.int64)

    def tensor(name: str) -> np.ndarray:
        return numpy_helper.to_array(w.attr(name, None))

    splits, weights = tensor("nodes_splits"), tensor("leaf_weights")
    nodes, leaves, targets = len(splits), len(weights), ints("leaf_targetids")
    modes = tensor("nodes_modes").astype(np.int64)
    values = _spread(nodes + leaves, int(w.attr("n_targets", 1)), join, weights.dtype)
    itself = nodes + np.arange(leaves)
    values[itself, targets] = weights
    says = np.zeros(values.shape, bool)
    says[itself, targets] = True
    ways = [
        np.where(ints(f"nodes_{side}leafs") != 0, nodes, 0) + ints(f"nodes_{side}nodeids")
        for side in ("true", "false")
    ]
    missing = ints("nodes_missing_value_tracks_true")
    missing = missing if len(missing) else np.zeros(nodes, np.int64)
    return Forest(
        features=np.concatenate([ints("nodes_featureids"), np.zeros(leaves, np.int64)]),
        splits=np.concatenate([splits, np.zeros(leaves, splits.dtype)]),
        modes=np.concatenate([modes, np.full(leaves, -1)]),
        where_true=np.concatenate([ways[0], itself]),
        where_false=np.concatenate([ways[1], itself]),
        missing_is_true=np.concatenate([missing > 0, np.zeros(leaves, bool)]),
        values=values,
        says=says,
        roots=ints("tree_roots"),
        members=_members(w, modes, leaves, splits.dtype),
    )


def _members(w: BodyWriter, modes: np.ndarray, leaves: int, dtype: np.dtype) -> np.ndarray | None:
    """The sets of nodes that test for membership, which the model lists one after another."""
    from onnx import numpy_helper

    tensor = w.attr("membership_values", None)
    if tensor is None:
        return None
    listed = numpy_helper.to_array(tensor).astype(dtype)
    ends = np.flatnonzero(np.isnan(listed))
    sets = np.split(listed, ends + 1)
    width = max((len(s) for s in sets), default=1)
    table = np.full((len(modes) + leaves, max(width, 1)), np.nan, dtype)
    for node, own in zip(np.flatnonzero(modes == _MEMBER), sets, strict=False):
        table[node, : len(own)] = own
    return table


def _forest_of_lists(w: BodyWriter, kind: str, targets: int, join: str) -> Forest:
    """The forerunners list nodes as (tree, node) pairs, and leaf values of ``kind`` beside them."""
    if any(w.attr(name, None) is not None for name in _TENSORS):
        raise w.refuse("thresholds, weights or base values as tensors")
    names = [m.decode() for m in w.attr("nodes_modes", [])]
    numbers = {f"BRANCH_{name}": i for i, name in enumerate(MODES)} | {"LEAF": -1}
    modes = np.array([numbers[name] for name in names])
    pairs = list(zip(w.attr("nodes_treeids", []), w.attr("nodes_nodeids", []), strict=True))
    index = {pair: i for i, pair in enumerate(pairs)}

    def way(side: str) -> np.ndarray:
        following = zip(pairs, w.attr(f"nodes_{side}nodeids", []), strict=True)
        nexts = (index.get((tree, child), -1) for (tree, _), child in following)
        return np.array([i if modes[i] < 0 else n for i, n in enumerate(nexts)], np.int64)

    ways = [way("true"), way("false")]
    if min(nodes.min() for nodes in ways) < 0:
        raise w.refuse("a way to a node that is not there")
    values = _spread(len(pairs), targets, join, np.dtype(np.float32))
    says = np.zeros(values.shape, bool)
    lists = (w.attr(f"{kind}_{name}", []) for name in ("treeids", "nodeids", "ids", "weights"))
    for tree, node, target, weight in zip(*lists, strict=True):
        values[index[tree, node], target] = weight
        says[index[tree, node], target] = True
    trees = len({tree for tree, _ in pairs})
    children = {*ways[0][modes >= 0].tolist(), *ways[1][modes >= 0].tolist()}
    roots = [i for i in range(len(pairs)) if i not in children]
    if len(roots) != trees:
        raise w.refuse(f"{len(roots)} roots of {trees} trees")
    missing = w.attr("nodes_missing_value_tracks_true", None) or [0] * len(pairs)
    return Forest(
        features=np.array(w.attr("nodes_featureids", []), np.int64),
        splits=np.array(w.attr("nodes_values", []), np.float32),
        modes=modes,
        where_true=ways[0],
        where_false=ways[1],
        missing_is_true=np.array(missing) > 0,
        values=values,
        says=says,
        roots=np.array(roots),
    )
