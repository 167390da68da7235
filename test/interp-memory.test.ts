// Memory, streams and queues in the interpreter: each instruction and each fault, on 32 and on 320 lanes.
import { describe, expect, it } from "vitest";
import { interpret } from "../backends/interp/interpret.ts";
import type { ImageSegment } from "../ir/machine/program.ts";
import { memColumn } from "../ir/target/geometry.ts";
import { at, image, memRead, memWrite, type Placed, program, target } from "./interp-builder.ts";
import {
  faultOf,
  lanePlacement,
  latencyOf,
  outputBinding,
  outputOf,
  randomBytes,
  readsTo,
  runProgram,
  sliceList,
  wordImages,
  writesFrom,
} from "./interp-fixtures.ts";

describe.each(["ftlpu32", "groqchip1"])("on %s", (name) => {
  const machine = target(name);
  const { lanes } = machine;
  const { read, write } = machine.mem.latency;
  const column = (h: "W" | "E", s: number): number => memColumn(machine, h, s);

  const build = (
    code: readonly Placed[],
    images: readonly ImageSegment[],
    vectors = 0,
    latency = latencyOf(machine, code),
  ) =>
    program({
      target: machine,
      chips: [{ code, images }],
      bindings:
        vectors === 0
          ? []
          : [outputBinding(machine, vectors, "uint8", lanePlacement(machine, vectors, "u8", sliceList("E", 0, 1)))],
      latencyCycles: latency,
    });
  const run = (code: readonly Placed[], images: readonly ImageSegment[] = [], vectors = 0) =>
    runProgram(build(code, images, vectors));

  const data = randomBytes(4 * lanes);
  const source = image("W", 9, 100, data);
  const travel = column("E", 0) - column("W", 9);

  it("copies a burst of words from west to east", () => {
    const result = run(
      [
        at(memRead("W", 9), "read", { cycle: 3, count: 4, period: 2, address: 103, stride: -1, stream: 5 }),
        at(memWrite("E", 0), "write", {
          cycle: 3 + read + travel,
          count: 4,
          period: 2,
          address: 3,
          stride: -1,
          stream: 5,
        }),
      ],
      [source],
      4,
    );
    expect(outputOf(result)).toEqual(data);
    if (result.ok) {
      expect(result.executedCycles).toBe(3 + read + travel + 6 + write + machine.verticalRipple);
      expect(result.profile.issues.read).toBe(4);
      expect(result.profile.chips[0]?.issues.write).toBe(4);
    }
  });

  it("lets several units read a value as it passes, also at its own column", () => {
    const code = [
      at(memRead("W", 9), "read", { cycle: 0, address: 100, stream: 5, direction: "W" }),
      at(memWrite("W", 10), "write", {
        cycle: read + column("W", 9) - column("W", 10),
        address: 7,
        stream: 5,
        direction: "W",
      }),
      at(memWrite("W", 8), "write", { cycle: read, address: 7, stream: 5, direction: "W" }),
      at(memRead("W", 10), "read", { cycle: 20, address: 7, stream: 1 }),
      at(memWrite("E", 0), "write", { cycle: 20 + read + column("E", 0) - column("W", 10), address: 0, stream: 1 }),
      at(memRead("W", 8), "read", { cycle: 21, address: 7, stream: 1 }),
      at(memWrite("E", 0), "write", { cycle: 21 + read + column("E", 0) - column("W", 8), address: 1, stream: 1 }),
    ];
    const once = data.slice(0, lanes);
    const both = [...code].sort((a, b) => a.instruction.cycle - b.instruction.cycle);
    expect(outputOf(run(both, [source], 2))).toEqual(Uint8Array.from([...once, ...once]));
  });

  it("gathers with a clamped index and scatters within bounds only", () => {
    const table = randomBytes(5 * lanes);
    const indices = Int32Array.from({ length: 5 * lanes }, (_, i) =>
      i % lanes === 0 ? ([2, -7, 99, 0, 4][i / lanes] ?? 0) : 12345,
    );
    const arrival = 30;
    const code = [
      ...readsTo(
        machine,
        column("E", 4),
        arrival,
        { hemisphere: "W", slice: 0, bytes: 4, stream: 4, direction: "E" },
        { count: 5 },
      ),
      at(memRead("E", 4), "gather", {
        cycle: arrival,
        count: 5,
        address: 10,
        scale: 2,
        limit: 5,
        map: 4,
        stream: 0,
        direction: "W",
      }),
      at(memWrite("E", 0), "write", {
        cycle: arrival + machine.mem.latency.gather + 1,
        count: 5,
        stride: 1,
        stream: 0,
        direction: "W",
      }),
    ];
    const spread = new Uint8Array(9 * lanes);
    for (let i = 0; i < 5; i += 1) spread.set(table.subarray(i * lanes, (i + 1) * lanes), 2 * i * lanes);
    const images = [...wordImages("W", 0, 0, indices), image("E", 4, 10, spread)];
    const wanted = [2, 0, 4, 0, 4].flatMap((i) => [...table.subarray(i * lanes, (i + 1) * lanes)]);
    expect(outputOf(run(code, images, 5))).toEqual(Uint8Array.from(wanted));

    // Rows 0, 3 and 4 go to rows 2, 0 and 4; the index of the others is outside.
    const back = [
      ...readsTo(
        machine,
        column("E", 0),
        arrival,
        { hemisphere: "W", slice: 0, bytes: 4, stream: 4, direction: "E" },
        { count: 5 },
      ),
      ...readsTo(
        machine,
        column("E", 0),
        arrival,
        { hemisphere: "W", slice: 4, bytes: 1, stream: 0, direction: "E" },
        { count: 5 },
      ),
      at(memWrite("E", 0), "scatter", { cycle: arrival, count: 5, address: 0, scale: 1, limit: 5, map: 4, stream: 0 }),
    ];
    const old = randomBytes(5 * lanes);
    const result = run(back, [...wordImages("W", 0, 0, indices), image("W", 4, 0, table), image("E", 0, 0, old)], 5);
    const expected = new Uint8Array(old);
    [2, -7, 99, 0, 4].forEach((to, from) => {
      if (to >= 0 && to < 5) expected.set(table.subarray(from * lanes, (from + 1) * lanes), to * lanes);
    });
    expect(outputOf(result)).toEqual(expected);
    if (result.ok)
      expect(result.executedCycles).toBe(arrival + 4 + machine.mem.latency.scatter + machine.verticalRipple);
  });

  it("keeps other lanes out of the index", () => {
    expect(faultOf(run([at(memRead("E", 4), "gather", { cycle: 9, limit: 0 })]))).toBe("form: MEM.E4.R 9");
    const last = 2 * machine.mem.wordsPerBank - 1;
    expect(faultOf(run([at(memRead("E", 4), "gather", { cycle: 9, address: last, limit: 2 })]))).toBe(
      "range: MEM.E4.R 9",
    );
    expect(faultOf(run([at(memRead("E", 4), "gather", { cycle: 9, address: 0, scale: -1, limit: 2 })]))).toBe(
      "range: MEM.E4.R 9",
    );
    expect(faultOf(run([at(memRead("E", 4), "gather", { cycle: 9 })]))).toBe("operand: MEM.E4.R 9");
    expect(faultOf(run([at(memRead("E", 4), "gather", { cycle: 9, map: 2 })]))).toBe("form: MEM.E4.R 9");
  });

  it("faults on words that were never written, or not yet", () => {
    expect(faultOf(run([at(memRead("W", 9), "read", { cycle: 4, address: 99 })], [source]))).toBe("poison: MEM.W9.R 4");
    expect(
      faultOf(run([at(memRead("W", 9), "read", { cycle: 4, address: 100, count: 6, stride: 1, stream: 3 })], [source])),
    ).toBe("poison: MEM.W9.R 8");
    const written = read + travel;
    const code = (again: number): Placed[] => [
      at(memRead("W", 9), "read", { cycle: 0, address: 100, stream: 5 }),
      at(memWrite("E", 0), "write", { cycle: written, address: 0, stream: 5 }),
      at(memRead("E", 0), "read", { cycle: again, address: 0, stream: 6 }),
    ];
    expect(faultOf(run(code(written + write - 1), [source]))).toBe(`hazard: MEM.E0.R ${written + write - 1}`);
    expect(faultOf(run(code(written + write), [source]))).toBe("ok");
  });

  it("faults on a read and a write of one bank in one cycle, whatever the addresses", () => {
    const written = read + travel;
    const code = (address: number, cycle: number): Placed[] => [
      at(memRead("W", 9), "read", { cycle: 0, address: 100, stream: 5 }),
      at(memWrite("E", 0), "write", { cycle: written, address: 50, stream: 5 }),
      at(memRead("E", 0), "read", { cycle, address, stream: 6 }),
    ];
    const other = machine.mem.wordsPerBank + 3;
    const images = [source, image("E", 0, 3, data.slice(0, lanes)), image("E", 0, other, data.slice(0, lanes))];
    expect(faultOf(run(code(3, written), images))).toMatch(/^bank: MEM.E0/);
    expect(faultOf(run([...code(3, written)].reverse(), images))).toMatch(/^bank: MEM.E0/);
    expect(faultOf(run(code(3, written + 1), images))).toBe("ok");
    expect(faultOf(run(code(other, written), images))).toBe("ok");
  });

  it("faults on addresses and units outside the chip", () => {
    const words = 2 * machine.mem.wordsPerBank;
    expect(faultOf(run([at(memRead("W", 9), "read", { cycle: 1, address: words })]))).toBe("range: MEM.W9.R 1");
    expect(faultOf(run([at(memWrite("W", 9), "write", { cycle: 1, address: -1 })]))).toBe("range: MEM.W9.W 1");
    expect(faultOf(run([at(memRead("W", 99), "read", { cycle: 1 })]))).toBe("form: MEM.W99.R 1");
    expect(faultOf(run([at(memRead("W", 9), "read", { cycle: 1, address: 100, stream: 32 })], [source]))).toBe(
      "form: MEM.W9.R 1",
    );
    expect(faultOf(run([at(memRead("W", 9), "write", { cycle: 1 })]))).toBe("form: MEM.W9.R 1");
    expect(faultOf(run([], [image("W", 9, words, data)]))).toBe("range: host 0");
  });

  it("faults on two values on one stream register, wherever they start", () => {
    const images = [image("W", 0, 0, data), image("W", 20, 0, data)];
    const distance = column("W", 0) - column("W", 20);
    const code = (second: number, direction: "E" | "W"): Placed[] => [
      at(memRead("W", 20), "read", { cycle: 10, address: 0, stream: 5, direction }),
      at(memRead("W", 0), "read", { cycle: second, address: 0, stream: 5, direction }),
    ];
    expect(faultOf(run(code(10 + distance, "E"), images))).toBe(`stream: MEM.W0.R ${10 + distance}`);
    expect(faultOf(run(code(10 + distance + 1, "E"), images))).toBe("ok");
    expect(faultOf(run(code(10 + distance - 1, "E"), images))).toBe("ok");
    // Going west the one that starts farther east comes first.
    expect(faultOf(run(code(10 - distance, "W"), images))).toBe("stream: MEM.W20.R 10");
    expect(faultOf(run(code(10, "E"), images))).toBe("ok");
  });

  it("faults on operands that are not there: too early, too late, wrong direction, upstream", () => {
    const code = (unit: ReturnType<typeof memWrite>, cycle: number, direction: "E" | "W" = "E"): Placed[] => [
      at(memRead("W", 9), "read", { cycle: 0, address: 100, stream: 5 }),
      at(unit, "write", { cycle, address: 0, stream: 5, direction }),
    ];
    const due = read + travel;
    expect(faultOf(run(code(memWrite("E", 0), due), [source]))).toBe("ok");
    expect(faultOf(run(code(memWrite("E", 0), due - 1), [source]))).toBe(`operand: MEM.E0.W ${due - 1}`);
    expect(faultOf(run(code(memWrite("E", 0), due + 1), [source]))).toBe(`operand: MEM.E0.W ${due + 1}`);
    expect(faultOf(run(code(memWrite("E", 0), due, "W"), [source]))).toBe(`operand: MEM.E0.W ${due}`);
    // Same diagonal, one column west of where it is put.
    const upstream = run(code(memWrite("W", 12), read - 1), [source]);
    expect(faultOf(upstream)).toBe(`operand: MEM.W12.W ${read - 1}`);
    if (!upstream.ok) expect(upstream.fault.message).toContain("downstream");
  });

  it("faults on queues out of order, overlapping bursts and double queues", () => {
    const two = (cycle: number): Placed[] => [
      at(memRead("W", 9), "read", { cycle: 5, count: 3, period: 2, address: 100, stream: 1 }),
      at(memRead("W", 9), "read", { cycle, address: 100, stream: 2 }),
    ];
    expect(faultOf(run(two(9), [source]))).toBe("queue: MEM.W9.R 9");
    expect(faultOf(run(two(3), [source]))).toBe("queue: MEM.W9.R 9");
    expect(faultOf(run(two(10), [source]))).toBe("ok");
    expect(faultOf(run([at(memRead("W", 9), "read", { cycle: 1, period: 0 })]))).toBe("form: MEM.W9.R 0");
    const built = build(two(10), [source]);
    const [chip] = built.chips;
    if (chip === undefined) throw new Error("no chip");
    expect(faultOf(runProgram({ ...built, chips: [{ ...chip, queues: [...chip.queues, ...chip.queues] }] }))).toBe(
      "queue: MEM.W9.R 0",
    );
  });

  it("holds the program to the latency it states, and names what it touched", () => {
    const code = [
      at(memRead("W", 9), "read", { cycle: 0, address: 100, stream: 5 }),
      at(memWrite("E", 0), "write", { cycle: read + travel, address: 0, stream: 5 }),
    ];
    const latency = latencyOf(machine, code);
    expect(faultOf(runProgram(build(code, [source], 0, latency)))).toBe("ok");
    expect(faultOf(runProgram(build(code, [source], 0, latency + 1)))).toMatch(/^latency: host/);
    expect(faultOf(runProgram(build([], [], 0, 0)))).toBe("ok");
    const named = run([at(memRead("W", 9), "read", { cycle: 4, address: 7, symbol: 0, count: 2 })]);
    expect(named.ok ? undefined : named.fault).toEqual({
      kind: "poison",
      chip: 0,
      unit: "MEM.W9.R",
      cycle: 4,
      instruction: { op: "read", index: 0, repetition: 0 },
      symbol: "buffer",
      message: "word 7 was never written",
    });
  });

  it("faults on an output that was never written", () => {
    const result = interpret(build([], [], 1, 0), new Map());
    expect(faultOf(result)).toBe("poison: host 0");
    if (!result.ok) expect(result.fault.symbol).toBe("out");
  });

  it("does not mistake old values on the ring of diagonals for new ones", () => {
    const code = [
      at(memRead("W", 9), "read", { cycle: 0, count: 900, address: 100, stream: 5 }),
      at(memWrite("E", 0), "write", { cycle: 900 + read + travel, address: 0, stream: 5 }),
    ];
    expect(faultOf(run(code, [source]))).toMatch(/^operand/);
    const long = [
      at(memRead("W", 9), "read", { cycle: 0, count: 2000, address: 100, stream: 5 }),
      ...writesFrom(
        machine,
        column("E", 0),
        read + travel,
        { hemisphere: "E", slice: 0, bytes: 1, stream: 5, direction: "E" },
        { count: 2000 },
      ),
    ];
    expect(faultOf(run(long, [source]))).toBe("ok");
  });
});
