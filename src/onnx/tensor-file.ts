// Files that hold one ONNX TensorProto, as the backend tests' `input_0.pb`: read into tensors and written. Knows bytes, not paths.
import onnxProto from "onnx-proto";
import type { HostTensor } from "../../backends/interp/host.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { bytesSource } from "../io.ts";
import { readTensorFile } from "./reader.ts";
import { elementTypeOfDtype } from "./schema.ts";
import { isTensorProblem, loadTensor } from "./tensor-data.ts";

export interface NamedTensor {
  /** Empty where the file names none. */
  readonly name: string;
  readonly tensor: HostTensor;
}

/** The tensor in the bytes of a .pb file. */
export function readTensorProto(bytes: Uint8Array, path: string): Result<NamedTensor> {
  const source = bytesSource(bytes);
  const read = readTensorFile(source, path);
  if (!read.ok) return read;
  const external = () => ({ refused: "a tensor file keeps its contents itself", outside: true });
  const loaded = loadTensor(read.value, { model: source, external, shapesOnly: false });
  if (isTensorProblem(loaded)) return fail(diagnostic("LPU1040", loaded.message, { location: { kind: "file", path } }));
  const tensor = { dtype: loaded.dtype, shape: loaded.shape, bytes: loaded.data.read().slice() };
  return ok({ name: read.value.name, tensor });
}

/** The tensor as the bytes of a .pb file. */
export function writeTensorProto(name: string, { dtype, shape, bytes }: HostTensor): Uint8Array {
  const fields = { name, dims: [...shape], dataType: elementTypeOfDtype(dtype), rawData: bytes };
  return onnxProto.onnx.TensorProto.encode(fields).finish();
}
