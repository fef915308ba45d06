"""Every rule: what it says, what breaking it costs, what to do, and how it is checked.

Where TensorRT's own answer is quoted, TensorRT for RTX 1.7 gave it to a graph with that one mistake. F1 is the box
agreement with the float model (confidence 0.25, IoU 0.9), in points, as measured on YOLOv5s, YOLOv8n and YOLOv4-tiny.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from polyyolo.quantization.lint import branches, places, values
from polyyolo.quantization.lint.rules import Rule, Severity, Spot
from polyyolo.quantization.lint.view import View

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

INT8_SHARE = Rule(
    "int8-share",
    INFO,
    "share of the multiply-accumulates that run in INT8",
    "what runs in float gains nothing from quantization",
    "quantize more convolutions, unless accuracy needs them in float",
)

CHECKS: Mapping[Rule, Callable[[View], Iterator[Spot]]] = MappingProxyType(
    {
        Rule(
            "integer-operator",
            ERROR,
            "the node computes with integers itself, where TensorRT wants float operators between Q/DQ nodes",
            "TensorRT's parser refuses it",
            "quantize the float model again, in QDQ format (ONNX Runtime: quant_format=QuantFormat.QDQ)",
        ): values.integer_operators,
        Rule(
            "scale",
            ERROR,
            "a scale is not a finite constant above 0",
            'TensorRT: "Scale coefficients must all be positive"; infinity passes and turns the tensor into zeros',
            "weights: compute the scale again from the weights; activations: calibrate, or leave the tensor in float",
        ): values.scales,
        Rule(
            "computed-number",
            ERROR,
            "a scale or zero-point is computed by nodes, as PyTorch exports those of fake_quantize",
            'TensorRT 8.6: "Int8 constant is only allowed before DQ node", or an abort with "LLVM ERROR: out of '
            'memory"; TensorRT for RTX 1.7 builds it',
            "make constants of them (polyyolo engine does)",
        ): values.computed_numbers,
        Rule(
            "type",
            ERROR,
            "the quantized type is not INT8",
            "TensorRT takes no UINT8 weights and no 16-bit integers; FP8 and INT4 are other paths than INT8",
            "quantize to signed 8 bits (ONNX Runtime: activation_type=weight_type=QuantType.QInt8)",
        ): values.types,
        Rule(
            "zero-point",
            ERROR,
            "the zero-point is not 0",
            'TensorRT: "Non-zero zero point is not supported"',
            "quantize symmetrically (ONNX Runtime: ActivationSymmetric=True, WeightSymmetric=True)",
        ): values.zero_points,
        Rule(
            "pair-mismatch",
            ERROR,
            "QuantizeLinear and DequantizeLinear of one pair have other scales",
            "everything behind is wrong by the ratio of the two",
            "give both the scale that was calibrated",
        ): values.mismatches,
        Rule(
            "opset",
            ERROR,
            "the model's operator set does not have this kind of Q/DQ node",
            "ONNX Runtime and the ONNX checker refuse the model",
            "convert the model to opset 19",
        ): values.opsets,
        Rule(
            "bias",
            ERROR,
            "the bias is quantized",
            'TensorRT: "input has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8"; INT8 costs accuracy',
            "leave the bias in float (ONNX Runtime: QuantizeBias=False)",
        ): places.biases,
        Rule(
            "weight-axis",
            ERROR,
            "the weights' scales do not lie along the outputs' axis",
            'TensorRT: "The number of scales is not equal to the number of output channels"; or no INT8 convolution',
            "one scale for each output: axis 0 of a Conv, 1 of a ConvTranspose",
        ): values.weight_axes,
        Rule(
            "per-channel-activation",
            ERROR,
            "an activation has a scale for each channel",
            "TensorRT's INT8 convolutions take one scale for an activation",
            "one scale for the tensor",
        ): values.per_channel_activations,
        Rule(
            "decode",
            ERROR,
            "the decode behind the head is quantized",
            "boxes in pixels do not fit into 256 steps: YOLOv5s quantized so found nothing at all",
            "leave everything behind the head's output convolutions in float",
        ): places.decodes,
        Rule(
            "dfl",
            WARNING,
            "DFL's Softmax or its convolution is quantized",
            "an edge of a box is the mean of 16 probabilities: rounding them moves it",
            "leave everything behind the head's output convolutions in float",
        ): places.dfls,
        Rule(
            "head",
            WARNING,
            "one of the head's output convolutions is quantized",
            "3 to 16 points of F1, for 2 to 5 percent of the work",
            "leave it in float",
        ): places.heads,
        Rule(
            "conv-activation",
            WARNING,
            "Q/DQ stands between a convolution and its activation, or inside the activation; a LeakyReLU behind the "
            "picture's convolution or a large one may have the scale of its output before it, too",
            "9 to 24 points of F1, and TensorRT cannot fuse the two",
            "quantize what the activation gives instead",
        ): places.between,
        Rule(
            "softmax",
            WARNING,
            "what a Softmax, normalisation or exponential reads is quantized",
            "these compute in float: two conversions and lost digits for nothing",
            "let it read float",
        ): places.softmaxes,
        Rule(
            "double",
            WARNING,
            "a tensor is quantized twice in a row",
            "values are rounded twice, and each pair may be a kernel of its own",
            "leave one pair",
        ): places.doubles,
        Rule(
            "add-conv-branch",
            WARNING,
            "Q/DQ stands between a convolution and the Add behind it",
            "TensorRT cannot fuse the Add into the convolution, and the sum is rounded once more",
            "quantize the other branch alone, the skip",
        ): branches.convolved_sides,
        Rule(
            "add-skip-branch",
            WARNING,
            "the skip branch of an Add behind an INT8 convolution is in float, and others read it in INT8",
            "the fused convolution must then write float; the tensor is kept twice",
            "let the Add read the skip branch through Q/DQ as well",
        ): branches.bare_skips,
        Rule(
            "add-activation-branch",
            WARNING,
            "an Add reads its skip in INT8 and what an activation function made of an INT8 convolution in float",
            "TensorRT converts the skip in a kernel of its own, and does not fuse the function into the convolution",
            "quantize that branch, too",
        ): branches.activated_sides,
        Rule(
            "half-quantized",
            WARNING,
            "only one factor of a convolution is quantized",
            "it runs in float, after conversions that cost time and accuracy",
            "quantize both, activation and weights, or neither",
        ): places.halves,
        Rule(
            "per-tensor-weight",
            WARNING,
            "the weights have one scale for all outputs",
            "5 to 20 points of F1 against a scale for each output",
            "one scale for each output (ONNX Runtime: per_channel=True)",
        ): values.per_tensor_weights,
        Rule(
            "untied",
            WARNING,
            "a tensor, or one and what Concat, MaxPool, Resize, Slice or Split makes of it, has several scales",
            "a rescaling of each branch: YOLOv7 on Orin made 180 pictures a second so, 207 with tied scales",
            "give all of its tensors the widest scale",
        ): branches.untied,
        Rule(
            "unused",
            WARNING,
            "what comes out of Q/DQ is read by nothing that runs in INT8",
            "conversions and rounding without any gain",
            "remove the pair",
        ): places.unused,
        Rule(
            "network-input",
            WARNING,
            "the network's input is quantized for a kernel wider than 3 x 3",
            "slower than FP16, since 3 channels are filled up to 32: YOLOv5s' first four stages 0.53 ms, not 0.32",
            "leave the first convolution in float",
        ): places.inputs,
    }
)
