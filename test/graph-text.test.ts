// The text of graphs: round trips, what it looks like, and what the parser says about bad lines.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type DType, dtypes } from "../ir/dtype.ts";
import type { AttrValue, Graph } from "../ir/graph/graph.ts";
import { parseGraph } from "../ir/graph/parse.ts";
import { printGraph } from "../ir/graph/print.ts";
import { bytesOf, constDataOf, numbersOf, valueFromBytes, valueFromNumbers, valueOfConst } from "../ir/graph/values.ts";
import { coreSample, onnxSample } from "./graph-sample.ts";

/** A graph with constants as numbers, so that graphs can be compared. */
const comparable = (graph: Graph): unknown => ({
  ...graph,
  tensors: graph.tensors.map((tensor) => ({
    ...tensor,
    data: tensor.data === undefined ? undefined : Array.from(tensor.data.read()),
  })),
});

function parsed(text: string): Graph {
  const result = parseGraph(text);
  if (!result.ok) throw new Error(result.diagnostics.map(({ message }) => message).join("; "));
  return result.value;
}

test.each([onnxSample, coreSample])("a graph survives its text, short or in hexadecimal", (graph) => {
  for (const inlineElements of [0, 1, 100]) {
    const text = printGraph(graph, { inlineElements });
    expect(comparable(parsed(text))).toEqual(comparable(graph));
    expect(printGraph(parsed(text), { inlineElements })).toBe(text);
  }
});

test("what it looks like", () => {
  expect(printGraph(coreSample)).toBe(`graph "core" form=core {
  input %0 "x" : float32[2x2] as "x" float32
  const %3 "w" : int8[2x2] = dense<[1, -2, 3, -4]>
  %1 "q" : int32[2x2] = toInt(%0) {mode = "rne"}
  %2 "bytes" : int8[2x2] = toInt8(%1) {to = "int8"}
  %4 "y" : int32[2x2] = matmul(%2, %3) {precision = "int8"}
  output %4 as "y" int64
}
`);
  const lines = printGraph(onnxSample, { elide: true }).split("\n");
  expect(lines).toContain('  const %1 "w" : float32[3x4] = elided<48>');
  expect(lines).toContain('  unused %9 "left over" : bool[0x2]');
  expect(lines).toContain('  _, %6 "right" : float32[2x3] = Split(%5, %3) {axis = 1}');
});

const attr: fc.Arbitrary<AttrValue> = fc.oneof(
  fc.double(),
  fc.string(),
  fc.boolean(),
  fc.array(fc.double(), { maxLength: 4 }),
  fc.array(fc.string(), { minLength: 1, maxLength: 4 }),
);

test("any attribute and name survives", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z]\w{0,6}$/), attr, { maxKeys: 4, noNullPrototype: true }),
      fc.string(),
      (attrs, name) => {
        const [first, ...rest] = coreSample.nodes;
        if (first === undefined) return;
        const origins = [{ name, opType: name, index: 3 }];
        const graph = { ...coreSample, name, nodes: [{ ...first, attrs, origins }, ...rest] };
        expect(comparable(parsed(printGraph(graph)))).toEqual(comparable(graph));
      },
    ),
    { numRuns: 200, seed: 7 },
  );
});

const dtypeNames = Object.keys(dtypes).filter((name): name is DType => Object.hasOwn(dtypes, name));

test.each(dtypeNames)("constants of %s survive bytes and text", (dtype) => {
  const value = valueFromNumbers(dtype, [5], [0, 1, 1, 0, 1]);
  expect(Array.from(numbersOf(valueFromBytes(dtype, [5], bytesOf(value))))).toEqual(Array.from(numbersOf(value)));
  const [tensor] = onnxSample.tensors;
  if (tensor === undefined) return;
  const graph: Graph = {
    ...onnxSample,
    tensors: [{ ...tensor, dtype, shape: [5], data: constDataOf(value) }],
    nodes: [],
    inputs: [],
    outputs: [],
  };
  const [back] = parsed(printGraph(graph)).tensors;
  expect(back?.data === undefined ? undefined : bytesOf(valueOfConst(back, back.data))).toEqual(bytesOf(value));
});

const good = printGraph(coreSample).split("\n");

test.each([
  [2, '  const %3 "w" : int8[2x2] = dense<[1, -2, 3]>', "3 elements, the shape has 4"],
  [2, '  const %3 "w" : int8[2x2] = elided<4>', "elided"],
  [2, '  const %3 "w" : int8[2x2] = dense<"0g">', "not hexadecimal"],
  [2, '  const %3 "w" : int8[2x2] = dense<[1, 2.5, 3, 4]>', "integers expected"],
  [2, '  const %3 "w" : int9[2x2] = dense<"01020304">', "expected an element type, found int9"],
  [3, '  %1 "q" : int32[2x2] = toint(%0) {mode = "rne"}', "no operator is named toint"],
  [3, '  %0 "q" : int32[2x2] = toInt(%0) {mode = "rne"}', "%0 is defined twice"],
  [3, '  %1 "q" : int32[2x-2] = toInt(%0)', "expected a shape"],
  [3, '  %1 "q" : int32[2x2] = toInt(%0', "expected ), found end of line"],
  [3, '  %1 "q" : int32[2x2] = toInt(%0) extra', "unexpected extra"],
  [3, "  %1 q : int32[2x2] = toInt(%0)", "expected a quoted string"],
  [3, '  %1 "q" : int32[2x2] = toInt(%0) {mode = §}', "cannot read"],
  [0, 'graph "core" form=mixed {', "expected onnx or core"],
])("line %i as %s is refused", (at, line, message) => {
  const result = parseGraph(good.with(at, line).join("\n"), "a.lpir");
  const found = result.ok
    ? []
    : result.diagnostics.map((diagnostic) => [diagnostic.code, diagnostic.location, diagnostic.message]);
  expect(found[0]).toEqual([
    "LPU1030",
    { kind: "file", path: "a.lpir", line: at + 1 },
    expect.stringContaining(message),
  ]);
});

test("a missing id and a missing first line are said", () => {
  const gap = parseGraph(good.filter((line) => !line.includes("%1 ")).join("\n"));
  expect(gap.ok ? [] : gap.diagnostics.map(({ message }) => message)).toEqual([
    "tensor ids are not 0 to 3: %1 is missing",
  ]);
  const headless = parseGraph(good.slice(1).join("\n"));
  expect(headless.ok ? [] : headless.diagnostics.map(({ message }) => message)).toEqual([
    "the text does not begin with graph",
  ]);
});
