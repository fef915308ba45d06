"""ONNX to a GraphSurgeon graph and back, keeping what GraphSurgeon drops."""

import onnx
import onnx_graphsurgeon as gs


def imported(model: onnx.ModelProto) -> gs.Graph:
    """Give a model's graph as one that can be rewired, sorted topologically; the model stays as it is.

    Constant nodes become constants, as those of a model that was never simplified.
    """
    graph = gs.import_onnx(model).toposort()
    outputs = {id(tensor) for tensor in graph.outputs}
    constants = [node for node in graph.nodes if node.op == "Constant" and "value" in node.attrs]
    for node in [node for node in constants if id(node.outputs[0]) not in outputs]:
        tensor = node.outputs[0]
        node.outputs.clear()
        tensor.to_constant(node.attrs["value"].values)
    graph.nodes = [node for node in graph.nodes if node.outputs]
    return graph


def exported(graph: gs.Graph, like: onnx.ModelProto, ir_version: int = 0) -> onnx.ModelProto:
    """Give a rewired graph as a model, without what nothing reads any more.

    Args:
        graph: the graph.
        like: the model that it came from; metadata and format version are its.
        ir_version: the least format version that the graph needs.
    """
    graph.cleanup().toposort()
    model: onnx.ModelProto = gs.export_onnx(graph)
    model.ir_version = max(like.ir_version, ir_version)
    model.metadata_props.extend(like.metadata_props)
    return model
