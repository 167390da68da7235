// Lane permutation and links between chips in the interpreter, with every fault of theirs.
import { describe, expect, it } from "vitest";
import type { LinkConnection } from "../ir/machine/program.ts";
import { linkColumn, linkVectorPeriod, memColumn, sxmColumn } from "../ir/target/geometry.ts";
import { at, image, memWrite, type Placed, program, receive, send, sxm, target } from "./interp-builder.ts";
import {
  faultOf,
  lanePlacement,
  latencyOf,
  outputBinding,
  outputOf,
  random,
  randomBytes,
  readsTo,
  runProgram,
  sliceList,
  writesFrom,
} from "./interp-fixtures.ts";

/** A random bijection with some lanes zeroed. */
function someMap(lanes: number): Int16Array {
  const map = Int16Array.from({ length: lanes }, (_, i) => i);
  for (let i = lanes - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [map[i], map[j]] = [map[j] as number, map[i] as number];
  }
  return map.map((source) => (source % 7 === 3 ? -1 : source));
}

describe.each(["ftlpu32", "groqchip1", "lpu-nvlink"])("on %s", (name) => {
  const machine = target(name);
  const { lanes } = machine;

  describe.each(["W", "E"] as const)("permute in hemisphere %s", (side) => {
    const START = 40;
    const column = sxmColumn(machine, side);
    const ready = START + machine.sxm.latency.permute;
    const back = side === "W" ? "E" : "W";
    const maps = [someMap(lanes), someMap(lanes), someMap(lanes)];
    const data = [randomBytes(3 * lanes), randomBytes(3 * lanes)];
    const run = (given: object, edit: { maps?: Int16Array[]; unit?: number; count?: number } = {}) => {
      const count = edit.count ?? 3;
      const code: Placed[] = [
        ...readsTo(
          machine,
          column,
          START,
          { hemisphere: side, slice: 8, bytes: 2, stream: 6, direction: side },
          { count: 3 },
        ),
        at(sxm(side, edit.unit ?? 1), "permute", {
          cycle: START,
          count,
          stream: 6,
          direction: side,
          bytes: 2,
          map: 2,
          mapStride: -1,
          outStream: 10,
          outDirection: back,
          ...given,
        }),
        ...writesFrom(
          machine,
          column,
          ready,
          { hemisphere: side, slice: 0, bytes: 2, stream: 10, direction: back },
          { count: 3 },
        ),
      ];
      const placement = lanePlacement(machine, 3, "f16", sliceList(side, 0, 2));
      return runProgram(
        program({
          target: machine,
          chips: [{ code, images: data.map((bytes, i) => image(side, 8 + i, 0, bytes)), laneMaps: edit.maps ?? maps }],
          bindings: [outputBinding(machine, 3, "float16", placement)],
          latencyCycles: latencyOf(machine, code),
        }),
      );
    };
    const at1 = (cycle = START): string => `SXM.${side}1 ${cycle}`;

    it("moves lanes by a map, another one each repetition", () => {
      const bytes = outputOf(run({}));
      const wanted = new Uint8Array(6 * lanes);
      for (let v = 0; v < 3; v += 1) {
        const map = maps[2 - v] as Int16Array;
        map.forEach((source, lane) => {
          data.forEach((plane, byte) => {
            wanted[2 * (v * lanes + lane) + byte] = source < 0 ? 0 : (plane[v * lanes + source] as number);
          });
        });
      }
      expect(bytes).toEqual(wanted);
    });

    it("faults on bad maps, groups and units", () => {
      expect(faultOf(run({ mapStride: 1 }))).toBe(`form: ${at1(START + 1)}`);
      expect(faultOf(run({ bytes: 3 }))).toBe(`form: ${at1()}`);
      expect(faultOf(run({ stream: 7 }))).toBe(`form: ${at1()}`);
      expect(faultOf(run({ outStream: 11 }))).toBe(`form: ${at1()}`);
      expect(faultOf(run({ stream: 4 }))).toBe(`operand: ${at1()}`);
      expect(faultOf(run({}, { unit: 4 }))).toBe(`form: SXM.${side}4 ${START}`);
      const twice = Int16Array.from({ length: lanes }, () => 5);
      const beyond = Int16Array.from({ length: lanes }, (_, i) => i + 1);
      const short = Int16Array.from({ length: lanes - 1 }, (_, i) => i);
      const none = Int16Array.from({ length: lanes }, () => -1);
      for (const map of [twice, beyond, short])
        expect(faultOf(run({}, { maps: [none, none, map] }))).toBe(`form: ${at1()}`);
      expect(faultOf(run({}, { maps: [none, none, none] }))).toBe("ok");
    });
  });

  describe.each([0, 1])("a link from port %i", (port) => {
    const links: readonly LinkConnection[] = [
      { from: 0, fromPort: port, to: 1, toPort: 1 - port, latency: machine.link.latency },
      { from: 1, fromPort: 1 - port, to: 0, toPort: port, latency: machine.link.latency },
    ];
    const edge = port === 0 ? "W" : "E";
    const START = 40;
    const period = linkVectorPeriod(machine);
    const data = randomBytes(4 * lanes);
    const arrival = START + machine.link.latency;
    const column = linkColumn(machine, 1 - port);
    const sender = (sends: Placed[], reads = period): Placed[] => [
      ...readsTo(
        machine,
        linkColumn(machine, port),
        START,
        { hemisphere: edge, slice: 0, bytes: 1, stream: 3, direction: edge },
        { count: 4, period: reads },
      ),
      ...sends,
    ];
    const receiver = (receives: Placed[], count = 4): Placed[] => [
      ...receives,
      ...writesFrom(
        machine,
        column,
        arrival,
        { hemisphere: edge === "W" ? "E" : "W", slice: 5, bytes: 1, stream: 9, direction: edge },
        { count, period },
      ),
    ];
    const run = (first: Placed[], second: Placed[], outputs = true) => {
      const slices = sliceList(edge === "W" ? "E" : "W", 5, 1);
      return runProgram(
        program({
          target: machine,
          chips: [{ code: first, images: [image(edge, 0, 0, data)] }, { code: second }],
          links,
          bindings: outputs ? [outputBinding(machine, 4, "uint8", lanePlacement(machine, 4, "u8", slices, 0, 1))] : [],
          latencyCycles: latencyOf(machine, [...first, ...second]),
        }),
      );
    };
    const burst = { count: 4, period };
    const sending = (given: object = {}): Placed[] => [
      at(send(port), "send", { cycle: START, ...burst, stream: 3, ...given }),
    ];
    const receiving = (given: object = {}): Placed[] => [
      at(receive(1 - port), "receive", { cycle: arrival, ...burst, stream: 9, ...given }),
    ];

    it("carries vectors to the other chip in exactly its latency", () => {
      const result = run(sender(sending()), receiver(receiving()));
      expect(outputOf(result)).toEqual(data);
    });

    it("carries no more than its bandwidth", () => {
      expect(period * machine.link.bytesPerSecond).toBeGreaterThanOrEqual(
        machine.link.framedBytesPerVector * machine.clockHz,
      );
      const tight = sender(sending({ period: period - 1 }), period - 1);
      const listen = receiver(receiving({ period: period - 1 }), 1);
      const result = run(tight, listen, false);
      expect(faultOf(result)).toBe(`link: LINK${port}.S ${START + period - 1}`);
    });

    it("faults where a Receive and a Send do not meet", () => {
      const other = `LINK${1 - port}.R`;
      const fault = (sends: Placed[], receives: Placed[]): string => faultOf(run(sender(sends), receives, false));
      expect(fault(sending(), receiving())).toBe("ok");
      expect(fault(sending(), receiving({ cycle: arrival + 1 }))).toBe(`link: ${other} ${arrival + 1}`);
      expect(fault(sending(), receiving({ cycle: arrival - 1 }))).toBe(`link: ${other} ${arrival - 1}`);
      expect(fault([], receiving())).toBe(`link: ${other} ${arrival}`);
      expect(fault(sending(), [])).toMatch(`link: ${other}`);
      expect(fault(sending(), receiving({ count: 3 }))).toMatch(`link: ${other}`);
      expect(fault(sending(), receiving({ count: 5 }))).toBe(`link: ${other} ${arrival + 4 * period}`);
    });

    it("faults on ports that are not joined and streams that are not there", () => {
      const free = machine.link.portsPerChip - 1;
      expect(faultOf(run([at(send(free), "send", { cycle: 3 })], [], false))).toBe(`link: LINK${free}.S 3`);
      expect(faultOf(run([at(receive(99), "receive", { cycle: 3 })], [], false))).toBe("link: LINK99.R 3");
      expect(faultOf(run(sender(sending({ cycle: START + 1 })), [], false))).toBe(
        `operand: LINK${port}.S ${START + 1}`,
      );
      expect(faultOf(run(sender(sending({ stream: 40 })), [], false))).toBe(`form: LINK${port}.S ${START}`);
      expect(faultOf(run(sender(sending()), receiving({ stream: 40 }), false))).toBe(
        `form: LINK${1 - port}.R ${arrival}`,
      );
    });
  });
});

it("keeps link traffic in order of cycles across chips, whichever chip comes first in the program", () => {
  const machine = target("ftlpu32");
  const { latency } = machine.link;
  const link = { from: 1, fromPort: 0, to: 0, toPort: 1, latency };
  const data = randomBytes(machine.lanes);
  const start = 30;
  const receiverSlice = memColumn(machine, "E", 0);
  const second: Placed[] = [
    ...readsTo(machine, 0, start, { hemisphere: "W", slice: 0, bytes: 1, stream: 0, direction: "W" }),
    at(send(0), "send", { cycle: start, stream: 0 }),
  ];
  const first: Placed[] = [
    at(receive(1), "receive", { cycle: start + latency, stream: 7 }),
    at(memWrite("E", 0), "write", {
      cycle: start + latency + linkColumn(machine, 1) - receiverSlice,
      stream: 7,
      direction: "W",
    }),
  ];
  const result = runProgram(
    program({
      target: machine,
      chips: [{ code: first }, { code: second, images: [image("W", 0, 0, data)] }],
      links: [link],
      bindings: [outputBinding(machine, 1, "uint8", lanePlacement(machine, 1, "u8", sliceList("E", 0, 1)))],
      latencyCycles: latencyOf(machine, first),
    }),
  );
  expect(outputOf(result)).toEqual(data);
});
