// Forms a model may be written in, the whole way and against onnxruntime: local functions, branches and loops of constant course, operators as old
// opsets write them.
import onnxProto from "onnx-proto";
import { afterAll, describe, expect, test } from "vitest";
import type { HostTensor } from "../backends/interp/host.ts";
import { bytesOf, type TensorValue } from "../ir/graph/values.ts";
import { elementTypeOfDtype } from "../src/onnx/schema.ts";
import { suiteRule } from "../src/tolerance.ts";
import { scratchFolder } from "./cli-runner.ts";
import { int, joined, message, model, node, text, valueInfo, varint } from "./onnx-bytes.ts";
import { floats, judgeModel, listed } from "./op-models.ts";

const { onnx } = onnxProto;
const scratch = scratchFolder();
afterAll(scratch.remove);

const tensor = (name: string, { dtype, shape, ...value }: TensorValue): object => ({
  name,
  dims: [...shape],
  dataType: elementTypeOfDtype(dtype),
  rawData: bytesOf({ dtype, shape, ...value } as TensorValue),
});
const port = (name: string, elemType: number, shape: readonly number[]): object => ({
  name,
  type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});
const ints = (name: string, ...list: number[]): object => ({ name, type: 7, ints: list });
const whole = (name: string, i: number): object => ({ name, type: 2, i });
const real = (name: string, f: number): object => ({ name, type: 1, f });
const graphOf = (name: string, g: object): object => ({ name, type: 5, g });

interface Form {
  readonly opset: number;
  readonly node: readonly object[];
  readonly constants?: Readonly<Record<string, TensorValue>>;
  readonly shape?: readonly number[];
  readonly outputs?: readonly string[];
}

const shape = [2, 3, 4];
const op = (opType: string, input: string[], output: string[], ...attribute: object[]): object => ({
  opType,
  name: `${opType}/${output.join()}`,
  input,
  output,
  attribute,
});

function written(form: Form) {
  const x = floats(form.shape ?? shape, 1);
  const bytes = onnx.ModelProto.encode({
    irVersion: form.opset < 10 ? 4 : 8,
    opsetImport: [{ domain: "", version: form.opset }],
    graph: {
      name: "form",
      node: [...form.node],
      input: [port("x", 1, x.shape)],
      output: (form.outputs ?? ["y"]).map((name) => ({ name })),
      initializer: Object.entries(form.constants ?? {}).map(([name, value]) => tensor(name, value)),
    },
  }).finish();
  const inputs = new Map<string, HostTensor>([["x", { dtype: x.dtype, shape: x.shape, bytes: bytesOf(x) }]]);
  return { bytes, inputs };
}

const one = listed("int64", [1], [1]);
const branch = (opType: string): object => ({
  name: opType,
  node: [op(opType, ["x"], [`${opType}.y`])],
  output: [port(`${opType}.y`, 1, shape)],
});
/** s := s * s + i / 4, so many times; each turn's sum is kept if asked for. */
const body = (scans: boolean): object => ({
  name: "body",
  node: [
    op("Mul", ["s", "s"], ["m"]),
    op("Cast", ["i"], ["f"], whole("to", 1)),
    op("Mul", ["f", "small"], ["g"]),
    op("Add", ["m", "g"], ["t"]),
    op("Identity", ["c"], ["again"]),
    op("ReduceSum", ["t"], ["each"], whole("keepdims", 0)),
  ],
  input: [port("i", 7, []), port("c", 9, []), port("s", 1, shape)],
  output: [port("again", 9, []), port("t", 1, shape), ...(scans ? [port("each", 1, [])] : [])],
  initializer: [tensor("small", listed("float32", [], [0.25]))],
});
const yes = listed("bool", [], [1]);

const forms: Readonly<Record<string, Form>> = {
  "a branch that is known": {
    opset: 13,
    node: [op("If", ["yes"], ["y"], graphOf("then_branch", branch("Neg")), graphOf("else_branch", branch("Abs")))],
    constants: { yes },
  },
  "a branch that shapes decide": {
    opset: 13,
    node: [
      op("Shape", ["x"], ["shape"]),
      op("Gather", ["shape", "one"], ["size"]),
      op("Equal", ["size", "four"], ["isFour"]),
      op("If", ["isFour"], ["y"], graphOf("then_branch", branch("Neg")), graphOf("else_branch", branch("Abs"))),
    ],
    constants: { one, four: listed("int64", [1], [4]) },
  },
  "a loop with a constant count, states and a scan": {
    opset: 13,
    node: [op("Loop", ["count", "yes", "x"], ["y", "sums"], graphOf("body", body(true)))],
    constants: { yes, count: listed("int64", [], [3]) },
    outputs: ["y", "sums"],
  },
  "a loop of no turn": {
    opset: 13,
    node: [op("Loop", ["count", "yes", "x"], ["y"], graphOf("body", body(false))), op("Neg", ["y"], ["z"])],
    constants: { yes, count: listed("int64", [], [0]) },
    outputs: ["z"],
  },
};

const squeezing: readonly object[] = [
  op("Unsqueeze", ["x"], ["u"], ints("axes", 0, 4)),
  op("Squeeze", ["u"], ["y"], ints("axes", 4)),
];
const old: Readonly<Record<string, Form>> = Object.fromEntries(
  [7, 8, 9, 10, 11, 12].flatMap((opset) => [
    [`Softmax of all that follows an axis, ${opset}`, { opset, node: [op("Softmax", ["x"], ["y"], whole("axis", 1))] }],
    [`LogSoftmax without an axis, ${opset}`, { opset, node: [op("LogSoftmax", ["x"], ["y"])] }],
    [
      `Split by an attribute, ${opset}`,
      {
        opset,
        node: [op("Split", ["x"], ["a", "b"], whole("axis", 2), ints("split", 1, 3)), op("Neg", ["b"], ["c"])],
        outputs: ["a", "c"],
      },
    ],
    [`Split in equal parts, ${opset}`, { opset, node: [op("Split", ["x"], ["a", "b"]), op("Sub", ["a", "b"], ["y"])] }],
    [`Squeeze and Unsqueeze by attributes, ${opset}`, { opset, node: squeezing }],
    [
      `Dropout, ${opset}`,
      {
        opset,
        node: [op("Dropout", ["x"], ["d"], ...(opset < 12 ? [real("ratio", 0.5)] : [])), op("Neg", ["d"], ["y"])],
      },
    ],
    [
      `ReduceMean and ReduceSum by attributes, ${opset}`,
      {
        opset,
        node: [
          op("ReduceMean", ["x"], ["m"], ints("axes", 1, 2), whole("keepdims", 0)),
          op("ReduceSum", ["x"], ["s"], ints("axes", 0)),
        ],
        outputs: ["m", "s"],
      },
    ],
    [
      `Clip, Pad and Slice, ${opset}`,
      {
        opset,
        node: [
          ...(opset < 11
            ? [op("Clip", ["x"], ["l"], real("min", -1), real("max", 0.5))]
            : [op("Clip", ["x", "low", "high"], ["l"])]),
          ...(opset < 11
            ? [op("Pad", ["l"], ["p"], ints("pads", 0, 1, 0, 0, 0, 2), real("value", 0.25))]
            : [op("Pad", ["l", "pads", "value"], ["p"])]),
          ...(opset < 10
            ? [op("Slice", ["p"], ["y"], ints("axes", 2), ints("starts", 1), ints("ends", 5))]
            : [op("Slice", ["p", "one", "five", "two"], ["y"])]),
        ],
        constants: {
          ...(opset < 11
            ? {}
            : {
                low: listed("float32", [], [-1]),
                high: listed("float32", [], [0.5]),
                pads: listed("int64", [6], [0, 1, 0, 0, 0, 2]),
                value: listed("float32", [], [0.25]),
              }),
          ...(opset < 10 ? {} : { one, five: listed("int64", [1], [5]), two: listed("int64", [1], [2]) }),
        },
      },
    ],
  ]),
);

const axesAsInputs: Readonly<Record<string, Form>> = Object.fromEntries(
  [13, 18, 21].map((opset) => [
    `axes and parts as inputs, ${opset}`,
    {
      opset,
      node: [
        op("Unsqueeze", ["x", "one"], ["u"]),
        op("Squeeze", ["u", "one"], ["q"]),
        op("Split", ["q", "parts"], ["a", "b"], whole("axis", 2)),
        op("ReduceSum", ["b", "one"], ["s"], whole("keepdims", 0)),
        op("Dropout", ["a", "ratio", "no"], ["d"]),
        op("Softmax", ["d"], ["y"], whole("axis", 1)),
      ],
      constants: {
        one,
        parts: listed("int64", [2], [1, 3]),
        ratio: listed("float32", [], [0.5]),
        no: listed("bool", [], [0]),
      },
      outputs: ["s", "y"],
    },
  ]),
);

let files = 0;
describe("as onnxruntime has it", () => {
  test.each(Object.entries({ ...forms, ...old, ...axesAsInputs }))("%s", async (_, form) => {
    const { result, noReference } = await judgeModel(scratch.path(`form${files++}`), written(form), suiteRule);
    expect(noReference).toBeUndefined();
    expect(result).toMatchObject({ status: "passed", reason: "" });
  });
});

/** A function of one input and one output in the domain of the model's own functions. */
const localFunction = (nodes: readonly Uint8Array[], ...more: readonly Uint8Array[]): Uint8Array =>
  message(
    25,
    text(1, "f"),
    text(4, "a"),
    text(5, "b"),
    ...nodes.map((one) => message(7, one)),
    message(9, int(2, 18)),
    text(10, "local"),
    ...more,
  );
const alpha = (field: number, value: number): Uint8Array =>
  message(
    field,
    text(1, "alpha"),
    joined(varint(2 * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)),
    int(20, 1),
  );
const leaky = node("LeakyRelu", ["a"], ["b"], message(5, text(1, "alpha"), int(20, 1), text(21, "alpha")));

describe("local functions", () => {
  const call = (from: string, to: string, ...more: readonly Uint8Array[]): Uint8Array =>
    message(1, node("f", [from], [to], text(7, "local"), ...more));
  const cases: Readonly<Record<string, readonly [readonly Uint8Array[], readonly Uint8Array[]]>> = {
    "told apart by their overload": [
      [call("x", "h"), call("h", "y", text(8, "other"))],
      [localFunction([node("Neg", ["a"], ["b"])]), localFunction([node("Relu", ["a"], ["b"])], text(13, "other"))],
    ],
    "attributes left to their defaults": [[call("x", "y")], [localFunction([leaky], alpha(11, 0.5))]],
    "attributes given": [[call("x", "y", alpha(5, 0.25))], [localFunction([leaky], alpha(11, 0.5))]],
    "several nodes, called twice": [
      [call("x", "h"), call("h", "y")],
      [localFunction([node("Exp", ["a"], ["e"]), node("Neg", ["e"], ["n"]), node("Add", ["a", "n"], ["b"])])],
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [calls, functions]) => {
    const x = floats(shape, 1);
    const ports = [message(11, valueInfo("x", 1, shape)), message(12, valueInfo("y", 1, shape))];
    const bytes = model([...ports, ...calls], message(8, text(1, "local"), int(2, 1)), ...functions);
    const inputs = new Map<string, HostTensor>([["x", { dtype: x.dtype, shape: x.shape, bytes: bytesOf(x) }]]);
    const { result, noReference } = await judgeModel(scratch.path(`form${files++}`), { bytes, inputs }, suiteRule);
    expect(noReference).toBeUndefined();
    expect(result).toMatchObject({ status: "passed", reason: "" });
  });
});
