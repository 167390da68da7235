// Small good programs by hand, one for each way of computing; with those that move data, the accepted side of the verifier's tests and the seeds of
// its mutants.
import type { Program } from "../ir/machine/program.ts";
import { vxmColumn } from "../ir/target/geometry.ts";
import {
  addBuffer,
  addNode,
  addTensor,
  bind,
  emit,
  fillImage,
  finish,
  floatByte,
  newDraft,
  place,
  readTo,
  writeFrom,
} from "./verify-builder.ts";
import { along, alu, none, out, rows, stream, target } from "./verify-operands.ts";
import {
  gatherProgram,
  linkProgram,
  packedProgram,
  permuteProgram,
  transposeProgram,
} from "./verify-programs-moves.ts";

/** relu(x . w + bias): two K tiles accumulated in place, the epilogue on the sums as they leave. */
export function matmulProgram(): Program {
  const draft = newDraft("matmul", target("ftlpu32"));
  const [m, k, n, tileK] = [6, 24, 20, 16];
  const { latency } = draft.target.mxm;
  const vxm = vxmColumn(draft.target);
  const x = addBuffer(draft, "input", "x", { hemisphere: "W", slices: [0, 1, 2, 3] }, 2 * m);
  const w = addBuffer(draft, "weight", "w", { hemisphere: "W", slices: [4, 5, 6, 7] }, 2 * n);
  const bias = addBuffer(draft, "constant", "bias", { hemisphere: "W", slices: [8, 9, 10, 11] }, 1);
  const y = addBuffer(draft, "output", "y", { hemisphere: "E", slices: [0, 1, 2, 3] }, m);
  fillImage(draft, w, 2 * n, (b, word, lane) => floatByte((((word * 32 + lane) * 37) % 101) - 50.5, b));
  fillImage(draft, bias, 1, (b, _word, lane) => floatByte(lane / 8 - 1, b));
  const wDigits = [
    [
      { size: 2, vector: n, lane: 0 },
      { size: tileK, vector: 0, lane: 1 },
    ],
    rows(n),
  ];
  const xDigits = [
    rows(m),
    [
      { size: 2, vector: m, lane: 0 },
      { size: tileK, vector: 0, lane: 1 },
    ],
  ];
  const tx = addTensor(draft, "x", "float32", [m, k]);
  const tw = addTensor(draft, "w", "float32", [k, n], {
    kind: "placed",
    placements: [place(w, [k, n], wDigits, "f32")],
  });
  const tb = addTensor(draft, "bias", "float32", [1, n], {
    kind: "placed",
    placements: [place(bias, [1, n], [[], along(n)], "f32")],
  });
  const product = addNode(draft, "matmul", [tx, tw], "float32", [m, n], { precision: "fp32" });
  const sum = addNode(draft, "add", [product, tb], "float32", [m, n]);
  const zero = addTensor(draft, "zero", "float32", [1, 1], { kind: "splat", bits: 0 });
  const result = addNode(draft, "max", [sum, zero], "float32", [m, n]);
  bind(draft, "input", "x", tx, place(x, [m, k], xDigits, "f32"));
  bind(draft, "output", "y", result, place(y, [m, n], [rows(m), along(n)], "f32"));
  let at = 40;
  for (const [tile, depth] of [tileK, k - tileK].entries()) {
    readTo(draft, w, 4, "W", 0, at, { count: n, word: tile * n });
    const load = { op: "lw", cycle: at, count: n, period: 1, mode: "fp32", format: "planar" } as const;
    emit(
      draft,
      0,
      { kind: "mxmLoad", plane: 0 },
      { ...load, stream: 4, streams: 4, row: 0, rows: n, lane: 0, k: depth, clear: true },
    );
    const install = at + n - 1 + latency.lw;
    emit(draft, 0, { kind: "mxmLoad", plane: 0 }, { op: "iw", cycle: install, count: 1, period: 1, mode: "fp32" });
    const start = install + latency.iw;
    readTo(draft, x, 8, "W", 0, start, { count: m, period: 2, word: tile * m });
    const burst = { count: m, period: 2, mode: "fp32" } as const;
    emit(
      draft,
      0,
      { kind: "mxmActivate", plane: 0 },
      { op: "abc", cycle: start, ...burst, stream: 8, lane: 0, k: depth },
    );
    const sums = start + latency.abc;
    const [init, last] = [tile === 0, tile === 1];
    emit(
      draft,
      0,
      { kind: "mxmAccumulate", plane: 0 },
      { op: "acc", cycle: sums, ...burst, entry: 3, stride: 1, init, emit: last, stream: 0 },
    );
    at = start + 2 * m;
    if (!last) continue;
    const here = sums + latency.acc + vxm;
    readTo(draft, bias, 12, "E", vxm, here, { count: m, period: 2, stride: 0 });
    const ops = { count: m, period: 2, c: none, reset: 0 } as const;
    emit(
      draft,
      0,
      { kind: "vxmAlu", alu: 0 },
      { op: "alu", cycle: here, ...ops, operation: "add", a: stream(0), b: stream(12), output: none },
    );
    const simple = draft.target.vxm.latency.simple;
    emit(
      draft,
      0,
      { kind: "vxmAlu", alu: 2 },
      { op: "alu", cycle: here + simple, ...ops, operation: "relu", a: alu(0), b: none, output: out(16) },
    );
    writeFrom(draft, y, 16, "E", vxm, here + 2 * simple, { count: m, period: 2 });
  }
  return finish(draft);
}

/** exp2(x - max) / sum along vectors: feedback in the VXM, operands taken late, results through memory. */
export function softmaxProgram(): Program {
  const draft = newDraft("softmax", target("ftlpu32"));
  const [m, n] = [8, 20];
  const { simple, multiply, large } = draft.target.vxm.latency;
  const vxm = vxmColumn(draft.target);
  const buffer = (
    role: "input" | "activation" | "output",
    name: string,
    hemisphere: "W" | "E",
    slice: number,
    words: number,
    address = 0,
  ) => addBuffer(draft, role, name, { hemisphere, slices: [slice, slice + 1, slice + 2, slice + 3], address }, words);
  const x = buffer("input", "x", "W", 0, m);
  const top = buffer("activation", "top", "E", 0, 1);
  const powers = buffer("activation", "powers", "E", 4, m);
  const total = buffer("activation", "total", "E", 8, 1);
  const y = buffer("output", "y", "W", 4, m, 7);
  const tx = addTensor(draft, "x", "float32", [m, n]);
  const tTop = addNode(draft, "reduceMax", [tx], "float32", [1, n], { axes: [0] });
  const tShift = addNode(draft, "sub", [tx, tTop], "float32", [m, n]);
  const tPower = addNode(draft, "exp2", [tShift], "float32", [m, n]);
  const tTotal = addNode(draft, "reduceSum", [tPower], "float32", [1, n], { axes: [0] });
  const tRoot = addNode(draft, "rsqrt", [tTotal], "float32", [1, n]);
  const tInverse = addNode(draft, "mul", [tRoot, tRoot], "float32", [1, n]);
  const ty = addNode(draft, "mul", [tPower, tInverse], "float32", [m, n]);
  bind(draft, "input", "x", tx, place(x, [m, n], [rows(m), along(n)], "f32"));
  bind(draft, "output", "y", ty, place(y, [m, n], [rows(m), along(n)], "f32"));
  const burst = { op: "alu", count: m, period: 1, c: none, reset: 0 } as const;
  let at = 30;
  readTo(draft, x, 0, "E", vxm, at, { count: m });
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 1 },
    { ...burst, cycle: at, operation: "max", a: stream(0), b: { kind: "self" }, reset: m, output: out(4) },
  );
  writeFrom(draft, top, 4, "E", vxm, at + simple + m - 1, { count: 1 });
  at += 60;
  readTo(draft, x, 0, "E", vxm, at, { count: m });
  readTo(draft, top, 0, "W", vxm, at, { count: m, stride: 0 });
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 0 },
    { ...burst, cycle: at, operation: "sub", a: stream(0), b: stream(0, "W"), output: none },
  );
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 1 },
    { ...burst, cycle: at + simple, operation: "exp2", a: alu(0), b: none, output: out(8) },
  );
  const power = at + simple + large;
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 2 },
    { ...burst, cycle: power, operation: "add", a: alu(1), b: { kind: "self" }, reset: m, output: out(12) },
  );
  writeFrom(draft, powers, 8, "E", vxm, power, { count: m });
  writeFrom(draft, total, 12, "E", vxm, power + simple + m - 1, { count: 1 });
  at += 80;
  readTo(draft, total, 0, "W", vxm, at, { count: m, stride: 0 });
  readTo(draft, powers, 4, "W", vxm, at, { count: m });
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 1 },
    { ...burst, cycle: at, operation: "rsqrt", a: stream(0, "W"), b: none, output: none },
  );
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 2 },
    { ...burst, cycle: at + large, operation: "mul", a: alu(1), b: alu(1), output: none },
  );
  const late = large + multiply;
  const outW = { kind: "stream", stream: 8, direction: "W", type: "f32" } as const;
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 3 },
    { ...burst, cycle: at + late, operation: "mul", a: stream(4, "W", late), b: alu(2), output: outW },
  );
  writeFrom(draft, y, 8, "W", vxm, at + late + multiply, { count: m });
  return finish(draft);
}

export const goodPrograms: readonly (() => Program)[] = [
  matmulProgram,
  softmaxProgram,
  permuteProgram,
  transposeProgram,
  linkProgram,
  gatherProgram,
  packedProgram,
];
