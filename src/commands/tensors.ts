// Tensors on the command line and in files: `name=@file.npy`, `name=@file.npz`, `name=@file.pb`, `name=1x128xi64=0`, data set folders, output files.
import { join } from "node:path";
import type { HostTensor } from "../../backends/interp/host.ts";
import { diagnostic } from "../../ir/diag/codes.ts";
import { type Diagnostic, fail, ok, type Result } from "../../ir/diag/diagnostic.ts";
import { didYouMean } from "../../ir/diag/suggest.ts";
import { type DType, dtypes } from "../../ir/dtype.ts";
import { elementCount } from "../../ir/graph/graph.ts";
import { bytesOf, is64Bit, valueFromBigints, valueFromNumbers } from "../../ir/graph/values.ts";
import { readNpy, writeNpy } from "../formats/npy.ts";
import { readNpz } from "../formats/npz.ts";
import { isDirectory, listDirectory, readFileBytes, writeFileAtomic } from "../io.ts";
import { type NamedTensor, readTensorProto, writeTensorProto } from "../onnx/tensor-file.ts";
import { parseDims } from "./model-options.ts";
import { badOption } from "./session.ts";

const shortNames: Readonly<Record<string, DType>> = {
  f64: "float64",
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
  i64: "int64",
  i32: "int32",
  i16: "int16",
  i8: "int8",
  u64: "uint64",
  u32: "uint32",
  u16: "uint16",
  u8: "uint8",
};

function dtypeNamed(name: string): DType | undefined {
  const long = shortNames[name] ?? name;
  return Object.hasOwn(dtypes, long) ? (long as DType) : undefined;
}

/** A tensor file by its ending; of an archive the array `name`. */
export function readTensorAt(path: string, name = ""): Result<NamedTensor> {
  const location = { kind: "file", path } as const;
  const bytes = readFileBytes(path);
  if (!bytes.ok) return bytes;
  if (path.endsWith(".pb")) return readTensorProto(bytes.value, path);
  const isArchive = path.endsWith(".npz");
  if (!isArchive && !path.endsWith(".npy")) {
    return fail(diagnostic("LPU1040", "a tensor file ends in .npy, .npz or .pb", { location }));
  }
  const array = isArchive ? readNpz(bytes.value, name) : readNpy(bytes.value);
  if (!array.ok) return fail(diagnostic("LPU1040", array.message, { location }));
  return ok({ name: "", tensor: array.value });
}

const inputForm = "NAME=@FILE.npy, NAME=@FILE.npz, NAME=@FILE.pb or NAME=1x128xi64=0";

/** `1x128xi64=0`: one number for all elements, or as many as there are. */
function writtenTensor(text: string): HostTensor | string {
  const match = /^((?:\d+x)*)([a-z]+\d*[a-z0-9]*)=([^=]+)$/.exec(text);
  const shape = parseDims((match?.[1] ?? "").slice(0, -1));
  const dtype = dtypeNamed(match?.[2] ?? "");
  if (match === null || shape === undefined) return `it does not have the form ${inputForm}`;
  if (dtype === undefined) return `there is no element type '${match[2]}'`;
  const parts = (match[3] ?? "").split(",").map((part) => part.trim());
  const count = elementCount(shape);
  if (parts.length !== 1 && parts.length !== count) return `${parts.length} numbers are given for ${count} elements`;
  const wrong = parts.find((part) =>
    is64Bit(dtype) ? !/^-?\d{1,19}$/.test(part) : part === "" || Number.isNaN(Number(part)),
  );
  if (wrong !== undefined) return `'${wrong}' is not a number of type ${dtype}`;
  const at = (i: number): string => parts[parts.length === 1 ? 0 : i] ?? "0";
  const indices = Array.from({ length: count }, (_, i) => i);
  const value = is64Bit(dtype)
    ? valueFromBigints(
        dtype,
        shape,
        indices.map((i) => BigInt(at(i))),
      )
    : valueFromNumbers(
        dtype,
        shape,
        indices.map((i) => Number(at(i))),
      );
  return { dtype, shape, bytes: bytesOf(value).slice() };
}

/** The tensors of -i options by name. */
export function inputOptions(texts: readonly string[]): Result<ReadonlyMap<string, HostTensor>> {
  const inputs = new Map<string, HostTensor>();
  const problems: Diagnostic[] = [];
  for (const text of texts) {
    const at = text.indexOf("=");
    const [name, value] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
    if (name === "") {
      problems.push(badOption("input", `'${text}' does not have the form ${inputForm}`));
      continue;
    }
    if (inputs.has(name)) problems.push(diagnostic("LPU0004", `--input: '${name}' is given twice`));
    if (value.startsWith("@")) {
      const tensor = readTensorAt(value.slice(1), name);
      if (tensor.ok) inputs.set(name, tensor.value.tensor);
      else problems.push(...tensor.diagnostics);
      continue;
    }
    const tensor = writtenTensor(value);
    if (typeof tensor === "string") problems.push(badOption("input", `${name}: ${tensor}`));
    else inputs.set(name, tensor);
  }
  return problems.length === 0 ? ok(inputs) : { ok: false, diagnostics: problems };
}

/** `input_0.pb`, `input_1.pb`, ... of a folder, in the order of their numbers. */
function numberedFiles(folder: string, prefix: "input" | "output"): Result<readonly { index: number; path: string }[]> {
  const names = listDirectory(folder);
  if (!names.ok) return names;
  const files = names.value.flatMap((name) => {
    const match = /^(input|output)_(\d{1,6})\.pb$/.exec(name);
    return match?.[1] === prefix ? [{ index: Number(match[2]), path: join(folder, name) }] : [];
  });
  return ok(files.sort((a, b) => a.index - b.index));
}

/** Recorded tensors of a folder by name: the name in the file where it is one of `names`, else the one at the file's number. */
export function recordedTensors(
  folder: string,
  prefix: "input" | "output",
  names: readonly string[],
): Result<ReadonlyMap<string, HostTensor>> {
  if (!isDirectory(folder)) {
    return fail(
      diagnostic("LPU1001", `cannot read ${folder}: it is not a folder`, { location: { kind: "file", path: folder } }),
    );
  }
  const files = numberedFiles(folder, prefix);
  if (!files.ok) return files;
  const tensors = new Map<string, HostTensor>();
  const problems: Diagnostic[] = [];
  for (const { index, path } of files.value) {
    const tensor = readTensorAt(path);
    if (!tensor.ok) problems.push(...tensor.diagnostics);
    else {
      const name = names.includes(tensor.value.name) ? tensor.value.name : names[index];
      if (name !== undefined) tensors.set(name, tensor.value.tensor);
    }
  }
  return problems.length === 0 ? ok(tensors) : { ok: false, diagnostics: problems };
}

/** Recorded outputs: `output_I.pb`, or `NAME.npy` as --output-dir writes them. */
export function recordedOutputs(folder: string, names: readonly string[]): Result<ReadonlyMap<string, HostTensor>> {
  const numbered = recordedTensors(folder, "output", names);
  if (!numbered.ok || numbered.value.size > 0) return numbered;
  const tensors = new Map<string, HostTensor>();
  const listed = listDirectory(folder);
  const files = new Set(listed.ok ? listed.value : []);
  for (const name of names) {
    if (!files.has(npyName(name))) continue;
    const tensor = readTensorAt(join(folder, npyName(name)));
    if (!tensor.ok) return tensor;
    tensors.set(name, tensor.value.tensor);
  }
  if (tensors.size > 0) return ok(tensors);
  const help = "expected output_0.pb, output_1.pb, ... or NAME.npy";
  return fail(
    diagnostic("LPU1001", `${folder} holds no recorded outputs`, { location: { kind: "file", path: folder }, help }),
  );
}

/** A file name from a tensor name: nothing in it may lead elsewhere. */
const npyName = (name: string): string => `${name.replace(/[^A-Za-z0-9._-]/g, "_").replace(/^\.+/, "_")}.npy`;

export function writeTensorAt(path: string, name: string, tensor: HostTensor): Result<{ readonly byteLength: number }> {
  const bytes = path.endsWith(".pb") ? writeTensorProto(name, tensor) : writeNpy(tensor);
  if (bytes !== undefined) return writeFileAtomic(path, [bytes]);
  return fail(
    diagnostic("LPU2003", `${name}: .npy files have no element type ${tensor.dtype}`, { help: "write a .pb file" }),
  );
}

/** Writes every output into `folder`; gives the file of each. */
export function writeOutputs(
  folder: string,
  outputs: ReadonlyMap<string, HostTensor>,
): Result<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const [index, [name, tensor]] of [...outputs].entries()) {
    const proto = join(folder, `output_${index}.pb`);
    const written = writeTensorAt(proto, name, tensor);
    if (!written.ok) return written;
    files.set(name, proto);
    const array = writeNpy(tensor);
    if (array === undefined) continue;
    const saved = writeFileAtomic(join(folder, npyName(name)), [array]);
    if (!saved.ok) return saved;
    files.set(name, join(folder, npyName(name)));
  }
  return ok(files);
}

/** `-o name=@file` options by output name. */
export function outputOptions(texts: readonly string[], names: readonly string[]): Result<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const problems: Diagnostic[] = [];
  for (const text of texts) {
    const match = /^(.+?)=@(.+)$/.exec(text);
    const [name, file] = [match?.[1] ?? "", match?.[2] ?? ""];
    if (match === null) problems.push(badOption("outputFile", `'${text}' does not have the form NAME=@FILE`));
    else if (!names.includes(name)) {
      problems.push(diagnostic("LPU0004", `there is no output '${name}'`, { help: didYouMean(name, names) }));
    } else if (!/\.(npy|pb)$/.test(file)) {
      problems.push(badOption("outputFile", `'${file}' ends neither in .npy nor in .pb`));
    } else files.set(name, file);
  }
  return problems.length === 0 ? ok(files) : { ok: false, diagnostics: problems };
}
