// Small good programs by hand that move data: permutations, transpositions, links, gathers, packed words.
import type { Program } from "../ir/machine/program.ts";
import { columnCount, memColumn, vxmColumn } from "../ir/target/geometry.ts";
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
import { along, none, out, rows, stream, target } from "./verify-operands.ts";

/** concat(a[:, 3:], b): two lane permutations merged by OR. */
export function permuteProgram(): Program {
  const draft = newDraft("permute", target("ftlpu32"));
  const { lanes, sxm, vxm: spec } = draft.target;
  const [m, na, nb] = [4, 10, 12];
  const vxm = vxmColumn(draft.target);
  const a = addBuffer(draft, "input", "a", { hemisphere: "W", slices: [0, 1, 2, 3] }, m);
  const b = addBuffer(draft, "input", "b", { hemisphere: "W", slices: [4, 5, 6, 7] }, m);
  const y = addBuffer(draft, "output", "y", { hemisphere: "E", slices: [20, 21, 22, 23] }, m);
  const n = na - 3 + nb;
  const ta = addTensor(draft, "a", "float32", [m, na]);
  const tb = addTensor(draft, "b", "float32", [m, nb]);
  const cut = addNode(draft, "slice", [ta], "float32", [m, na - 3], { starts: [0, 3], steps: [1, 1] });
  const ty = addNode(draft, "concat", [cut, tb], "float32", [m, n], { axis: 1 });
  bind(draft, "input", "a", ta, place(a, [m, na], [rows(m), along(na)], "f32"));
  bind(draft, "input", "b", tb, place(b, [m, nb], [rows(m), along(nb)], "f32"));
  bind(draft, "output", "y", ty, place(y, [m, n], [rows(m), along(n)], "f32"));
  draft.chips[0]?.laneMaps.push(
    Int16Array.from({ length: lanes }, (_, lane) => (lane < na - 3 ? lane + 3 : -1)),
    Int16Array.from({ length: lanes }, (_, lane) => (lane >= na - 3 && lane < n ? lane - (na - 3) : -1)),
  );
  const at = 40;
  const burst = {
    op: "permute",
    cycle: at,
    count: m,
    period: 1,
    direction: "W",
    bytes: 4,
    mapStride: 0,
    outDirection: "E",
  } as const;
  readTo(draft, a, 0, "W", 1, at, { count: m });
  readTo(draft, b, 4, "W", 1, at, { count: m });
  emit(draft, 0, { kind: "sxm", hemisphere: "W", index: 0 }, { ...burst, stream: 0, map: 0, outStream: 8 });
  emit(draft, 0, { kind: "sxm", hemisphere: "W", index: 1 }, { ...burst, stream: 4, map: 1, outStream: 12 });
  const here = at + sxm.latency.permute + vxm - 1;
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 5 },
    {
      op: "alu",
      cycle: here,
      count: m,
      period: 1,
      operation: "or",
      a: stream(8),
      b: stream(12),
      c: none,
      reset: 0,
      output: out(16),
    },
  );
  writeFrom(draft, y, 16, "E", vxm, here + spec.latency.simple, { count: m });
  return finish(draft);
}

/** A float32 transposition: every byte plane is loaded as int8 weights and met by unit vectors. */
export function transposeProgram(): Program {
  const draft = newDraft("transpose", target("ftlpu32"));
  const [m, n] = [20, 12];
  const { latency } = draft.target.mxm;
  const x = addBuffer(draft, "input", "x", { hemisphere: "W", slices: [0, 1, 2, 3] }, m);
  const unit = addBuffer(draft, "constant", "identity", { hemisphere: "W", slices: [9] }, n);
  const y = addBuffer(draft, "output", "y", { hemisphere: "W", slices: [12, 13, 14, 15] }, n);
  fillImage(draft, unit, n, (_plane, word, lane) => (word === lane ? 1 : 0));
  const tx = addTensor(draft, "x", "float32", [m, n]);
  const ty = addNode(draft, "transpose", [tx], "float32", [n, m], { perm: [1, 0] });
  bind(draft, "input", "x", tx, place(x, [m, n], [rows(m), along(n)], "f32"));
  bind(draft, "output", "y", ty, place(y, [n, m], [rows(n), along(m)], "f32"));
  let at = 40;
  for (let plane = 0; plane < 4; plane++) {
    const one = { ...x, slices: [plane] };
    readTo(draft, one, 5, "W", 0, at, { count: m });
    const load = { op: "lw", cycle: at, count: m, period: 1, mode: "int8", format: "planar" } as const;
    emit(
      draft,
      0,
      { kind: "mxmLoad", plane: 1 },
      { ...load, stream: 5, streams: 1, row: 0, rows: m, lane: 0, k: n, clear: true },
    );
    const install = at + m - 1 + latency.lw;
    emit(draft, 0, { kind: "mxmLoad", plane: 1 }, { op: "iw", cycle: install, count: 1, period: 1, mode: "int8" });
    const start = install + latency.iw;
    readTo(draft, unit, 6, "W", 0, start, { count: n });
    const burst = { count: n, period: 1, mode: "int8" } as const;
    emit(draft, 0, { kind: "mxmActivate", plane: 1 }, { op: "abc", cycle: start, ...burst, stream: 6, lane: 0, k: n });
    const sums = start + latency.abc;
    emit(
      draft,
      0,
      { kind: "mxmAccumulate", plane: 1 },
      { op: "acc", cycle: sums, ...burst, entry: 0, stride: 1, init: true, emit: true, stream: 8 },
    );
    writeFrom(draft, { ...y, slices: [12 + plane] }, 8, "E", 0, sums + latency.acc, { count: n });
    at = start + n + 3;
  }
  return finish(draft);
}

/** Chip 0 halves x and sends it, one byte plane after the other; chip 1 adds its own input. */
export function linkProgram(): Program {
  const machine = target("ftlpu32");
  const latency = machine.link.latency;
  const links = [
    { from: 0, fromPort: 1, to: 1, toPort: 0, latency },
    { from: 1, fromPort: 0, to: 0, toPort: 1, latency },
  ];
  const draft = newDraft("link", machine, 2, links);
  const [m, n] = [5, 20];
  const vxm = vxmColumn(machine);
  const slot = Math.ceil((machine.link.framedBytesPerVector * machine.clockHz) / machine.link.bytesPerSecond);
  const x = addBuffer(draft, "input", "x", { hemisphere: "W", slices: [0, 1, 2, 3] }, m);
  const half = addBuffer(draft, "activation", "half", { hemisphere: "E", slices: [0, 1, 2, 3] }, m);
  const there = addBuffer(draft, "activation", "half.1", { chip: 1, hemisphere: "W", slices: [0, 1, 2, 3] }, m);
  const own = addBuffer(draft, "input", "own", { chip: 1, hemisphere: "W", slices: [4, 5, 6, 7] }, m);
  const y = addBuffer(draft, "output", "y", { chip: 1, hemisphere: "E", slices: [0, 1, 2, 3] }, m);
  const tx = addTensor(draft, "x", "float32", [m, n]);
  const tOwn = addTensor(draft, "own", "float32", [m, n]);
  const tHalf = addTensor(draft, "half", "float32", [1, 1], { kind: "splat", bits: 0x3f000000 });
  const scaled = addNode(draft, "mul", [tx, tHalf], "float32", [m, n]);
  const ty = addNode(draft, "add", [scaled, tOwn], "float32", [m, n]);
  const digits = [rows(m), along(n)];
  bind(draft, "input", "x", tx, place(x, [m, n], digits, "f32"));
  bind(draft, "input", "own", tOwn, place(own, [m, n], digits, "f32"));
  bind(draft, "output", "y", ty, place(y, [m, n], digits, "f32"));
  const burst = { op: "alu", count: m, period: 1, c: none, reset: 0 } as const;
  const immediate = { kind: "immediate", bits: 0x3f000000 } as const;
  readTo(draft, x, 0, "E", vxm, 30, { count: m });
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 0 },
    { ...burst, cycle: 30, operation: "mul", a: stream(0), b: immediate, output: out(4) },
  );
  writeFrom(draft, half, 4, "E", vxm, 30 + machine.vxm.latency.multiply, { count: m });
  const edge = columnCount(machine) - 1;
  for (let plane = 0; plane < 4; plane++) {
    const at = 80 + plane * m * slot;
    const vectors = { count: m, period: slot };
    readTo(draft, { ...half, slices: [plane] }, 9, "E", edge, at, vectors);
    emit(draft, 0, { kind: "linkSend", port: 1 }, { op: "send", cycle: at, ...vectors, stream: 9 });
    emit(draft, 1, { kind: "linkReceive", port: 0 }, { op: "receive", cycle: at + latency, ...vectors, stream: 3 });
    writeFrom(draft, { ...there, slices: [plane] }, 3, "E", 0, at + latency, vectors);
  }
  const at = 80 + 4 * m * slot + latency + 60;
  readTo(draft, there, 0, "E", vxm, at, { count: m });
  readTo(draft, own, 4, "E", vxm, at, { count: m });
  emit(
    draft,
    1,
    { kind: "vxmAlu", alu: 0 },
    { ...burst, cycle: at, operation: "add", a: stream(0), b: stream(4), output: out(8) },
  );
  writeFrom(draft, y, 8, "E", vxm, at + machine.vxm.latency.simple, { count: m });
  return finish(draft);
}

/** Rows of a table at run-time indices, squared. */
export function gatherProgram(): Program {
  const draft = newDraft("gather", target("ftlpu32"));
  const { mem, vxm: spec } = draft.target;
  const [size, m, n] = [16, 6, 20];
  const vxm = vxmColumn(draft.target);
  const ids = addBuffer(draft, "input", "ids", { hemisphere: "W", slices: [8, 9, 10, 11] }, m);
  const table = addBuffer(draft, "weight", "table", { hemisphere: "W", slices: [0, 1, 2, 3], address: 5 }, size);
  const y = addBuffer(draft, "output", "y", { hemisphere: "E", slices: [0, 1, 2, 3] }, m);
  fillImage(draft, table, size, (b, word, lane) => floatByte(word * 3.25 + lane, b));
  const tIds = addTensor(draft, "ids", "int32", [m]);
  const tTable = addTensor(draft, "table", "float32", [size, n], {
    kind: "placed",
    placements: [place(table, [size, n], [rows(size), along(n)], "f32")],
  });
  const row = addNode(draft, "gather", [tTable, tIds], "float32", [m, n], { axis: 0 });
  const ty = addNode(draft, "mul", [row, row], "float32", [m, n]);
  bind(draft, "input", "ids", tIds, place(ids, [m], [rows(m)], "i32"));
  bind(draft, "output", "y", ty, place(y, [m, n], [rows(m), along(n)], "f32"));
  const column = memColumn(draft.target, "W", 0);
  const at = 30;
  readTo(draft, ids, 0, "E", column, at, { count: m });
  for (let b = 0; b < 4; b++) {
    emit(
      draft,
      0,
      { kind: "memRead", hemisphere: "W", slice: b },
      {
        op: "gather",
        cycle: at,
        count: m,
        period: 1,
        address: 5,
        scale: 1,
        limit: size,
        map: 0,
        mapDirection: "E",
        stream: 4 + b,
        direction: "E",
      },
      table.symbol,
    );
  }
  const here = at + mem.latency.gather + vxm - column;
  emit(
    draft,
    0,
    { kind: "vxmAlu", alu: 7 },
    {
      op: "alu",
      cycle: here,
      count: m,
      period: 1,
      operation: "mul",
      a: stream(4),
      b: stream(4),
      c: none,
      reset: 0,
      output: out(8),
    },
  );
  writeFrom(draft, y, 8, "E", vxm, here + spec.latency.multiply, { count: m });
  return finish(draft);
}

/** A float16 product on a pair of planes, weights packed two bytes a row and striped over eight slices. */
export function packedProgram(): Program {
  const draft = newDraft("packed", target("lpu-nvlink"));
  const [m, k, n, tileK, stripes] = [9, 200, 64, 160, 8];
  const { latency } = draft.target.mxm;
  const x = addBuffer(draft, "input", "x", { hemisphere: "W", slices: [0, 1] }, 2 * m);
  const slices = Array.from({ length: stripes }, (_, i) => 8 + i);
  const w = addBuffer(draft, "weight", "w", { hemisphere: "W", slices }, (2 * n) / stripes);
  const y = addBuffer(draft, "output", "y", { hemisphere: "E", slices: [0, 1, 2, 3] }, m);
  // Any finite float16 pattern will do: the exponent's top bit stays clear.
  fillImage(
    draft,
    w,
    (2 * n) / stripes,
    (s, word, lane) => (lane * 29 + word * 13 + s * 71) & 255 & (lane < tileK ? 255 : 0xbf),
  );
  const tx = addTensor(draft, "x", "float32", [m, k]);
  const wDigits = [
    [
      { size: 2, vector: n, lane: 0 },
      { size: tileK, vector: 0, lane: 1 },
    ],
    rows(n),
  ];
  const tw = addTensor(draft, "w", "float32", [k, n], {
    kind: "placed",
    placements: [place(w, [k, n], wDigits, "f16", tileK)],
  });
  const ty = addNode(draft, "matmul", [tx, tw], "float32", [m, n], { precision: "fp16" });
  const xDigits = [
    rows(m),
    [
      { size: 2, vector: m, lane: 0 },
      { size: tileK, vector: 0, lane: 1 },
    ],
  ];
  bind(draft, "input", "x", tx, place(x, [m, k], xDigits, "f16"));
  bind(draft, "output", "y", ty, place(y, [m, n], [rows(m), along(n)], "f32"));
  let at = 60;
  for (const [tile, depth] of [tileK, k - tileK].entries()) {
    readTo(draft, w, 16, "W", 0, at, { count: n / stripes, word: (tile * n) / stripes });
    const load = { op: "lw", cycle: at, count: n / stripes, period: 1, mode: "fp16", format: "packed" } as const;
    emit(
      draft,
      0,
      { kind: "mxmLoad", plane: 0 },
      { ...load, stream: 16, streams: stripes, row: 0, rows: n, lane: 0, k: depth, clear: true },
    );
    const install = at + n / stripes - 1 + latency.lw;
    emit(draft, 0, { kind: "mxmLoad", plane: 0 }, { op: "iw", cycle: install, count: 1, period: 1, mode: "fp16" });
    const start = install + latency.iw;
    readTo(draft, x, 2, "W", 0, start, { count: m, word: tile * m });
    const burst = { count: m, period: 1, mode: "fp16" } as const;
    emit(
      draft,
      0,
      { kind: "mxmActivate", plane: 0 },
      { op: "abc", cycle: start, ...burst, stream: 2, lane: 0, k: depth },
    );
    const sums = start + latency.abc;
    const [init, last] = [tile === 0, tile === 1];
    emit(
      draft,
      0,
      { kind: "mxmAccumulate", plane: 0 },
      { op: "acc", cycle: sums, ...burst, entry: 0, stride: 1, init, emit: last, stream: 4 },
    );
    at = start + m;
    if (last) writeFrom(draft, y, 4, "E", 0, sums + latency.acc, { count: m });
  }
  return finish(draft);
}
