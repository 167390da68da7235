// Random graphs over the whole operator table: mostly nonsense, sometimes valid. Knows how rows describe operators, not what they mean.
import onnxProto from "onnx-proto";
import { type DType, dtypes } from "../ir/dtype.ts";
import type { AttrSpec } from "../ir/graph/attr.ts";
import { onnxOps } from "../ir/graph/onnx-ops.ts";
import { type OnnxOpRow, parseParameter, typeClasses } from "../ir/graph/op-row.ts";
import { elementTypeOfDtype } from "../src/onnx/schema.ts";
import { oddNumbers, type Random } from "./random.ts";

const { onnx } = onnxProto;
const ops = Object.entries(onnxOps) as readonly (readonly [string, OnnxOpRow])[];
const allTypes = Object.keys(dtypes) as readonly DType[];
const isDType = (name: string): name is DType => Object.hasOwn(dtypes, name);

interface Known {
  readonly name: string;
  readonly dtype: DType | undefined;
}

interface Draft {
  readonly shape: readonly number[];
  readonly tensors: Known[];
  readonly inputs: object[];
  readonly initializers: object[];
  readonly nodes: object[];
}

/** Mostly a variation of the draft's own shape, so that operands fit each other now and then. */
function someShape(random: Random, usual: readonly number[]): number[] {
  if (random.chance(0.8)) {
    const shape = usual.slice(random.chance(0.7) ? 0 : random.below(usual.length + 1));
    if (random.chance(0.2) && shape.length > 0) shape[random.below(shape.length)] = random.pick([0, 1, 2, 4]);
    return random.chance(0.1) ? shape.reverse() : shape;
  }
  const rank = random.below(random.chance(0.9) ? 5 : 9);
  return Array.from({ length: rank }, () =>
    random.chance(0.97) ? random.pick([0, 1, 1, 2, 2, 3, 4, 5, 8]) : random.pick(oddNumbers),
  );
}

/** A new input or constant. */
function addTensor(random: Random, draft: Draft, dtype: DType): string {
  const name = `t${draft.tensors.length}`;
  const shape = someShape(random, draft.shape);
  draft.tensors.push({ name, dtype });
  const elemType = elementTypeOfDtype(dtype);
  const count = shape.reduce((product, size) => product * Math.max(0, size), 1);
  if (random.chance(0.5) || count > 512 || shape.some((size) => size < 0)) {
    const dim = shape.map((dimValue) => ({ dimValue }));
    draft.inputs.push({ name, type: { tensorType: { elemType, shape: { dim } } } });
    return name;
  }
  const rawData = new Uint8Array(Math.ceil((count * dtypes[dtype].bits) / 8));
  const view = new DataView(rawData.buffer);
  for (let i = 0; i < rawData.length; i += 1) rawData[i] = random.below(256);
  // Small whole numbers are axes and sizes that may make sense.
  if (dtype === "int64")
    for (let i = 0; i < count; i += 1)
      view.setBigInt64(i * 8, BigInt(random.chance(0.9) ? random.below(6) - 2 : random.pick(oddNumbers)), true);
  if (dtype === "float32") for (let i = 0; i < count; i += 1) view.setFloat32(i * 4, (random.below(17) - 8) / 4, true);
  if (dtype === "bool") for (let i = 0; i < count; i += 1) rawData[i] = random.below(2);
  draft.initializers.push({ name, dims: shape, dataType: elemType, rawData });
  return name;
}

function typeOf(random: Random, text: string): DType {
  if (random.chance(0.02)) return random.pick(allTypes);
  const types = parseParameter(text).types.flatMap((name): readonly DType[] => {
    if (Object.hasOwn(typeClasses, name)) return typeClasses[name as keyof typeof typeClasses];
    return isDType(name) ? [name] : [];
  });
  const usual = types.filter((type) => type === "float32" || type === "int64" || type === "bool");
  if (usual.length > 0 && random.chance(0.9)) return random.pick(usual);
  return types.length === 0 ? "float32" : random.pick(types);
}

function attributeOf(random: Random, name: string, spec: AttrSpec): object {
  const number = (): number => (random.chance(0.95) ? random.below(6) - 1 : random.pick(oddNumbers));
  const list = (): number[] => Array.from({ length: random.below(5) }, number);
  const word = (): string =>
    random.pick(["", "NOTSET", "SAME_UPPER", "constant", "reflect", "ij,jk->ik", "...i,ij", "none"]);
  switch (random.chance(0.97) ? spec.type : "strings") {
    case "int":
      return { name, type: 2, i: number() };
    case "dtype":
      return { name, type: 2, i: random.below(28) };
    case "float":
      return { name, type: 1, f: random.pick([0, 1, -1, 0.5, 1e-5, Number.NaN, Number.POSITIVE_INFINITY, 1e38]) };
    case "ints":
      return { name, type: 7, ints: list() };
    case "floats":
      return { name, type: 6, floats: list() };
    case "string":
      return {
        name,
        type: 3,
        s: new TextEncoder().encode(spec.default === undefined || random.chance(0.3) ? word() : String(spec.default)),
      };
    case "strings":
      return { name, type: 8, strings: [new TextEncoder().encode(word())] };
  }
}

function addNode(random: Random, draft: Draft): void {
  const [op, row] = random.pick(ops);
  const at = op.lastIndexOf(".");
  const parameters = row.inputs.slice(0, random.chance(0.8) ? row.inputs.length : random.below(row.inputs.length + 1));
  const inputs = parameters.flatMap((text): string[] => {
    const { optional, variadic } = parseParameter(text);
    if (optional && random.chance(0.5)) return [""];
    const dtype = typeOf(random, text);
    const names = Array.from({ length: variadic ? 1 + random.below(3) : 1 }, () => {
      const known = draft.tensors.filter((tensor) => tensor.dtype === undefined || tensor.dtype === dtype);
      return known.length > 0 && random.chance(0.7) ? random.pick(known).name : addTensor(random, draft, dtype);
    });
    return names;
  });
  const attribute = Object.entries(row.attrs).flatMap(([name, spec]) =>
    random.chance(spec.required === true ? 0.97 : 0.3) ? [attributeOf(random, name, spec)] : [],
  );
  const output = row.outputs.slice(0, 1 + random.below(row.outputs.length)).map(() => `t${draft.tensors.length + 1}`);
  const names = output.map((_, i) => `n${draft.nodes.length}_${i}`);
  draft.nodes.push({
    opType: op.slice(at + 1),
    domain: at < 0 ? "" : op.slice(0, at),
    input: inputs,
    output: names,
    attribute,
  });
  for (const name of names) draft.tensors.push({ name, dtype: undefined });
}

/** A model of one to six random nodes; every result is a graph output. */
export function randomModel(random: Random): Uint8Array {
  const shape = Array.from({ length: 1 + random.below(4) }, () => random.pick([1, 2, 2, 3, 4, 4, 6, 8]));
  const draft: Draft = { shape, tensors: [], inputs: [], initializers: [], nodes: [] };
  for (let left = random.chance(0.6) ? 1 : 2 + random.below(4); left > 0; left -= 1) addNode(random, draft);
  const output = draft.tensors.filter(({ dtype }) => dtype === undefined).map(({ name }) => ({ name }));
  return onnx.ModelProto.encode({
    irVersion: 10,
    opsetImport: [
      { domain: "", version: random.chance(0.8) ? 23 : 7 + random.below(18) },
      { domain: "com.microsoft", version: 1 },
    ],
    graph: {
      name: "random",
      input: draft.inputs,
      output,
      initializer: draft.initializers,
      node: draft.nodes,
    },
  }).finish();
}
