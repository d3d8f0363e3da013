"""What the oracle has to know of operators: where rounding is free, where runtimes are wrong."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: One operation of IEEE 754 on each element, a choice or a move: all implementations agree.
#: (Scales of quantised operators are drawn as powers of two.)
EXACT = _names("""
    Abs Add And ArgMax ArgMin BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
    CastLike Ceil CenterCropPad Clip Compress Concat Constant ConstantOfShape DepthToSpace
    DequantizeLinear Div Dropout Equal Expand EyeLike Flatten Floor Gather GatherElements GatherND
    GlobalMaxPool Greater GreaterOrEqual Hardmax Identity IsInf IsNaN Less LessOrEqual Max MaxPool
    Min Mod Mul Neg Not OneHot Or PRelu Pad QLinearConv QLinearMatMul QuantizeLinear Range
    Reciprocal ReduceMax ReduceMin Relu Reshape ReverseSequence Round Scatter ScatterElements
    ScatterND Shape Sign Size Slice SpaceToDepth Split Sqrt Squeeze Sub TensorScatter
    ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
""")
#: Sums of products, which are exact on whole numbers as long as these are small.
SUMS = _names("""
    Conv ConvTranspose CumSum Einsum Gemm MatMul ReduceL1 ReduceSum ReduceSumSquare Sum
""")
#: Operators of which only the first operand is data that may be rounded.
SCALED = _names("Resize Upsample")
#: Operators with a difference such as ``exp(x) - 1``, whose rounding is one of numbers near 1.
NEAR_ONE = _names("""
    BatchNormalization Celu Elu Erf GRU Gelu GroupNormalization InstanceNormalization LSTM
    LayerNormalization LogSoftmax Loop Mish RNN ReduceLogSumExp Selu Sigmoid Softplus
    SoftmaxCrossEntropyLoss Swish Tanh
""")

#: Operators on which ONNX Runtime differs from ONNX's text, so that the evaluator goes first.
REFERENCE_FIRST = _names("DFT MaxUnpool STFT")
#: The same for one element type: ONNX Runtime computes these in float32.
IN_FLOAT32 = {("Shrink", t) for t in ("float64", "int32", "int64", "uint32", "uint64")}
#: Operators on which the evaluator differs, so that only ONNX Runtime is asked.
RUNTIME_ONLY = _names("""
    AveragePool ConvTranspose GlobalMaxPool Hardmax LRN Loop LpNormalization LpPool MaxPool
    MeanVarianceNormalization PRelu QLinearConv QLinearMatMul Resize
""")
#: Neither runtime has these in double precision: constants of their definition are float32.
NO_DOUBLE = _names("Erf GroupNormalization HardSwish")
#: Operators that turn the sign of a zero, on which implementations differ, into that of infinity.
NO_ZERO = _names("Div Pow Reciprocal")
#: Operators on which the runtimes disagree about NaN.
NO_NAN = _names("""
    ArgMax ArgMin GlobalMaxPool Hardmax LogSoftmax MaxPool ReduceLogSumExp ReduceMax
    ReduceMin ScatterElements ScatterND Sign Softmax SoftmaxCrossEntropyLoss ThresholdedRelu TopK
""")
#: The same about any number that is not finite.
FINITE = _names("""
    Attention Clip Conv ConvTranspose DynamicQuantizeLinear GRU GridSample LRN LSTM
    MeanVarianceNormalization QuantizeLinear RNN Resize
""")
#: ONNX Runtime's variance, a difference of squares, may come out negative.
NAN_BY_ROUNDING = _names("MeanVarianceNormalization")
