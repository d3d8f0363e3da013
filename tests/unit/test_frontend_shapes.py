"""Symbolic dimensions: bound by name, by place or by arithmetic, all missing ones in one error."""

import pytest
from onnx import TensorProto, helper

from semc.compiler.frontend import load_model
from semc.compiler.frontend.bind_shapes import evaluate_dim
from semc.compiler.frontend.unify_shapes import implied_specs
from semc.errors import ModelError

from .onnx_models import info, model


def symbolic() -> object:
    return model(
        [helper.make_node("Concat", ["past", "x"], ["all"], axis=1)],
        [info("past", ["batch", "past", 4]), info("x", ["batch", None, 4])],
        [info("all", ["batch", "past + 1", 4])],
    )


def test_every_missing_dimension_is_named() -> None:
    with pytest.raises(ModelError) as caught:
        load_model(symbolic())
    text = str(caught.value)
    assert "'batch' (input 'past', axis 0)" in text
    assert "'past' (input 'past', axis 1)" in text
    assert "--dim batch=N --dim past=N --dim x.1=N" in text
    assert len(caught.value.faults) == 4


def test_an_open_batch_is_one() -> None:
    loaded = load_model(symbolic(), {"past": 7, "x.1": 1})
    assert loaded.assumed_dims == {"batch": 1}
    assert loaded.inputs["past"].shape == (1, 7, 4)
    assert loaded.specs["all"].shape == (1, 8, 4)
    assert load_model(symbolic(), {"batch": 2, "past": 7, "x.1": 1}).assumed_dims == {}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["b", "b + 1"], {"b": 1}),  # 2 follows
        (["n\n> }", None], {"n\n> }": 1, "y.0": 1}),
        (["2 * b", "b"], {"b": 1}),
    ],
)
def test_what_counts_as_batch(names: list, found: dict) -> None:
    inputs = [info(name, [size, 3]) for name, size in zip("xy", names, strict=True)]
    nodes = [helper.make_node(op, [a], [b]) for op, a, b in (("Relu", "x", "u"), ("Neg", "y", "v"))]
    loaded = load_model(model(nodes, inputs, [info("u", None), info("v", None)]))
    assert loaded.assumed_dims == found


def test_names_places_and_outputs() -> None:
    loaded = load_model(symbolic(), {"batch": 2, "past": 7, "x.1": 1})
    assert loaded.inputs["past"].shape == (2, 7, 4)
    assert loaded.specs["all"].shape == (2, 8, 4)


def test_a_declared_output_must_agree() -> None:
    with pytest.raises(ModelError, match="declared shape"):
        load_model(symbolic(), {"batch": 2, "past": 7, "x.1": 3})


@pytest.mark.parametrize("dims", [{"batch": -1}, {"batch": "two"}, {"batch": 1.5}])
def test_sizes_are_numbers(dims: dict) -> None:
    with pytest.raises(ModelError, match="must be a number"):
        load_model(symbolic(), dims)


def test_a_name_nobody_has() -> None:
    with pytest.raises(ModelError, match="'bacth'") as caught:
        load_model(symbolic(), {"batch": 2, "past": 7, "x.1": 1, "bacth": 2})
    assert "batch" in (caught.value.help or "")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("n", 6),
        ("n + 1", 7),
        ("2*n - m", 8),
        ("n//m", 1),
        ("n/0", None),
        ("unknown", None),
        ("-n", None),
        ("m - n", None),
        ("__import__('os')", None),
        ("n" * 500, None),
        ("n ** 9", None),
    ],
)
def test_arithmetic(text: str, size: int | None) -> None:
    assert evaluate_dim(text, {"n": 6, "m": 4}) == size


def test_inputs_must_be_tensors_with_a_shape() -> None:
    made = symbolic()
    made.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match="must have a shape"):
        load_model(made, {"batch": 1, "x.1": 1})
    made.graph.input[0].type.CopyFrom(
        helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    )
    with pytest.raises(ModelError, match="must be a tensor, not sequence"):
        load_model(made, {"batch": 1, "x.1": 1})


def test_zero_size_and_scalar_values() -> None:
    loaded = load_model(
        model(
            [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["s"], ["t"])],
            [info("x", [0, 4]), info("s", [])],
            [info("y", [0, 4]), info("t", [])],
        )
    )
    assert loaded.specs["y"].shape == (0, 4)
    assert loaded.specs["t"].shape == ()


def counted(declared: list) -> object:
    """``wave - wave * 1`` of the cosines of 0 to n - 1."""
    return model(
        [
            helper.make_node("Constant", [], ["zero"], value_float=0.0),
            helper.make_node("Constant", [], ["one"], value_float=1.0),
            helper.make_node("Range", ["zero", "n", "one"], ["numbers"]),
            helper.make_node("Cos", ["numbers"], ["wave"]),
            helper.make_node("Mul", ["wave", "one"], ["twice"]),
            helper.make_node("Sub", ["wave", "twice"], ["y"]),
        ],
        [info("n", [])],
        [info("y", declared)],
    )


def test_a_declared_output_tells_the_shapes_of_what_it_is_made_of() -> None:
    loaded = load_model(counted([6]))
    assert {loaded.specs[name].shape for name in ("numbers", "wave", "twice", "y")} == {(6,)}
    assert [node.op_type for node in loaded.nodes] == ["Range", "Cos", "Mul", "Sub"]


def test_without_a_declared_shape_there_is_none() -> None:
    with pytest.raises(ModelError, match="static shape"):
        load_model(counted([None]))


def test_operands_of_unknown_type_are_not_shown_to_inference() -> None:
    nodes = [
        helper.make_node("Thing", ["x"], ["text"], domain="somebody.else"),
        helper.make_node("RegexFullMatch", ["text"], ["y"], pattern="a"),
    ]
    made = model(nodes, [info("x", [2])], [info("y", [2], TensorProto.BOOL)])
    made.opset_import.append(helper.make_opsetid("somebody.else", 1))
    assert implied_specs(made) == {}  # onnx itself would read through a null pointer
