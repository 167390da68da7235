// Model files made to do harm: each is refused with a diagnostic, in little time and memory.
import onnxProto from "onnx-proto";
import { describe, expect, test } from "vitest";
import { announced, bytes, int, joined, message, model, node, text, valueInfo, varint } from "./onnx-bytes.ts";
import { codesOf, good, problemsOf } from "./onnx-import.ts";

const { onnx } = onnxProto;
const x = message(11, valueInfo("x", 1, [2]));
const y = message(12, text(1, "y"));
const one = (opType: string, inputs: readonly string[] = ["x"], outputs: readonly string[] = ["y"]) =>
  message(1, node(opType, inputs, outputs));
const plain = model([x, y, one("Neg")]);
const constant = (...fields: readonly Uint8Array[]) => message(5, text(8, "c"), ...fields);

const hostile: readonly (readonly [string, Uint8Array, string])[] = [
  ["an empty file", new Uint8Array(0), "LPU1014"],
  ["a file without a graph", int(1, 8), "LPU1014"],
  ["a graph without outputs", model([x, one("Neg")]), "LPU1014"],
  ["a text", new TextEncoder().encode("#!/bin/sh\n"), "LPU1010"],
  ["a field that is cut off", plain.subarray(0, plain.length - 3), "LPU1010"],
  ["a field longer than the file", announced(7, 2 ** 40), "LPU1010"],
  ["a length of 2^64 - 1", announced(7, -1), "LPU1010"],
  ["a number without an end", new Uint8Array(64).fill(255), "LPU1010"],
  ["field number 0", bytes(0, new Uint8Array(1)), "LPU1010"],
  ["groups", Uint8Array.of(11, 12), "LPU1010"],
  ["another wire type than the schema's", joined(int(7, 1)), "LPU1010"],
  [
    "a float list that ends inside a number",
    model([x, y, message(1, node("Neg", ["x"], ["y"], message(5, text(1, "a"), bytes(7, new Uint8Array(3)))))]),
    "LPU1010",
  ],
  ["two producers of one tensor", model([x, y, one("Neg"), one("Abs")]), "LPU1020"],
  ["a node that makes an input anew", model([x, y, one("Neg", ["x"], ["x"]), one("Abs")]), "LPU1020"],
  ["an input listed twice", model([x, x, y, one("Neg")]), "LPU1020"],
  ["an output listed twice", model([x, y, y, one("Neg")]), "LPU1020"],
  ["an input without a name", model([message(11, valueInfo("", 1, [2])), x, y, one("Neg")]), "LPU1020"],
  ["a constant without a name", model([x, y, one("Neg"), message(5, int(2, 1), int(1, 0))]), "LPU1020"],
  ["a tensor that nothing makes", model([x, y, one("Add", ["x", "z"])]), "LPU1021"],
  ["an output that nothing makes", model([x, y]), "LPU1021"],
  ["a node that waits for itself", model([x, y, one("Add", ["x", "y"])]), "LPU1022"],
  [
    "nodes that wait for each other",
    model([x, y, one("Add", ["x", "b"], ["a"]), one("Neg", ["a"], ["b"]), one("Neg", ["b"])]),
    "LPU1022",
  ],
  ["a negative dimension", model([y, one("Neg", ["c"]), constant(int(1, -2), int(2, 1))]), "LPU1023"],
  [
    "dimensions whose product overflows",
    model([y, one("Neg", ["c"]), constant(int(1, 2 ** 40), int(1, 2 ** 40), int(2, 1))]),
    "LPU1023",
  ],
  [
    "an input whose size overflows",
    model([message(11, valueInfo("x", 1, [0, 2 ** 52, 2 ** 52])), y, one("Neg")]),
    "LPU1023",
  ],
  [
    "more bytes than the shape",
    model([y, one("Neg", ["c"]), constant(int(1, 1), int(2, 1), bytes(9, new Uint8Array(8)))]),
    "LPU1023",
  ],
  ["no bytes", model([y, one("Neg", ["c"]), constant(int(1, 4), int(2, 1))]), "LPU1023"],
  ["contents of another type", model([y, one("Neg", ["c"]), constant(int(1, 1), int(2, 1), int(7, 1))]), "LPU1023"],
  [
    "a number cut off",
    model([y, one("Neg", ["c"]), constant(int(1, 2), int(2, 7), bytes(7, Uint8Array.of(1, 2, 128)))]),
    "LPU1023",
  ],
  [
    "contents of two types",
    model([y, one("Neg", ["c"]), constant(int(1, 1), int(2, 1), int(7, 1), int(5, 1))]),
    "LPU1023",
  ],
  [
    "a hundred dimensions",
    model([y, one("Neg", ["c"]), constant(...Array.from({ length: 100 }, () => int(1, 1)), int(2, 1))]),
    "LPU1023",
  ],
  ["no opset", joined(int(1, 8), message(7, x, y, one("Neg"))), "LPU1026"],
  ["too many inputs", model([x, y, one("Neg", ["x", "x"])]), "LPU1201"],
  ["types that do not agree", model([x, message(11, valueInfo("i", 7, [2])), y, one("Add", ["x", "i"])]), "LPU1202"],
  ["shapes that do not fit", model([x, message(11, valueInfo("w", 1, [3])), y, one("Add", ["x", "w"])]), "LPU1203"],
  [
    "an attribute of another type",
    model([
      x,
      y,
      message(1, node("Softmax", ["x"], ["y"], message(5, text(1, "axis"), bytes(4, varint(1)), int(20, 3)))),
    ]),
    "LPU1204",
  ],
  ["an operator named as what every object has", model([x, y, one("toString")]), "LPU2001"],
];

describe("refused", () => {
  test.each(hostile)("%s", (_, file, code) => {
    expect(codesOf(file)).toContain(code);
  });

  test("the plain model that the others are made from is fine", () => {
    expect(good(plain).graph.nodes.map(({ op }) => op)).toEqual(["Neg"]);
  });

  test("every cut of a file", () => {
    for (let length = 0; length < plain.length; length++)
      expect(codesOf(plain.subarray(0, length)).length).toBeGreaterThan(0);
  });
});

/** Seconds and bytes that some work takes. */
function cost(work: () => void): { readonly seconds: number; readonly bytes: number } {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  const after = process.memoryUsage();
  return { seconds: (user + system) / 1e6, bytes: after.heapUsed + after.arrayBuffers - heapUsed - arrayBuffers };
}

/** Nested so deep that reading them by recursion would end the process. */
function nested(depth: number): Uint8Array {
  let graph = joined(text(2, "g"));
  for (let level = 0; level < depth; level++)
    graph = joined(message(1, text(4, "If"), message(5, text(1, "b"), message(6, graph))));
  return model([graph]);
}

const attribute = (name: string, value: Uint8Array, type: number) => message(5, text(1, name), value, int(20, type));

describe("in bounded time and memory", () => {
  test("graphs in graphs in graphs", () => {
    expect(codesOf(nested(400))).toEqual(["LPU1011"]);
    expect(cost(() => codesOf(nested(3000))).seconds).toBeLessThan(2);
  });

  test("millions of empty nodes", () => {
    const file = model([x, y, new Uint8Array(9_000_000).map((_, i) => (i % 2 === 0 ? 10 : 0))]);
    const { seconds, bytes: held } = cost(() => expect(codesOf(file)).toEqual(["LPU1012"]));
    expect(seconds).toBeLessThan(15);
    expect(held).toBeLessThan(1.6e9);
  });

  test("functions that call each other twice, 30 deep", () => {
    const call = (name: string, inputs: readonly string[], result: string) =>
      message(7, node(name, inputs, [result], text(7, "local")));
    const functions = (inputs: readonly string[]) =>
      Array.from({ length: 30 }, (_, level) =>
        message(
          25,
          text(1, `f${level}`),
          ...inputs.map((name) => text(4, name)),
          text(5, "r"),
          ...(level === 29
            ? [message(7, node("Constant", [], ["r"], attribute("value_float", int(3, 1), 2)))]
            : [
                call(`f${level + 1}`, inputs, "p"),
                call(`f${level + 1}`, inputs, "q"),
                message(7, node("Add", ["p", "q"], ["r"])),
              ]),
          text(10, "local"),
        ),
      );
    for (const inputs of [[], ["x"]]) {
      const graph = [x, y, message(1, node("f0", inputs, ["y"], text(7, "local")))];
      const file = model(graph, message(8, text(1, "local"), int(2, 1)), ...functions(inputs));
      expect(cost(() => expect(codesOf(file)).toContain("LPU1012")).seconds).toBeLessThan(30);
    }
  });

  test("a function that calls itself", () => {
    const body = message(
      25,
      text(1, "f"),
      text(4, "a"),
      text(5, "b"),
      message(7, node("f", ["a"], ["b"], text(7, "local"))),
      text(10, "local"),
    );
    const file = model(
      [x, y, message(1, node("f", ["x"], ["y"], text(7, "local")))],
      message(8, text(1, "local"), int(2, 1)),
      body,
    );
    expect(codesOf(file)).toEqual(["LPU1022"]);
  });

  test("constants that double and double again", () => {
    const length = 40;
    const start = message(5, text(8, "t0"), int(1, 1 << 15), int(2, 1), bytes(9, new Uint8Array(1 << 17)));
    const chain = (op: string) =>
      Array.from({ length }, (_, i) =>
        message(
          1,
          node(op, [`t${i}`, `t${i}`], [`t${i + 1}`], ...(op === "Concat" ? [attribute("axis", int(3, 0), 2)] : [])),
        ),
      );
    const sum = message(1, node("ReduceSum", [`t${length}`], ["s"]));
    for (const op of ["Add", "Concat"]) {
      const file = model([x, y, start, ...chain(op), sum, one("Add", ["x", "s"])]);
      const { seconds, bytes: held } = cost(() => codesOf(file));
      expect(seconds).toBeLessThan(20);
      expect(held).toBeLessThan(0.6e9);
    }
  });

  test("small operands of huge products", () => {
    const matrix = (name: string, rows: number, columns: number) =>
      message(5, text(8, name), int(1, rows), int(1, columns), int(2, 1), bytes(9, new Uint8Array(rows * columns * 4)));
    const equation = attribute("equation", text(4, "ab,cd,ef->"), 3);
    const einsum = message(1, node("Einsum", ["p", "p", "p"], ["s"], equation));
    const file = model([x, y, matrix("p", 100, 100), einsum, one("Add", ["x", "s"])]);
    expect(cost(() => codesOf(file)).seconds).toBeLessThan(5);
  });

  test("a loop of many trips around nothing", () => {
    const { graph } = onnx.ModelProto.decode(model([]));
    const body = onnx.GraphProto.encode({
      ...graph,
      input: [{ name: "i" }, { name: "c" }],
      output: [{ name: "c2" }],
      node: [{ opType: "Identity", input: ["c"], output: ["c2"] }],
    }).finish();
    const trips = message(5, text(8, "n"), int(2, 7), int(7, 2 ** 50));
    const loop = message(1, node("Loop", ["n", ""], ["y"], message(5, text(1, "body"), bytes(6, body), int(20, 5))));
    const { seconds } = cost(() => expect(codesOf(model([y, trips, loop]))).toContain("LPU2005"));
    expect(seconds).toBeLessThan(5);
  });
});

test("everything that is wrong is told at once", () => {
  const file = model([
    x,
    y,
    one("Frobnicate", ["x"], ["a"]),
    one("Add", ["x", "nothing"], ["b"]),
    message(1, node("Sum", ["a", "b", "d"], ["y"])),
    one("Softmax", ["x", "x"], ["d"]),
  ]);
  expect(
    problemsOf(file)
      .map(({ code }) => code)
      .sort(),
  ).toEqual(["LPU1021", "LPU1201", "LPU2001"]);
});
