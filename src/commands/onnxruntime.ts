// The optional numerical reference: the model run by onnxruntime, where that package is installed.
import type { HostTensor } from "../../backends/interp/host.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { DType } from "../../ir/dtype.ts";
import { allocate, bytesOf, countOf, tensorValue, valueFromBytes } from "../../ir/graph/values.ts";

type Runtime = typeof import("onnxruntime-node");

async function loadRuntime(): Promise<Runtime | undefined> {
  try {
    const found = await import("onnxruntime-node");
    // A CommonJS package: what it exports is the default where it cannot be told apart.
    return "InferenceSession" in found ? found : (found as { readonly default: Runtime }).default;
  } catch {
    return undefined;
  }
}

/** Types that the JavaScript binding passes. */
const runtimeTypes: readonly DType[] = [
  "float32",
  "float64",
  "float16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint64",
  "uint32",
  "uint16",
  "uint8",
  "bool",
];

export const isRuntimeType = (dtype: DType): boolean => runtimeTypes.includes(dtype);

const problem = (message: string): Result<never> => fail(diagnostic("LPU2003", `onnxruntime: ${message}`));

/** Bytes of a typed array. */
const rawBytes = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** The outputs of the model at `path` by name. */
export async function runOnnxruntime(
  path: string,
  inputs: ReadonlyMap<string, HostTensor>,
): Promise<Result<ReadonlyMap<string, HostTensor>>> {
  const runtime = await loadRuntime();
  if (runtime === undefined) return fail(diagnostic("LPU0005", "onnxruntime-node is not installed"));
  const feeds: Record<string, InstanceType<Runtime["Tensor"]>> = {};
  for (const [name, { dtype, shape, bytes }] of inputs) {
    if (!runtimeTypes.includes(dtype)) return problem(`its binding takes no ${dtype} (input '${name}')`);
    const { data } = valueFromBytes(dtype, shape, bytes);
    feeds[name] = new runtime.Tensor(dtype as "float32", data as Float32Array, shape);
  }
  try {
    const session = await runtime.InferenceSession.create(path, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      graphOptimizationLevel: "disabled",
    });
    const results = await session.run(feeds);
    const outputs = new Map<string, HostTensor>();
    for (const [name, tensor] of Object.entries(results)) {
      const [dtype, shape] = [tensor.type as DType, tensor.dims.map(Number)];
      if (!runtimeTypes.includes(dtype) || !ArrayBuffer.isView(tensor.data))
        return problem(`output '${name}' is ${tensor.type}`);
      const data = allocate(dtype, countOf(shape));
      rawBytes(data).set(rawBytes(tensor.data));
      outputs.set(name, { dtype, shape, bytes: bytesOf(tensorValue(dtype, shape, data)).slice() });
    }
    return ok(outputs);
  } catch (error) {
    return problem(error instanceof Error ? error.message : String(error));
  }
}
