"""Models with one hostile parameter each, by what it is that they get wrong.

``MODELS`` maps a name to a builder; ``write(folder)`` writes all of them as files, for
``benchmarks/hostile.py``.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

F32, I64 = TensorProto.FLOAT, TensorProto.INT64
LEAST, MOST = -(1 << 63), (1 << 63) - 1
NAN, INF = float("nan"), float("inf")


def info(name: str, shape: list[int] | None, kind: int = F32) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray] | None = None
) -> ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    imports = [helper.make_opsetid("", 23), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def node(
    op: str,
    shape: list[int] | None = None,
    constants: dict[str, Any] | None = None,
    /,
    kind: int = F32,
    out: int = 0,
    outputs: int = 1,
    domain: str = "",
    **attributes: Any,
) -> Callable[[], ModelProto]:
    """One node over x (none without ``shape``) and constants; an empty name omits an input."""
    constants = constants or {}

    def build() -> ModelProto:
        names = ([] if shape is None else ["x"]) + [
            "" if k.startswith("_") else k for k in constants
        ]
        made = [f"y{k}" for k in range(outputs)]
        arrays = {k: np.asarray(v) for k, v in constants.items() if not k.startswith("_")}
        return model(
            [helper.make_node(op, names, made, name="node", domain=domain, **attributes)],
            [] if shape is None else [info("x", shape, kind)],
            [info(name, None, out or kind) for name in made],
            arrays,
        )

    return build


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


W = {"w": ones(4, 2, 3, 3)}
IMAGE = [1, 2, 8, 8]


def conv(**attributes: Any) -> Callable[[], ModelProto]:
    return node("Conv", IMAGE, W, **attributes)


def conv_transpose(**attributes: Any) -> Callable[[], ModelProto]:
    return node("ConvTranspose", IMAGE, {"w": ones(2, 4, 3, 3)}, **attributes)


def pool(op: str = "MaxPool", **attributes: Any) -> Callable[[], ModelProto]:
    return node(op, IMAGE, **({"kernel_shape": [2, 2]} | attributes))


def resize(scales: Any = None, sizes: Any = None, **attributes: Any) -> Callable[[], ModelProto]:
    constants: dict[str, Any] = {"_roi": 0, "_scales": 0}
    if scales is not None:
        constants = {"_roi": 0, "scales": scales}
    if sizes is not None:
        constants["sizes"] = sizes
    return node("Resize", IMAGE, constants, **attributes)


def lstm(**attributes: Any) -> Callable[[], ModelProto]:
    weights = {"w": ones(1, 16, 4), "r": ones(1, 16, 4)}
    return node("LSTM", [3, 1, 4], weights, **({"hidden_size": 4} | attributes))


def qdq(scale: Any, **attributes: Any) -> Callable[[], ModelProto]:
    return node("QuantizeLinear", [2, 4], {"s": scale}, out=TensorProto.UINT8, **attributes)


def loop(trips: Any, body: list | None = None, condition: bool | None = None) -> ModelProto:
    nodes = body or [
        helper.make_node("Identity", ["c"], ["c_out"]),
        helper.make_node("Add", ["v", "v"], ["v_out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "body",
        [info("i", [], I64), info("c", [], TensorProto.BOOL), info("v", [2])],
        [info("c_out", [], TensorProto.BOOL), info("v_out", [2])],
    )
    weights = {"trips": np.array(trips, np.int64)}
    if condition is not None:
        weights["go"] = np.array(condition)
    return model(
        [
            helper.make_node(
                "Loop", ["trips", "go" if "go" in weights else "", "x"], ["y"], body=graph
            )
        ],
        [info("x", [2])],
        [info("y", [2])],
        weights,
    )


def scan(**attributes: Any) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Add", ["s", "e"], ["t"]), helper.make_node("Identity", ["t"], ["u"])],
        "body",
        [info("s", [2]), info("e", [2])],
        [info("t", [2]), info("u", [2])],
    )
    return model(
        [helper.make_node("Scan", ["x", "z"], ["y", "q"], body=graph, **attributes)],
        [info("x", [2]), info("z", [5, 2])],
        [info("y", [2]), info("q", [5, 2])],
    )


def without_subgraph(op: str, inputs: list) -> Callable[[], ModelProto]:
    return lambda: model(
        [helper.make_node(op, [i.name for i in inputs], ["y"], name="node")],
        inputs,
        [info("y", [2])],
    )


def many(count: int, link: Callable[[int], Any], last: str, shape: list[int]) -> ModelProto:
    nodes: list = []
    for k in range(count):
        nodes += link(k)
    return model(nodes, [info("x", shape)], [info(last, shape)])


def diamonds(count: int) -> ModelProto:
    def link(k: int) -> list:
        x = f"b{k - 1}" if k else "x"
        return [
            helper.make_node("Softmax", [x], [f"a{k}"]),
            helper.make_node("Add", [f"a{k}", x], [f"b{k}"]),
        ]

    return many(count, link, f"b{count - 1}", [1, 4])


def nested_ifs(depth: int) -> ModelProto:
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["v"])], "leaf", [], [info("v", [2])])
    for _ in range(depth):
        branch = helper.make_node("If", ["c"], ["v"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([branch], "level", [], [info("v", [2])])
    return model(
        list(graph.node), [info("x", [2]), info("c", [], TensorProto.BOOL)], [info("v", [2])]
    )


def tree(children: tuple[int, int]) -> Callable[[], ModelProto]:
    left, right = children
    return node(
        "TreeEnsembleRegressor",
        [2, 4],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_falsenodeids=[right, 0],
        nodes_featureids=[0, 0],
        nodes_hitrates=[1.0, 1.0],
        nodes_missing_value_tracks_true=[0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF"],
        nodes_nodeids=[0, 1],
        nodes_treeids=[0, 0],
        nodes_truenodeids=[left, 0],
        nodes_values=[0.5, 0.0],
        target_ids=[0],
        target_nodeids=[1],
        target_treeids=[0],
        target_weights=[1.0],
    )


MODELS: dict[str, Callable[[], ModelProto]] = {
    # convolutions
    "conv_group_negative": conv(group=-1),
    "conv_group_huge": conv(group=1 << 62),
    "conv_kernel_zero": node("Conv", IMAGE, {"w": ones(4, 2, 0, 3)}),
    "conv_kernel_lies": conv(kernel_shape=[5, 5]),
    "conv_kernel_short": conv(kernel_shape=[3]),
    "conv_stride_negative": conv(strides=[-1, 1]),
    "conv_stride_huge": conv(strides=[1 << 62, 1 << 62]),
    "conv_strides_long": conv(strides=[1, 1, 1]),
    "conv_dilation_huge": conv(dilations=[1 << 40, 1]),
    "conv_dilation_negative": conv(dilations=[-2, 1]),
    "conv_dilations_short": conv(dilations=[1]),
    "conv_pads_huge": conv(pads=[1 << 40] * 4),
    "conv_pads_overflow": conv(pads=[MOST, 0, MOST, 0]),
    "conv_pads_crop_all": conv(pads=[-8, -8, -8, -8]),
    "conv_auto_pad_word": conv(auto_pad="NOPE"),
    "conv_auto_pad_and_pads": conv(auto_pad="SAME_UPPER", pads=[1, 1, 1, 1]),
    "conv_bias_long": node("Conv", IMAGE, W | {"b": ones(9)}),
    "conv_rank_two": node("Conv", [2, 8], {"w": ones(4, 2)}),
    "conv_rank_twelve": node("Conv", [1] * 12, {"w": ones(*[1] * 12)}),
    "conv_scalar": node("Conv", [], {"w": np.float32(1)}),
    "deconv_output_padding": conv_transpose(output_padding=[7, 7]),
    "deconv_output_padding_negative": conv_transpose(output_padding=[-1, 0]),
    "deconv_output_padding_short": conv_transpose(output_padding=[1]),
    "deconv_output_shape_huge": conv_transpose(output_shape=[1 << 40, 8]),
    "deconv_output_shape_negative": conv_transpose(output_shape=[-4, 8]),
    "deconv_group_zero": conv_transpose(group=0),
    "deconv_group_negative": conv_transpose(group=-2),
    "deconv_stride_huge": conv_transpose(strides=[1 << 40, 1]),
    "deconv_pads_crop_all": conv_transpose(pads=[9, 9, 9, 9]),
    # pooling
    "pool_kernel_zero": pool(kernel_shape=[0, 2]),
    "pool_kernel_negative": pool(kernel_shape=[-2, 2]),
    "pool_kernel_huge": pool(kernel_shape=[1 << 40, 1 << 40], pads=[1 << 40] * 4),
    "pool_kernel_long": pool(kernel_shape=[2, 2, 2]),
    "pool_kernel_missing": node("MaxPool", IMAGE),
    "pool_stride_zero": pool(strides=[0, 1]),
    "pool_dilation_zero": pool(dilations=[0, 1]),
    "pool_pads_negative": pool(pads=[-9, 0, 0, 0]),
    "pool_pads_short": pool(pads=[1, 1]),
    "pool_ceil_mode_seven": pool(ceil_mode=7),
    "pool_storage_order": pool(storage_order=5, outputs=2, out=F32),
    "average_count_include_pad": pool("AveragePool", count_include_pad=9, pads=[1, 1, 1, 1]),
    "average_kernel_zero": pool("AveragePool", kernel_shape=[0, 0]),
    "lp_pool_p_zero": pool("LpPool", p=0),
    "lp_pool_p_negative": pool("LpPool", p=-3),
    "global_pool_rank_one": node("GlobalAveragePool", [4]),
    "global_pool_empty": node("GlobalMaxPool", [1, 2, 0, 4]),
    # resizing
    "resize_sizes_huge": resize(sizes=i64(1, 2, 1 << 40, 8)),
    "resize_sizes_negative": resize(sizes=i64(1, 2, -8, 8)),
    "resize_sizes_zero": resize(sizes=i64(1, 2, 0, 8)),
    "resize_sizes_short": resize(sizes=i64(8, 8)),
    "resize_scales_zero": resize(f32(1, 1, 0, 1)),
    "resize_scales_negative": resize(f32(1, 1, -2, 1)),
    "resize_scales_nan": resize(f32(1, 1, NAN, 1)),
    "resize_scales_infinite": resize(f32(1, 1, INF, 1)),
    "resize_scales_1e30": resize(f32(1, 1, 1e30, 1)),
    "resize_scales_tiny": resize(f32(1, 1, 1e-30, 1)),
    "resize_scales_short": resize(f32(2, 2)),
    "resize_nothing": resize(),
    "resize_mode_word": resize(f32(1, 1, 2, 2), mode="quintic"),
    "resize_coordinates_word": resize(f32(1, 1, 2, 2), coordinate_transformation_mode="elsewhere"),
    "resize_nearest_word": resize(f32(1, 1, 2, 2), nearest_mode="far"),
    "resize_cubic_nan": resize(f32(1, 1, 2, 2), mode="cubic", cubic_coeff_a=NAN),
    "resize_axes_twice": resize(f32(2, 2), axes=[2, 2]),
    "resize_axes_out": resize(f32(2, 2), axes=[2, 9]),
    "resize_ratio_word": resize(sizes=i64(1, 2, 9, 9), keep_aspect_ratio_policy="sideways"),
    "resize_crop_without_roi": resize(
        f32(1, 1, 2, 2), coordinate_transformation_mode="tf_crop_and_resize"
    ),
    # movement
    "tile_repeats_huge": node("Tile", [2, 2], {"r": i64(1 << 40, 1 << 40)}),
    "tile_repeats_negative": node("Tile", [2, 2], {"r": i64(-1, 2)}),
    "tile_repeats_short": node("Tile", [2, 2], {"r": i64(2)}),
    "expand_negative": node("Expand", [2, 1], {"s": i64(2, -3)}),
    "expand_huge": node("Expand", [2, 1], {"s": i64(2, MOST)}),
    "pad_short": node("Pad", [2, 2], {"p": i64(1, 1)}),
    "pad_crops_all": node("Pad", [2, 2], {"p": i64(-5, 0, 0, 0)}),
    "pad_mode_word": node("Pad", [2, 2], {"p": i64(1, 1, 1, 1)}, mode="mirror"),
    "pad_reflect_far": node("Pad", [2, 2], {"p": i64(9, 0, 9, 0)}, mode="reflect"),
    "pad_wrap_far": node("Pad", [2, 2], {"p": i64(9, 0, 9, 0)}, mode="wrap"),
    "pad_edge_empty": node("Pad", [0, 2], {"p": i64(3, 0, 3, 0)}, mode="edge"),
    "pad_axes_twice": node("Pad", [2, 2], {"p": i64(1, 1, 1, 1), "_v": 0, "a": i64(0, 0)}),
    "pad_axes_out": node("Pad", [2, 2], {"p": i64(1, 1), "_v": 0, "a": i64(7)}),
    "pad_overflow": node("Pad", [2, 2], {"p": i64(MOST, 0, MOST, 0)}),
    "pad_value_vector": node("Pad", [2, 2], {"p": i64(1, 1, 1, 1), "v": f32(1, 2, 3)}),
    "slice_step_least": node(
        "Slice", [4], {"s": i64(3), "e": i64(LEAST), "a": i64(0), "t": i64(LEAST)}
    ),
    "slice_lengths_differ": node("Slice", [4, 4], {"s": i64(0, 0), "e": i64(1)}),
    "slice_axes_twice": node("Slice", [4, 4], {"s": i64(0, 1), "e": i64(2, 3), "a": i64(0, 0)}),
    "slice_axes_out": node("Slice", [4], {"s": i64(0), "e": i64(2), "a": i64(1 << 40)}),
    "split_negative": node("Split", [4], {"s": i64(-1, 5)}, outputs=2),
    "split_num_outputs_zero": node("Split", [4], num_outputs=0, outputs=2),
    "split_axis_out": node("Split", [4], axis=9, num_outputs=2, outputs=2),
    "split_too_many": node("Split", [2], num_outputs=5, outputs=5),
    "transpose_short": node("Transpose", [2, 3, 4], perm=[0, 1]),
    "transpose_negative": node("Transpose", [2, 3], perm=[-1, 0]),
    "reshape_huge": node("Reshape", [2, 2], {"s": i64(1 << 40, 1 << 40)}),
    "reshape_minus_two": node("Reshape", [2, 2], {"s": i64(-2, -2)}),
    "reshape_zero_and_minus_one": node("Reshape", [0, 2], {"s": i64(0, -1)}, allowzero=1),
    "reshape_rank_1000": node("Reshape", [1], {"s": np.ones(1000, np.int64)}),
    "squeeze_not_one": node("Squeeze", [2, 2], {"a": i64(0)}),
    "unsqueeze_twice": node("Unsqueeze", [2], {"a": i64(0, 0)}),
    "unsqueeze_out": node("Unsqueeze", [2], {"a": i64(1 << 40)}),
    "flatten_out": node("Flatten", [2, 2], axis=99),
    "concat_alone_axis": node("Concat", [2, 2], axis=LEAST),
    "depth_to_space_zero": node("DepthToSpace", [1, 4, 2, 2], blocksize=0),
    "depth_to_space_negative": node("DepthToSpace", [1, 4, 2, 2], blocksize=-2),
    "depth_to_space_three": node("DepthToSpace", [1, 4, 2, 2], blocksize=3),
    "depth_to_space_huge": node("DepthToSpace", [1, 4, 2, 2], blocksize=1 << 40),
    "depth_to_space_mode": node("DepthToSpace", [1, 4, 2, 2], blocksize=2, mode="XYZ"),
    "space_to_depth_zero": node("SpaceToDepth", [1, 4, 2, 2], blocksize=0),
    "trilu_least": node("Trilu", [3, 3], {"k": np.array(LEAST)}),
    "trilu_vector": node("Trilu", [3], {"k": np.array(0)}),
    "eye_like_far": node("EyeLike", [3, 3], k=MOST),
    "center_crop_pad_huge": node("CenterCropPad", [3, 3], {"s": i64(1 << 40, 3)}),
    "center_crop_pad_negative": node("CenterCropPad", [3, 3], {"s": i64(-3, 3)}),
    "reverse_sequence_axes": node("ReverseSequence", [3, 3], {"l": i64(1, 9, 1)}, batch_axis=0),
    # indexing
    "gather_axis_out": node("Gather", [4], {"i": i64(0)}, axis=7),
    "gather_index_out": node("Gather", [4], {"i": i64(MOST)}),
    "gather_elements_rank": node("GatherElements", [4, 4], {"i": i64(0)}),
    "gather_nd_batch_negative": node(
        "GatherND", [4, 4], {"i": np.zeros((4, 1), np.int64)}, batch_dims=-1
    ),
    "gather_nd_batch_out": node(
        "GatherND", [4, 4], {"i": np.zeros((4, 1), np.int64)}, batch_dims=5
    ),
    "gather_nd_deep": node("GatherND", [4], {"i": np.zeros((1, 3), np.int64)}),
    "scatter_reduction_word": node(
        "ScatterElements", [4], {"i": i64(0), "u": f32(1)}, reduction="avg"
    ),
    "scatter_index_out": node("ScatterElements", [4], {"i": i64(99), "u": f32(1)}),
    "scatter_nd_updates": node("ScatterND", [4], {"i": i64(0)[None], "u": f32(1, 2, 3)}),
    "topk_negative": node("TopK", [4], {"k": i64(-1)}, outputs=2),
    "topk_huge": node("TopK", [4], {"k": i64(1 << 40)}, outputs=2),
    "topk_axis_out": node("TopK", [4], {"k": i64(1)}, axis=3, outputs=2),
    "one_hot_depth_huge": node(
        "OneHot", [4], {"d": np.array(1 << 40), "v": f32(0, 1)}, kind=I64, out=F32
    ),
    "one_hot_axis_out": node(
        "OneHot", [4], {"d": np.array(3), "v": f32(0, 1)}, kind=I64, out=F32, axis=9
    ),
    "compress_axis_out": node("Compress", [4], {"c": np.ones(4, bool)}, axis=9),
    # reductions, normalisation, softmax
    "reduce_axis_out": node("ReduceSum", [4], {"a": i64(9)}),
    "reduce_axis_twice": node("ReduceSum", [4, 4], {"a": i64(0, -2)}),
    "reduce_max_of_nothing": node("ReduceMax", [0, 4], {"a": i64(0)}),
    "reduce_mean_of_nothing": node("ReduceMean", [0, 4], {"a": i64(0)}),
    "argmax_axis_out": node("ArgMax", [4], out=I64, axis=-9),
    "argmax_of_nothing": node("ArgMax", [0, 4], out=I64, axis=0),
    "cumsum_axis_out": node("CumSum", [4], {"a": np.array(1 << 40)}),
    "cumsum_axis_vector": node("CumSum", [4], {"a": i64(0, 0, 0)}),
    "softmax_axis_least": node("Softmax", [4], axis=LEAST),
    "softmax_of_nothing": node("Softmax", [0, 4], axis=0),
    "batch_norm_short": node(
        "BatchNormalization", IMAGE, {"s": ones(1), "b": ones(2), "m": ones(2), "v": ones(3)}
    ),
    "batch_norm_epsilon_nan": node(
        "BatchNormalization", IMAGE, dict.fromkeys("sbmv", ones(2)), epsilon=NAN
    ),
    "batch_norm_epsilon_negative": node(
        "BatchNormalization", IMAGE, dict.fromkeys("sbmv", ones(2)), epsilon=-5.0
    ),
    "layer_norm_axis_out": node("LayerNormalization", [2, 4], {"s": ones(4)}, axis=5),
    "layer_norm_axis_negative": node("LayerNormalization", [2, 4], {"s": ones(4)}, axis=-9),
    "layer_norm_scale_long": node("LayerNormalization", [2, 4], {"s": ones(99)}),
    "rms_norm_axis_out": node("RMSNormalization", [2, 4], {"s": ones(4)}, axis=5),
    "group_norm_zero": node(
        "GroupNormalization", IMAGE, {"s": ones(2), "b": ones(2)}, num_groups=0
    ),
    "group_norm_negative": node(
        "GroupNormalization", IMAGE, {"s": ones(2), "b": ones(2)}, num_groups=-1
    ),
    "group_norm_uneven": node(
        "GroupNormalization", IMAGE, {"s": ones(2), "b": ones(2)}, num_groups=3
    ),
    "instance_norm_long": node("InstanceNormalization", IMAGE, {"s": ones(9), "b": ones(9)}),
    "lrn_size_zero": node("LRN", IMAGE, size=0),
    "lrn_size_huge": node("LRN", IMAGE, size=1 << 40),
    "lrn_size_negative": node("LRN", IMAGE, size=-3),
    "lp_norm_p": node("LpNormalization", [2, 4], p=7),
    "lp_norm_axis_out": node("LpNormalization", [2, 4], axis=5),
    # products, attention, recurrence
    "matmul_scalar": node("MatMul", [], {"w": ones(4, 4)}),
    "gemm_rank_three": node("Gemm", [2, 2, 2], {"w": ones(2, 2)}),
    "gemm_alpha_nan": node("Gemm", [2, 2], {"w": ones(2, 2)}, alpha=NAN, beta=INF),
    "gemm_bias_wide": node("Gemm", [2, 2], {"w": ones(2, 2), "c": ones(5, 5)}),
    "einsum_long": node("Einsum", [2, 2], equation="i" * 10000 + "->i"),
    "einsum_ellipsis_twice": node("Einsum", [2, 2], equation="......ij->ij"),
    "einsum_arrows": node("Einsum", [2, 2], equation="ij->->ij"),
    "einsum_control": node("Einsum", [2, 2], equation="i\n\x00j->ij"),
    "attention_heads_zero": node(
        "Attention",
        [1, 4, 8],
        {"k": ones(1, 4, 8), "v": ones(1, 4, 8)},
        q_num_heads=0,
        kv_num_heads=0,
    ),
    "attention_heads_uneven": node(
        "Attention",
        [1, 4, 8],
        {"k": ones(1, 4, 8), "v": ones(1, 4, 8)},
        q_num_heads=3,
        kv_num_heads=2,
    ),
    "attention_heads_negative": node(
        "Attention",
        [1, 4, 8],
        {"k": ones(1, 4, 8), "v": ones(1, 4, 8)},
        q_num_heads=-2,
        kv_num_heads=-2,
    ),
    "rotary_heads_zero": node(
        "RotaryEmbedding", [1, 4, 8], {"c": ones(1, 4, 4), "s": ones(1, 4, 4)}, num_heads=0
    ),
    "lstm_direction_word": lstm(direction="sideways"),
    "lstm_activation_word": lstm(activations=["Wild", "Tanh", "Tanh"]),
    "lstm_activations_short": lstm(activations=["Tanh"]),
    "lstm_clip_nan": lstm(clip=NAN),
    "lstm_clip_negative": lstm(clip=-1.0),
    "lstm_layout": lstm(layout=7),
    "lstm_hidden_zero": lstm(hidden_size=0),
    "lstm_hidden_negative": lstm(hidden_size=-4),
    "lstm_hidden_huge": lstm(hidden_size=1 << 60),
    "lstm_time_huge": node(
        "LSTM", [1 << 24, 1, 4], {"w": ones(1, 16, 4), "r": ones(1, 16, 4)}, hidden_size=4
    ),
    "gru_lengths_out": node(
        "GRU",
        [3, 1, 4],
        {"w": ones(1, 12, 4), "r": ones(1, 12, 4), "_b": 0, "l": np.array([99], np.int32)},
        hidden_size=4,
    ),
    # quantisation
    "quantize_scale_zero": qdq(np.float32(0)),
    "quantize_scale_nan": qdq(np.float32(NAN)),
    "quantize_scale_negative": qdq(np.float32(-1)),
    "quantize_scale_vector": qdq(ones(3)),
    "quantize_axis_out": qdq(ones(4), axis=9),
    "quantize_block_negative": qdq(ones(2, 2), axis=1, block_size=-2),
    "quantize_block_huge": qdq(ones(2, 1), axis=1, block_size=1 << 40),
    "dequantize_scale_nan": node(
        "DequantizeLinear", [2], {"s": np.float32(NAN)}, kind=TensorProto.UINT8, out=F32
    ),
    "qlinear_matmul_zero": node(
        "QLinearMatMul",
        [2, 2],
        {
            "xs": np.float32(0),
            "xz": np.uint8(0),
            "w": np.ones((2, 2), np.uint8),
            "ws": np.float32(NAN),
            "wz": np.uint8(0),
            "ys": np.float32(0),
            "yz": np.uint8(0),
        },
        kind=TensorProto.UINT8,
    ),
    # generators
    "range_step_zero": node(
        "Range", None, {"a": i64(0)[0], "b": i64(9)[0], "c": i64(0)[0]}, out=I64
    ),
    "range_huge": node("Range", None, {"a": i64(0)[0], "b": i64(MOST)[0], "c": i64(1)[0]}, out=I64),
    "range_nan": node("Range", None, {"a": f32(NAN)[0], "b": f32(9)[0], "c": f32(1)[0]}),
    "range_infinite": node("Range", None, {"a": f32(0)[0], "b": f32(INF)[0], "c": f32(1)[0]}),
    "constant_of_shape_negative": node("ConstantOfShape", None, {"s": i64(-3, 2)}),
    "random_huge": node("RandomNormal", None, shape=[1 << 40]),
    "random_negative": node("RandomUniform", None, shape=[-4]),
    "hann_window_huge": node("HannWindow", None, {"n": np.array(1 << 40)}),
    "hann_window_negative": node("HannWindow", None, {"n": np.array(-5)}),
    "mel_matrix_huge": node(
        "MelWeightMatrix",
        None,
        {
            "a": np.array(1 << 30),
            "b": np.array(1 << 30),
            "c": np.array(8000),
            "d": f32(0)[0],
            "e": f32(4000)[0],
        },
    ),
    "affine_grid_huge": node("AffineGrid", [1, 2, 3], {"s": i64(1, 3, 1 << 30, 1 << 30)}),
    "roi_align_huge": node(
        "RoiAlign",
        IMAGE,
        {"r": ones(1, 4), "b": i64(0)},
        output_height=1 << 30,
        output_width=1 << 30,
    ),
    "roi_align_sampling": node(
        "RoiAlign", IMAGE, {"r": ones(1, 4), "b": i64(0)}, sampling_ratio=-9
    ),
    "col2im_zero": node("Col2Im", [1, 8, 9], {"i": i64(4, 4), "b": i64(0, 0)}),
    "max_unpool_huge": node(
        "MaxUnpool",
        IMAGE,
        {"i": np.zeros(IMAGE, np.int64), "s": i64(1, 2, 1 << 30, 1 << 30)},
        kernel_shape=[2, 2],
    ),
    "stft_step_zero": node("STFT", [1, 64, 1], {"s": np.array(0), "_w": 0, "n": np.array(16)}),
    "dft_axis_out": node("DFT", [1, 8, 1], {"n": np.array(1 << 40), "a": np.array(9)}),
    "grid_sample_mode": node("GridSample", IMAGE, {"g": ones(1, 2, 2, 2)}, mode="quintic"),
    "grid_sample_rank": node("GridSample", IMAGE, {"g": ones(1, 2, 2, 3)}),
    # casts, constants, shapes of shapes
    "cast_undefined": node("Cast", [2], to=0),
    "cast_negative": node("Cast", [2], to=-1),
    "shape_least": node("Shape", [2, 3], out=I64, start=LEAST, end=MOST),
    "constant_without_value": node("Constant", None),
    "constant_two_values": node("Constant", None, value_float=1.0, value_int=1),
    "clip_crossed": node("Clip", [4], {"a": np.float32(5), "b": np.float32(-5)}),
    "clip_vector": node("Clip", [4], {"a": f32(0, 1)}),
    "bit_shift_word": node(
        "BitShift", [2], {"s": np.ones(2, np.uint8)}, kind=TensorProto.UINT8, direction="UP"
    ),
    "bit_shift_far": node(
        "BitShift", [2], {"s": np.full(2, 200, np.uint8)}, kind=TensorProto.UINT8, direction="LEFT"
    ),
    "mod_fmod_two": node("Mod", [2], {"m": f32(0, 0)}, fmod=2),
    "gelu_word": node("Gelu", [2], approximate="exactly"),
    "celu_alpha_zero": node("Celu", [2], alpha=0.0),
    "thresholded_relu_nan": node("ThresholdedRelu", [2], alpha=NAN),
    "p_relu_wide": node("PRelu", [2], {"s": ones(7)}),
    "sum_of_nothing": node("Sum", None),
    # control flow and trees
    "loop_most_trips": lambda: loop(MOST),
    "loop_least_trips": lambda: loop(LEAST),
    "loop_trips_vector": lambda: loop([3, 3]),
    "loop_forever": lambda: loop(MOST, condition=True),
    "scan_no_inputs": lambda: scan(num_scan_inputs=0),
    "scan_negative": lambda: scan(num_scan_inputs=-1),
    "scan_too_many": lambda: scan(num_scan_inputs=99),
    "scan_direction": lambda: scan(num_scan_inputs=1, scan_input_directions=[7]),
    "scan_axis_out": lambda: scan(num_scan_inputs=1, scan_input_axes=[9]),
    "scan_directions_long": lambda: scan(num_scan_inputs=1, scan_input_directions=[0, 0, 0]),
    "if_no_branches": without_subgraph("If", [info("c", [], TensorProto.BOOL)]),
    "loop_no_body": without_subgraph("Loop", [info("n", [], I64)]),
    "scan_no_body": without_subgraph("Scan", [info("x", [2])]),
    "sequence_map_no_body": without_subgraph("SequenceMap", [info("x", [2])]),
    "sequence_at_tensor": node("SequenceAt", [2], {"i": np.array(99)}),
    "tree_cycle": tree((0, 0)),
    "tree_child_out": tree((7, 9)),
    # sizes
    "diamonds_100": lambda: diamonds(100),
    "nested_ifs_10": lambda: nested_ifs(10),
    "input_rank_200": node("Relu", [1] * 200),
    "input_everything_zero": node("Relu", [0, 0, 0]),
    "product_of_nothing": node("MatMul", [4, 0], {"w": ones(0, 4)}),
}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in MODELS.items():
        (folder / f"{name}.onnx").write_bytes(build().SerializeToString())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
