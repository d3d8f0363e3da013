"""Random valid ONNX models with data and expected outputs, as a hypothesis strategy.

- strategy: the strategy itself
- model_draw: a model while it is drawn: values, nodes, choices
- arrays: shapes, element types and data
- ops_...: one function a family of operators, which draws a node
- oracle: what a node computes, and how far rounding may move it
- operator_facts: where rounding is free, and where the runtimes are wrong
- compare: a model over the compiler and the simulator, compared with what is expected
- reduce: a failing model cut down to the nodes that matter
"""
