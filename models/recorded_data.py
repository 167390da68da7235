"""What both generators share: ONNX export at fixed shapes, and recorded tensors as ONNX TensorProto files."""

import os
import shutil

import onnx
import torch
from onnx import numpy_helper


def export_model(model, inputs, path, input_names, output_names, opset):
    """Exports with constant folding and no dynamic axes, and drops the exporter's absolute source paths."""
    torch.onnx.export(
        model,
        inputs,
        path,
        input_names=input_names,
        output_names=output_names,
        opset_version=opset,
        do_constant_folding=True,
    )
    proto = onnx.load(path)
    for node in proto.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def write_data_set(folder, inputs, outputs):
    """Writes input_I.pb and output_I.pb in the order given."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for index, (name, array) in enumerate(tensors.items()):
            with open(os.path.join(folder, f"{kind}_{index}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(array, name).SerializeToString())
