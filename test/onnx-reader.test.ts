// The reader of ONNX files: everything today's schema has, in every form of storage; and what is unknown is said.
import onnxProto from "onnx-proto";
import { describe, expect, test } from "vitest";
import { type DType, dtypes } from "../ir/dtype.ts";
import { bytesOf, numbersOf, valueFromNumbers } from "../ir/graph/values.ts";
import { bytesSource } from "../src/io.ts";
import { readModel } from "../src/onnx/reader.ts";
import { elementTypeOfDtype } from "../src/onnx/schema.ts";
import { bytes, int, joined, message, model, node, text, valueInfo, varint } from "./onnx-bytes.ts";
import { codesOf, evaluated, good, onlyConstant, problemsOf } from "./onnx-import.ts";

const { onnx } = onnxProto;
const input = (name: string, type = 1, dims: readonly number[] = [3]) => message(11, valueInfo(name, type, dims));
const output = (name: string) => message(12, text(1, name));
const x = valueFromNumbers("float32", [3], [-2, -1, 4]);

/** FunctionProto `local.f` of one input and one output. */
const localFunction = (nodes: readonly Uint8Array[], ...more: readonly Uint8Array[]) =>
  message(
    25,
    text(1, "f"),
    text(4, "a"),
    text(5, "b"),
    ...nodes.map((item) => message(7, item)),
    message(9, int(2, 23)),
    text(10, "local"),
    ...more,
  );
const localOpset = message(8, text(1, "local"), int(2, 1));
const callOf = (...more: readonly Uint8Array[]) => message(1, node("f", ["x"], ["y"], text(7, "local"), ...more));
const alphaRef = message(5, text(1, "alpha"), int(20, 1), text(21, "alpha"));
const alpha = (field: number, value: number) =>
  message(
    field,
    text(1, "alpha"),
    joined(varint(2 * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)),
    int(20, 1),
  );

describe("fields that change results", () => {
  test("overloads of a function are told apart", () => {
    const functions = [
      localFunction([node("Neg", ["a"], ["b"])]),
      localFunction([node("Abs", ["a"], ["b"])], text(13, "absolute")),
    ];
    const result = (...overload: readonly Uint8Array[]) => {
      const file = model([input("x"), output("y"), callOf(...overload)], localOpset, ...functions);
      return Array.from(numbersOf(evaluated(good(file), { x }).get("y") ?? x));
    };
    expect(result()).toEqual([2, 1, -4]);
    expect(result(text(8, "absolute"))).toEqual([2, 1, 4]);
    expect(codesOf(model([input("x"), output("y"), callOf(text(8, "none"))], localOpset, ...functions))).toEqual([
      "LPU2001",
    ]);
  });

  test("attributes of a function have default values", () => {
    const leaky = localFunction([node("LeakyRelu", ["a"], ["b"], alphaRef)], alpha(11, 0.5));
    const result = (...given: readonly Uint8Array[]) => {
      const file = model([input("x"), output("y"), callOf(...given)], localOpset, leaky);
      return Array.from(numbersOf(evaluated(good(file), { x }).get("y") ?? x));
    };
    expect(result()).toEqual([-1, -0.5, 4]);
    expect(result(alpha(5, 0.25))).toEqual([-0.5, -0.25, 4]);
  });

  test("a function's own opset imports decide the form of its nodes", () => {
    const old = message(
      25,
      text(1, "f"),
      text(4, "a"),
      text(5, "b"),
      message(7, node("Softmax", ["a"], ["b"])),
      message(9, int(2, 11)),
      text(10, "local"),
    );
    const file = model([input("x", 1, [2, 2, 2]), output("y"), callOf()], localOpset, old);
    const value = valueFromNumbers("float32", [2, 2, 2], [0, 0, 0, 0, 0, 0, 0, 0]);
    expect(Array.from(numbersOf(evaluated(good(file), { x: value }).get("y") ?? value))).toEqual(Array(8).fill(0.25));
  });
});

describe("fields that do not", () => {
  const parts = (...more: readonly Uint8Array[]) => [
    input("x"),
    output("y"),
    message(1, node("Neg", ["x"], ["y"], ...more)),
  ];

  test("metadata of nodes is kept; value types of functions are known", () => {
    const entry = message(9, text(1, "namespace"), text(2, "model.layer.0"));
    const read = readModel(bytesSource(model(parts(entry))), "m.onnx");
    expect(read.ok && read.value.model.graph.nodes[0]?.metadata).toEqual(new Map([["namespace", "model.layer.0"]]));
    const body = localFunction(
      [node("Neg", ["a"], ["b"])],
      message(12, valueInfo("b", 1, [3])),
      message(14, text(1, "k")),
    );
    expect(good(model([input("x"), output("y"), callOf()], localOpset, body)).warnings).toEqual([]);
  });

  test("device placement, training and annotations are named once as not followed", () => {
    const sharded = message(10, text(1, "two chips"), int(3, 1));
    const file = model(
      [...parts(sharded, sharded), message(14, text(1, "x"))],
      message(26, text(1, "two chips"), int(2, 2)),
      message(20, message(1, text(2, "init"))),
    );
    const { warnings } = good(file);
    expect(warnings.map(({ code }) => code)).toEqual(["LPU1015", "LPU1015", "LPU1015", "LPU1015"]);
    expect(warnings.map(({ message: words }) => words.split(" ")[0]).sort()).toEqual([
      "configuration",
      "deviceConfigurations",
      "quantizationAnnotation",
      "trainingInfo",
    ]);
  });

  test("an unknown field is reported with its place, each kind once", () => {
    const { warnings } = good(model([...parts(int(31, 5), text(30, "?"), int(31, 6)), int(40, 1)]));
    expect(warnings.map(({ code, location }) => [code, location?.kind])).toEqual(Array(3).fill(["LPU1013", "file"]));
    expect(warnings[0]?.message).toContain("field 31 of a Node message");
  });

  test("declared types that no node gives are warnings", () => {
    const file = model([...parts(), message(13, valueInfo("y", 10, [3])), message(13, valueInfo("z", 1, [1]))]);
    expect(good(file).warnings.map(({ code, message: words }) => `${code} ${words}`)).toEqual([
      "LPU1016 'y' is declared as float16[3], its node gives float32[3]",
    ]);
  });
});

describe("types", () => {
  test("sequences, optionals, maps and sparse inputs are refused by name", () => {
    const tensor = message(1, int(1, 1), message(2));
    for (const [field, what] of [
      [4, "sequence"],
      [9, "optional"],
      [5, "map"],
      [8, "sparseTensor"],
    ] as const) {
      const odd = message(
        11,
        text(1, "x"),
        message(2, message(field, field === 5 ? message(2, tensor) : message(1, tensor))),
      );
      const [found] = problemsOf(model([odd, output("y"), message(1, node("Neg", ["x"], ["y"]))]));
      expect([found?.code, found?.message]).toEqual([
        "LPU2003",
        `input 'x' is a ${what}; inputs must be tensors of numbers`,
      ]);
    }
  });

  test("texts and complex numbers are refused by name", () => {
    for (const [type, name] of [
      [8, "string"],
      [14, "complex64"],
      [99, "element type 99"],
    ] as const) {
      const [found] = problemsOf(model([input("x", type), output("y"), message(1, node("Identity", ["x"], ["y"]))]));
      expect(found).toMatchObject({ code: "LPU2003" });
      expect(found?.message).toContain(name);
    }
  });
});

/** A model whose only output is a constant. */
const constantModel = (...tensor: readonly Uint8Array[]) =>
  model([message(5, text(8, "c"), ...tensor), output("y"), message(1, node("Identity", ["c"], ["y"]))]);
const packed = (field: number, values: readonly (number | bigint)[]) =>
  bytes(field, joined(...values.map((value) => varint(value))));

describe("storage", () => {
  const elements: readonly DType[] = Object.keys(dtypes) as DType[];

  test.each(elements)("%s: raw and typed contents are the same tensor", (dtype) => {
    const isFloat = dtypes[dtype].kind === "float";
    const numbers = dtype === "bool" ? [1, 0, 1, 1] : isFloat && dtype !== "float8e8m0" ? [0, 1, 2, 0.5] : [1, 1, 1, 1];
    const value = valueFromNumbers(dtype, [4], numbers);
    const raw = bytesOf(value);
    const head = [int(1, 4), int(2, elementTypeOfDtype(dtype))];
    expect(bytesOf(onlyConstant(good(constantModel(...head, bytes(9, raw)))))).toEqual(raw);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    const width = dtypes[dtype].bits / 8;
    const codes = Array.from({ length: Math.ceil(4 * width) / Math.max(1, width) }, (_, i) =>
      width === 8
        ? view.getBigInt64(i * 8, true)
        : width === 4
          ? view.getInt32(i * 4, true)
          : width === 2
            ? view.getUint16(i * 2, true)
            : view.getUint8(i),
    );
    const typed = (): Uint8Array => {
      if (dtype === "float32") return bytes(4, raw);
      if (dtype === "float64") return bytes(10, raw);
      return packed(dtype === "int64" ? 7 : dtype === "uint64" || dtype === "uint32" ? 11 : 5, codes);
    };
    expect(bytesOf(onlyConstant(good(constantModel(...head, typed()))))).toEqual(raw);
  });

  test("numbers in several pieces, packed and not, negative ones among them", () => {
    const head = [int(1, 6), int(2, 7)];
    const pieces = [packed(7, [-1, 2 ** 40]), int(7, -5), int(7, 6), packed(7, [7]), int(7, -(2n ** 63n))];
    const { data } = onlyConstant(good(constantModel(...head, ...pieces)));
    expect([...data]).toEqual([-1n, 2n ** 40n, -5n, 6n, 7n, -(2n ** 63n)]);
    const floats = [new Uint8Array(Float32Array.of(1, 2).buffer), new Uint8Array(Float32Array.of(-3).buffer)];
    const mixed = joined(bytes(4, floats[0] ?? (x.data as never)), varint(4 * 8 + 5), floats[1] ?? new Uint8Array(0));
    expect([...onlyConstant(good(constantModel(int(1, 3), int(2, 1), mixed))).data]).toEqual([1, 2, -3]);
  });

  test("numbers across the windows they are read by", () => {
    const count = 70_000;
    const values = Array.from({ length: count }, (_, i) => (i % 3 === 0 ? 3 - i : i * 100_000));
    const { data } = onlyConstant(good(constantModel(int(1, count), int(2, 7), packed(7, values))));
    expect([...data].map(Number)).toEqual(values);
  });

  test("sparse tensors, with linear and with coordinate indices", () => {
    const values = message(
      1,
      int(1, 2),
      int(2, 1),
      bytes(4, new Uint8Array(Float32Array.of(5, 7).buffer)),
      text(8, "c"),
    );
    const sparse = (indices: Uint8Array) =>
      model([
        message(15, values, indices, int(3, 2), int(3, 3)),
        output("y"),
        message(1, node("Identity", ["c"], ["y"])),
      ]);
    const linear = message(2, int(1, 2), int(2, 7), packed(7, [1, 5]));
    expect([...onlyConstant(good(sparse(linear))).data]).toEqual([0, 5, 0, 0, 0, 7]);
    const pairs = message(2, int(1, 2), int(1, 2), int(2, 7), packed(7, [0, 2, 1, 0]));
    expect([...onlyConstant(good(sparse(pairs))).data]).toEqual([0, 0, 5, 7, 0, 0]);
    for (const wrong of [packed(7, [1, 6]), packed(7, [1]), packed(7, [-1, 0])])
      expect(codesOf(sparse(message(2, int(1, 2), int(2, 7), wrong)))).toEqual(["LPU1023"]);
  });

  test("what onnx-proto writes is read as it reads it", () => {
    const file = onnx.ModelProto.encode({
      irVersion: 8,
      producerName: "p",
      producerVersion: "1",
      opsetImport: [{ domain: "", version: 17 }],
      graph: {
        name: "g",
        input: [
          { name: "x", type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "n" }, { dimValue: 2 }] } } } },
        ],
        output: [{ name: "y" }],
        node: [
          {
            opType: "Concat",
            name: "c",
            input: ["x", "w"],
            output: ["y"],
            attribute: [{ name: "axis", type: 2, i: 0 }],
          },
        ],
        initializer: [{ name: "w", dims: [1, 2], dataType: 1, floatData: [3, 4] }],
      },
    }).finish();
    const read = readModel(bytesSource(file), "m.onnx");
    expect(read.ok && read.value.model).toMatchObject({
      irVersion: 8,
      producer: "p 1",
      opsets: new Map([["", 17]]),
      graph: {
        name: "g",
        nodes: [
          {
            name: "c",
            opType: "Concat",
            inputs: ["x", "w"],
            outputs: ["y"],
            attributes: [{ name: "axis", value: { kind: "i", value: 0 } }],
          },
        ],
        initializers: [{ name: "w", dims: [1, 2], dataType: 1, storage: { kind: "typed", field: "floatData" } }],
        inputs: [
          {
            name: "x",
            type: {
              kind: "tensor",
              elemType: 1,
              dims: [
                { kind: "symbol", symbol: "n" },
                { kind: "value", size: 2 },
              ],
            },
          },
        ],
      },
    });
  });
});
