// The vector unit in the interpreter: every operation against independent scalar code, operand and output types, delays, chains, feedback and
// every fault.
import { describe, expect, it } from "vitest";
import type { StoredType } from "../ir/dtype.ts";
import { type AluOp, type AluOperand, type AluOutput, aluOps } from "../ir/machine/isa.ts";
import type { Binding, Placement } from "../ir/machine/program.ts";
import { vxmColumn } from "../ir/target/geometry.ts";
import { alu, at, type Placed, program, target } from "./interp-builder.ts";
import {
  faultOf,
  immediate,
  lanePlacement,
  latencyOf,
  outputBinding,
  outputOf,
  outputWords,
  random,
  readsTo,
  result,
  runProgram,
  self,
  sliceList,
  stream,
  wordImages,
  writesFrom,
} from "./interp-fixtures.ts";
import { bitsOf, expected, halfOf, numberOf } from "./vxm-scalar.ts";

const corners = [
  0,
  -0,
  1,
  -1,
  0.5,
  2.5,
  -2.5,
  65504,
  65520,
  1e-8,
  6e-8,
  3.4e38,
  -3.4e38,
  2147483648,
  -2147483649,
  Infinity,
  -Infinity,
  Number.NaN,
  1e-45,
  -1e-40,
];
/** Lanes for an operand: half corner cases, half random. */
const floatLanes = (count: number): Int32Array =>
  Int32Array.from({ length: count }, () =>
    bitsOf(
      random() < 0.5
        ? (corners[Math.floor(random() * corners.length)] ?? 0)
        : (random() - 0.5) * 10 ** (random() * 12 - 6),
    ),
  );
const intLanes = (count: number): Int32Array =>
  Int32Array.from({ length: count }, () => {
    const pick = random();
    if (pick < 0.4) return Math.floor(random() * 40) - 4;
    return pick < 0.5 ? -2147483648 : (random() * 4294967296) | 0;
  });

describe.each(["ftlpu32", "groqchip1"])("on %s", (name) => {
  const machine = target(name);
  const { lanes } = machine;
  const column = vxmColumn(machine);
  const { simple, large } = machine.vxm.latency;
  const VECTORS = 6;
  const START = 40;
  /** Three operands in the west, on streams 0, 4 and 8 at the VXM from cycle START on. */
  const a = floatLanes(VECTORS * lanes);
  const b = floatLanes(VECTORS * lanes);
  const c = floatLanes(VECTORS * lanes);

  interface Case {
    readonly code: readonly Placed[];
    /** Cycle at which the first result is at the VXM, its stream and the number of results. */
    readonly ready: number;
    readonly outStream?: number;
    readonly count?: number;
    readonly type?: StoredType;
    readonly dtype?: Binding["dtype"];
    readonly operands?: readonly [Int32Array, Int32Array, Int32Array];
    readonly bytes?: 1 | 2 | 4;
  }

  const run = (given: Case) => {
    const { outStream = 12, count = VECTORS, type = "i32", bytes = 4, operands = [a, b, c] } = given;
    const burst = { count: VECTORS };
    const reads = [0, 1, 2].flatMap((i) =>
      readsTo(machine, column, START, { hemisphere: "W", slice: 4 * i, bytes, stream: 4 * i, direction: "E" }, burst),
    );
    const width = type === "i32" || type === "f32" ? 4 : type === "f16" ? 2 : 1;
    const sink = { hemisphere: "E", slice: 0, bytes: width, stream: outStream, direction: "E" } as const;
    const writes = given.ready < 0 ? [] : writesFrom(machine, column, given.ready, sink, { count });
    const code = [...reads, ...given.code, ...writes];
    const placement: Placement = lanePlacement(machine, count, type, sliceList("E", 0, width));
    return runProgram(
      program({
        target: machine,
        chips: [{ code, images: operands.flatMap((words, i) => wordImages("W", 4 * i, 0, words)) }],
        bindings: given.ready < 0 ? [] : [outputBinding(machine, count, given.dtype ?? "int32", placement)],
        latencyCycles: latencyOf(machine, code),
      }),
    );
  };
  const out = (index = 12, type: StoredType = "f32"): AluOutput => ({
    kind: "stream",
    stream: index,
    direction: "E",
    type,
  });
  const nothing: AluOutput = { kind: "none" };

  it.each(Object.keys(aluOps) as AluOp[])("%s gives what scalar code gives, to the bit", (operation) => {
    const row = aluOps[operation];
    const operands =
      row.type === "i32" || row.type === "bits"
        ? ([intLanes(a.length), intLanes(a.length), intLanes(a.length)] as const)
        : ([a, b, c] as const);
    if (operation === "select")
      operands[0].forEach((_, i) => {
        if (i % 2 === 0) operands[0][i] = 0;
      });
    const given = ["a", "b", "c"].slice(0, row.operands);
    const ops: Partial<Record<"a" | "b" | "c", AluOperand>> = {};
    given.forEach((field, i) => {
      ops[field as "a"] = stream(4 * i, row.type === "f32" ? "f32" : "i32");
    });
    const words = outputWords(
      run({
        code: [at(alu(1), "alu", { cycle: START, count: VECTORS, operation, ...ops, output: out() })],
        ready: START + machine.vxm.latency[row.latency],
        operands,
      }),
    );
    const approximate = row.latency === "large" && ["exp2", "tanh", "rsqrt"].includes(operation);
    words.forEach((word, i) => {
      const wanted = expected[operation](operands[0][i] as number, operands[1][i] as number, operands[2][i] as number);
      const close = approximate && Math.abs(word - wanted) <= 1;
      if (!close && word !== wanted) {
        expect(`${operation}(${operands.map((o) => numberOf(o[i] as number))}) = ${numberOf(word)}`).toBe(
          `${numberOf(wanted)}`,
        );
      }
    });
    expect(words.length).toBe(VECTORS * lanes);
  });

  it("widens and narrows stream types", () => {
    const bytes = intLanes(a.length);
    const move = (type: StoredType, index = 0): Placed =>
      at(alu(index), "alu", { cycle: START, count: VECTORS, a: stream(0, type), output: out(12, "i32") });
    const operands = [bytes, b, c] as const;
    const ready = START + simple;
    expect(outputWords(run({ code: [move("i8")], ready, operands, bytes: 1 }))).toEqual(
      bytes.map((x) => (x << 24) >> 24),
    );
    expect(outputWords(run({ code: [move("u8")], ready, operands, bytes: 1 }))).toEqual(bytes.map((x) => x & 255));
    const halves = Int32Array.from({ length: a.length }, (_, i) => i % 65536);
    const widened = outputWords(run({ code: [move("f16")], ready, operands: [halves, b, c], bytes: 2 }));
    widened.forEach((word, i) => {
      const code = halves[i] as number;
      const sign = code >= 32768 ? -1 : 1;
      const exponent = (code >> 10) & 31;
      const fraction = code & 1023;
      const value =
        exponent === 31
          ? fraction === 0
            ? Infinity
            : Number.NaN
          : exponent === 0
            ? fraction * 2 ** -24
            : (1024 + fraction) * 2 ** (exponent - 25);
      if (word !== bitsOf(sign * value)) expect(`${code}: ${numberOf(word)}`).toBe(`${code}: ${sign * value}`);
    });
    const narrowed = outputOf(
      run({
        code: [at(alu(3), "alu", { cycle: START, count: VECTORS, a: stream(0), output: out(12, "f16") })],
        ready,
        type: "f16",
        dtype: "float32",
      }),
    );
    const floats = new Float32Array(narrowed.buffer);
    floats.forEach((value, i) => {
      const wanted = Math.fround(halfOf(numberOf(a[i] as number)));
      if (!Object.is(value, wanted)) expect(`${numberOf(a[i] as number)} -> ${value}`).toBe(`${wanted}`);
    });
    for (const type of ["i8", "u8"] as const) {
      const [least, most] = type === "i8" ? [-128, 127] : [0, 255];
      const result8 = outputOf(
        run({
          code: [at(alu(3), "alu", { cycle: START, count: VECTORS, a: stream(0, "i32"), output: out(12, type) })],
          ready,
          type,
          dtype: "int32",
          operands,
        }),
      );
      expect(new Int32Array(result8.buffer)).toEqual(bytes.map((x) => Math.max(least, Math.min(most, x))));
    }
  });

  it("takes values that passed or were produced some cycles ago, and immediates", () => {
    // (a + 1) * b, where b waited for the sum; then minus c delayed, in a third ALU that takes the product two cycles late.
    const one = immediate(bitsOf(1));
    const code = [
      at(alu(0), "alu", { cycle: START, count: VECTORS, operation: "add", a: stream(0), b: one, output: nothing }),
      at(alu(2), "alu", {
        cycle: START + simple,
        count: VECTORS,
        operation: "mul",
        a: result(0),
        b: stream(4, "f32", simple),
        output: nothing,
      }),
      at(alu(5), "alu", {
        cycle: START + simple + machine.vxm.latency.multiply + 2,
        count: VECTORS,
        operation: "sub",
        a: result(2, 2),
        b: stream(8, "f32", simple + machine.vxm.latency.multiply + 2),
        output: out(),
      }),
    ];
    const words = outputWords(run({ code, ready: START + 2 * simple + machine.vxm.latency.multiply + 2 }));
    words.forEach((word, i) => {
      const [x, y, z] = [a[i], b[i], c[i]].map((bits) => numberOf(bits as number)) as [number, number, number];
      const wanted = bitsOf(Math.fround(Math.fround(Math.fround(x + 1) * y) - z));
      if (word !== wanted) expect(`${x} ${y} ${z}: ${numberOf(word)}`).toBe(`${numberOf(wanted)}`);
    });
  });

  it("accumulates over successive vectors with self, starting over every `reset` repetitions", () => {
    const words = outputWords(
      run({
        code: [
          at(alu(0), "alu", {
            cycle: START,
            count: VECTORS,
            operation: "iadd",
            a: stream(0, "i32"),
            b: self,
            reset: 3,
            output: out(),
          }),
        ],
        ready: START + simple,
      }),
    );
    for (let lane = 0; lane < lanes; lane += 1) {
      let sum = 0;
      for (let v = 0; v < VECTORS; v += 1) {
        const x = a[v * lanes + lane] as number;
        sum = v % 3 === 0 ? x : (sum + x) | 0;
        expect(words[v * lanes + lane]).toBe(sum);
      }
    }
  });

  it("continues from the previous instruction's last result when it is never reset", () => {
    const code = [
      at(alu(0), "alu", { cycle: START, a: stream(0, "i32"), output: nothing }),
      at(alu(0), "alu", {
        cycle: START + 1,
        count: VECTORS - 1,
        operation: "iadd",
        a: stream(0, "i32"),
        b: self,
        output: out(),
      }),
    ];
    const words = outputWords(run({ code, ready: START + 1 + simple, count: VECTORS - 1 }));
    const sum = [0, 1, 2, 3, 4, 5].reduce((total, v) => (total + (a[v * lanes + 7] as number)) | 0, 0);
    expect(words[(VECTORS - 2) * lanes + 7]).toBe(sum);
  });

  it("faults on functions an ALU lacks and on operands missing or in excess", () => {
    const fault = (...code: Placed[]): string => faultOf(run({ code, ready: -1 }));
    const move = { cycle: START, a: stream(0), output: nothing };
    expect(fault(at(alu(0), "alu", { ...move, operation: "tanh" }))).toBe(`alu: VXM.A0 ${START}`);
    expect(fault(at(alu(1), "alu", { ...move, operation: "tanh" }))).toBe("ok");
    expect(fault(at(alu(0), "alu", { ...move, output: out(12, "f16") }))).toBe(`alu: VXM.A0 ${START}`);
    expect(fault(at(alu(0), "alu", { ...move, output: out(12, "i8") }))).toBe(`alu: VXM.A0 ${START}`);
    expect(fault(at(alu(0), "alu", { ...move, operation: "add" }))).toBe(`form: VXM.A0 ${START}`);
    expect(fault(at(alu(0), "alu", { ...move, b: stream(4) }))).toBe(`form: VXM.A0 ${START}`);
    expect(fault(at(alu(16), "alu", move))).toBe(`form: VXM.A16 ${START}`);
    expect(fault(at(alu(0), "alu", { ...move, output: out(14) }))).toBe(`form: VXM.A0 ${START}`);
    expect(fault(at(alu(0), "alu", { ...move, a: stream(2) }))).toBe(`form: VXM.A0 ${START}`);
    expect(fault(at(alu(0), "alu", { ...move, a: stream(0, "f32", 33), cycle: START + 33 }))).toBe(
      `form: VXM.A0 ${START + 33}`,
    );
    expect(fault(at(alu(0), "alu", { ...move, a: stream(0, "f32", 32), cycle: START + 32 }))).toBe("ok");
  });

  it("faults on operands that are not there", () => {
    const fault = (...code: Placed[]): string => faultOf(run({ code, ready: -1 }));
    const move = { a: stream(0), output: nothing };
    expect(fault(at(alu(0), "alu", { ...move, cycle: START - 1 }))).toBe(`operand: VXM.A0 ${START - 1}`);
    expect(fault(at(alu(0), "alu", { ...move, cycle: START, count: VECTORS + 1 }))).toBe(
      `operand: VXM.A0 ${START + VECTORS}`,
    );
    expect(fault(at(alu(0), "alu", { ...move, cycle: START, a: stream(0, "f32", 1) }))).toBe(
      `operand: VXM.A0 ${START}`,
    );
    expect(fault(at(alu(0), "alu", { ...move, cycle: START, a: self }))).toBe(`operand: VXM.A0 ${START}`);
    const first = at(alu(0), "alu", { ...move, cycle: START });
    for (const [cycle, delay, wanted] of [
      [START + simple, 0, "ok"],
      [START + simple - 1, 0, `operand: VXM.A2 ${START + simple - 1}`],
      [START + simple + 1, 0, `operand: VXM.A2 ${START + simple + 1}`],
      [START + simple + 1, 1, "ok"],
      [START + simple + 32, 32, "ok"],
      [START + simple + 33, 33, `form: VXM.A2 ${START + simple + 33}`],
    ] as const) {
      expect(fault(first, at(alu(2), "alu", { ...move, cycle, a: result(0, delay) }))).toBe(wanted);
    }
    expect(fault(first, at(alu(2), "alu", { ...move, cycle: START + simple, a: result(77) }))).toBe(
      `form: VXM.A2 ${START + simple}`,
    );
  });

  it("faults on two results of one ALU at once, on streams taken twice and on long chains", () => {
    const fault = (...code: Placed[]): string => faultOf(run({ code, ready: -1 }));
    const move = { a: stream(0), output: nothing };
    const gap = large - simple;
    expect(
      fault(
        at(alu(1), "alu", { ...move, cycle: START, operation: "tanh" }),
        at(alu(1), "alu", { ...move, cycle: START + gap }),
      ),
    ).toBe(`alu: VXM.A1 ${START + gap}`);
    const same = { ...move, cycle: START, output: out() };
    expect(fault(at(alu(1), "alu", same), at(alu(2), "alu", same))).toBe(`stream: VXM.A2 ${START}`);
    const chain = (length: number): Placed[] =>
      Array.from({ length }, (_, i) =>
        at(alu(i), "alu", { cycle: START + i * simple, a: i === 0 ? stream(0) : result(i - 1), output: nothing }),
      );
    expect(fault(...chain(4))).toBe("ok");
    expect(fault(...chain(5))).toBe(`alu: VXM.A4 ${START + 4 * simple}`);
  });
});
