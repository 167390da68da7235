// What the host puts into SRAM and takes out of it: placements of every kind, element types, and programs that only bind.
import { describe, expect, it } from "vitest";
import type { HostTensor } from "../backends/interp/host.ts";
import { interpret } from "../backends/interp/interpret.ts";
import type { DType, StoredType } from "../ir/dtype.ts";
import { forEachElement, locate, placementGeometry, sliceOf, vectorCountOf, wordOf } from "../ir/machine/placement.ts";
import type { Binding, Placement, Program, ProgramTensor } from "../ir/machine/program.ts";
import { encodeSmallFloat } from "../ir/numeric/small-float.ts";
import { program, target } from "./interp-builder.ts";
import { faultOf, sliceList } from "./interp-fixtures.ts";

const machine = target("ftlpu32");

/** A program that moves nothing: what is bound as input is read as output from the same place. */
function passThrough(
  shape: readonly number[],
  from: DType,
  to: DType,
  placements: readonly Placement[],
  outputs = placements,
): Program {
  const bindings: Binding[] = [
    { name: "x", kind: "input", dtype: from, shape, tensor: 0, placements },
    { name: "y", kind: "output", dtype: to, shape, tensor: 0, placements: outputs },
  ];
  return program({ target: machine, chips: [{ code: [] }], bindings, latencyCycles: 0 });
}

function roundTrip(source: Program, x: HostTensor): Uint8Array {
  const result = interpret(source, new Map([["x", x]]));
  if (!result.ok) throw new Error(result.fault.message);
  const y = result.outputs.get("y");
  if (y === undefined) throw new Error("no output");
  return y.bytes;
}

const list = (count: number, type: StoredType, first = 0): Placement => ({
  chip: 0,
  origin: [0],
  extent: [count],
  digits: [
    [
      { size: Math.ceil(count / 32), vector: 1, lane: 0 },
      { size: 32, vector: 0, lane: 1 },
    ],
  ],
  type,
  pack: 0,
  slices: sliceList("W", first, { f32: 4, i32: 4, f16: 2, i8: 1, u8: 1 }[type]),
  address: 3,
});

/** The digits of a 3 x 5 x 40 tensor: the last dimension in blocks of 8 lanes, the middle one on lanes too, all striped over two slice groups. */
const awkward = (origin: readonly number[], extent: readonly number[], pack: number, address: number): Placement => ({
  chip: 0,
  origin,
  extent,
  digits: [
    [{ size: extent[0] ?? 1, vector: 5, lane: 0 }],
    [
      { size: Math.ceil((extent[1] ?? 1) / 2), vector: 15, lane: 0 },
      { size: 2, vector: 0, lane: pack > 0 ? 4 : 8 },
    ],
    [
      { size: Math.ceil((extent[2] ?? 1) / 4), vector: 1, lane: 0 },
      { size: 4, vector: 0, lane: 1 },
    ],
  ],
  type: "f16",
  pack,
  slices: sliceList("E", 4, 4),
  address,
});

describe("placements", () => {
  it("locate elements as the tables and loops do", () => {
    for (const pack of [0, 16]) {
      const placement = awkward([0, 1, 2], [3, 4, 20], pack, 0);
      const seen: number[] = [];
      forEachElement(placement, [3, 5, 40], (flat, vector, lane) => {
        const index = [Math.floor(flat / 200), Math.floor(flat / 40) % 5, flat % 40];
        expect(locate(placement, index)).toEqual({ vector, lane });
        seen.push(flat);
      });
      expect(seen.length).toBe(3 * 4 * 20);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      const geometry = placementGeometry(placement);
      expect(geometry.stripes).toBe(pack > 0 ? 4 : 2);
      expect(wordOf(placement, geometry, 7)).toBe(pack > 0 ? 1 : 3);
      expect([0, 1].map((byte) => sliceOf(geometry, 7, byte))).toEqual(pack > 0 ? [3, 3] : [2, 3]);
      expect(vectorCountOf(placement)).toBe(1 + 2 * 5 + 15 + 4);
    }
  });

  it("bind and read back a tensor cut into boxes, planar and packed, scalars and empty tensors", () => {
    const shape = [3, 5, 40];
    const values = Float32Array.from({ length: 600 }, (_, i) => i - 300);
    const x: HostTensor = { dtype: "float32", shape, bytes: new Uint8Array(values.buffer) };
    for (const pack of [0, 16]) {
      const boxes = [
        awkward([0, 0, 0], [3, 5, 20], pack, 0),
        awkward([0, 0, 20], [2, 5, 20], pack, 100),
        awkward([2, 0, 20], [1, 5, 20], pack, 200),
      ];
      expect(roundTrip(passThrough(shape, "float32", "float32", boxes), x)).toEqual(x.bytes);
    }
    const scalar: Placement = { ...list(1, "f32"), origin: [], extent: [], digits: [] };
    const one = new Uint8Array(Float32Array.of(2.5).buffer);
    expect(
      roundTrip(passThrough([], "float32", "float32", [scalar]), { dtype: "float32", shape: [], bytes: one }),
    ).toEqual(one);
    const empty: HostTensor = { dtype: "float32", shape: [0], bytes: new Uint8Array(0) };
    expect(roundTrip(passThrough([0], "float32", "float32", [{ ...list(0, "f32"), extent: [0] }]), empty).length).toBe(
      0,
    );
  });

  it("fill every place of an input", () => {
    const x: HostTensor = { dtype: "uint8", shape: [40], bytes: Uint8Array.from({ length: 40 }, (_, i) => i) };
    const places = [list(40, "u8"), list(40, "u8", 9), list(40, "i32", 20)];
    for (const place of places)
      expect(roundTrip(passThrough([40], "uint8", "uint8", places, [place]), x)).toEqual(x.bytes);
  });
});

describe("element types", () => {
  const bytesOf = (array: ArrayBufferView): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const cases: readonly (readonly [string, DType, ArrayBufferView, StoredType, DType, ArrayBufferView])[] = [
    [
      "int64 saturates",
      "int64",
      BigInt64Array.of(5n, -7n, 2n ** 40n, -(2n ** 63n)),
      "i32",
      "int64",
      BigInt64Array.of(5n, -7n, 2147483647n, -2147483648n),
    ],
    ["bool becomes 0 and 1", "bool", Uint8Array.of(0, 1, 7), "i32", "bool", Uint8Array.of(0, 1, 1)],
    ["bool as int32", "bool", Uint8Array.of(0, 1, 7), "i32", "int32", Int32Array.of(0, 1, 1)],
    [
      "float64 rounds",
      "float64",
      Float64Array.of(0.1, 1e300, -2),
      "f32",
      "float64",
      Float64Array.of(Math.fround(0.1), Infinity, -2),
    ],
    [
      "float16 is exact",
      "float16",
      Uint16Array.of(0x3c00, 0x0001, 0xfbff, 0x7e00),
      "f32",
      "float16",
      Uint16Array.of(0x3c00, 0x0001, 0xfbff, 0x7e00),
    ],
    [
      "bfloat16 is exact",
      "bfloat16",
      Uint16Array.of(0x3f80, 0xff80, 0x0001),
      "f32",
      "bfloat16",
      Uint16Array.of(0x3f80, 0xff80, 0x0001),
    ],
    [
      "float32 overflows float16",
      "float32",
      Float32Array.of(65504, 1e9, -1e9),
      "f32",
      "float16",
      Uint16Array.of(0x7bff, 0x7c00, 0xfc00),
    ],
    [
      "float32 rounds to float16",
      "float32",
      Float32Array.of(2049, 2051, 1e9, 1e-9),
      "f16",
      "float32",
      Float32Array.of(2048, 2052, Infinity, 0),
    ],
    [
      "float32 keeps its bits",
      "float32",
      Int32Array.of(0x7fc12345, -1, 1),
      "f32",
      "float32",
      Int32Array.of(0x7fc12345, -1, 1),
    ],
    ["int8 in a byte", "int8", Int8Array.of(-128, 127, -1), "i8", "int8", Int8Array.of(-128, 127, -1)],
    ["uint8 in a word", "uint8", Uint8Array.of(200, 0), "i32", "int32", Int32Array.of(200, 0)],
    ["int16, uint16", "int16", Int16Array.of(-5, 300), "i32", "int16", Int16Array.of(-5, 300)],
    ["uint32 saturates", "uint32", Uint32Array.of(1, 4294967295), "i32", "uint32", Uint32Array.of(1, 2147483647)],
    ["int4", "int4", Uint8Array.of(0x9f, 0x07), "i32", "int4", Uint8Array.of(0x9f, 0x07)],
    ["uint2", "uint2", Uint8Array.of(0b11100100), "i32", "int32", Int32Array.of(0, 1, 2, 3)],
    ["float8", "float8e4m3fn", Uint8Array.of(0x7e, 0x81, 0x7f), "f32", "float8e4m3fn", Uint8Array.of(0x7e, 0x81, 0x7f)],
    ["float8e8m0", "float8e8m0", Uint8Array.of(127, 254), "f32", "float8e8m0", Uint8Array.of(127, 254)],
    ["float4", "float4e2m1", Uint8Array.of(0x7f, 0x01), "f32", "float4e2m1", Uint8Array.of(0x7f, 0x01)],
  ];
  it.each(cases)("%s", (_name, from, given, type, to, wanted) => {
    const bits: Partial<Record<DType, number>> = {
      int64: 64,
      float64: 64,
      int4: 4,
      uint2: 2,
      float4e2m1: 4,
      bool: 8,
      int8: 8,
      uint8: 8,
      float16: 16,
      bfloat16: 16,
      int16: 16,
      float8e4m3fn: 8,
      float8e8m0: 8,
    };
    const count = (given.byteLength * 8) / (bits[from] ?? 32);
    const x: HostTensor = { dtype: from, shape: [count], bytes: bytesOf(given) };
    const placement = list(count, type);
    expect(roundTrip(passThrough([count], from, to, [placement]), x)).toEqual(bytesOf(wanted));
  });
});

describe("binding", () => {
  const source = passThrough([4], "float32", "float32", [list(4, "f32")]);
  const x: HostTensor = { dtype: "float32", shape: [4], bytes: new Uint8Array(16) };
  const fault = (...entries: readonly (readonly [string, HostTensor])[]): string => {
    const result = interpret(source, new Map(entries));
    return result.ok ? "ok" : `${faultOf(result)} ${result.fault.symbol}: ${result.fault.message}`;
  };
  it("wants every input, no other, of the right type and shape", () => {
    expect(fault(["x", x])).toBe("ok");
    expect(fault()).toBe("binding: host 0 x: the input is missing (float32[4])");
    expect(fault(["x", x], ["z", x])).toBe("binding: host 0 z: the program has no such input; it has x");
    expect(fault(["x", { ...x, shape: [2, 2] }])).toBe("binding: host 0 x: is float32[2,2], must be float32[4]");
    expect(fault(["x", { ...x, dtype: "int32" }])).toBe("binding: host 0 x: is int32[4], must be float32[4]");
  });
  it("faults on placements outside the chip and outputs that stand nowhere", () => {
    const broken = (change: Partial<Placement>): string =>
      faultOf(
        interpret(passThrough([4], "float32", "float32", [{ ...list(4, "f32"), ...change }]), new Map([["x", x]])),
      );
    expect(broken({})).toBe("ok");
    expect(broken({ address: 65536 })).toBe("range: host 0");
    expect(broken({ chip: 1 })).toBe("range: host 0");
    expect(broken({ slices: sliceList("W", 50, 4) })).toBe("range: host 0");
    expect(broken({ digits: [[{ size: 4, vector: 0, lane: 20 }]] })).toBe("range: host 0");
    const half = passThrough([4], "float32", "float32", [list(4, "f32")], [{ ...list(4, "f32"), extent: [3] }]);
    expect(faultOf(interpret(half, new Map([["x", x]])))).toBe("binding: host 0");
  });
  it("reads outputs that are constants of the graph", () => {
    const constant = (tensor: ProgramTensor, dtype: DType): Uint8Array | string => {
      const bindings: Binding[] = [{ name: "y", kind: "output", dtype, shape: [3], tensor: 0, placements: [] }];
      const built = program({ target: machine, chips: [{ code: [] }], bindings, latencyCycles: 0 });
      const result = interpret({ ...built, graph: { tensors: [tensor], nodes: [] } }, new Map());
      return result.ok ? (result.outputs.get("y")?.bytes ?? "") : faultOf(result);
    };
    const base = { name: "y", dtype: "int32", shape: [3] } as const;
    const inline = new Uint8Array(Int32Array.of(1, -2, 3).buffer);
    expect(constant({ ...base, constant: { kind: "inline", bytes: inline } }, "int32")).toEqual(inline);
    const wide = new Uint8Array(BigInt64Array.of(1n, -2n, 3n).buffer);
    expect(constant({ ...base, constant: { kind: "inline", bytes: inline } }, "int64")).toEqual(wide);
    const splat = { ...base, dtype: "float32", constant: { kind: "splat", bits: 0x40200000 } } as const;
    const halves = Uint16Array.from({ length: 3 }, () => encodeSmallFloat("float16", 2.5, true));
    expect(constant(splat, "float16")).toEqual(new Uint8Array(halves.buffer));
    expect(constant(base, "int32")).toBe("binding: host 0");
  });
});

it("a machine that no computer can hold is refused", () => {
  const large = { ...machine, streamsPerDirection: 1024, lanes: 32_764, superlaneLanes: 4 };
  const many = { ...machine, mxm: { ...machine.mxm, planes: 64, accumulators: 2 ** 20 } };
  for (const one of [large, many]) {
    const result = interpret(
      program({ target: one, chips: [{ code: [] }], bindings: [], latencyCycles: 0 }),
      new Map(),
    );
    expect(faultOf(result)).toBe("form: host 0");
  }
});
