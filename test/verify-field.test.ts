// The finite field of the data-flow proof: arithmetic, embedding of floats, and the moves that a program may make without changing a value.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addField,
  embedFloat,
  embedInt,
  floatAsInt,
  intAsFloat,
  maxField,
  minusInfinity,
  multiplyField,
  notANumber,
  plusInfinity,
  prime,
  reduce,
} from "../backends/check/field.ts";
import { joinBytes, laneKinds, lanesOf, splitLanes } from "../backends/check/lanes.ts";
import { applyOperation } from "../backends/check/meaning.ts";
import { loadRow, multiplyTile, newTile, readActivation } from "../backends/check/tile.ts";
import { f32ToBits } from "../ir/numeric/bits.ts";

const element = fc.integer({ min: -(prime - 1) / 2, max: (prime - 1) / 2 });
const exact = (x: bigint): number => {
  const r = Number(((x % BigInt(prime)) + BigInt(prime)) % BigInt(prime));
  return r > (prime - 1) / 2 ? r - prime : r;
};

/** Without a sign on zero: arrays of field elements are of integers. */
const plain = (x: number): number => x + 0;

describe("field", () => {
  test("sums and products are those of the integers modulo the prime", () => {
    fc.assert(
      fc.property(element, element, (a, b) => {
        expect(plain(addField(a, b))).toBe(exact(BigInt(a) + BigInt(b)));
        expect(plain(multiplyField(a, b))).toBe(exact(BigInt(a) * BigInt(b)));
        expect(plain(reduce(a * b))).toBe(exact(BigInt(a) * BigInt(b)));
      }),
    );
  });

  test("floats are embedded exactly: sums and products of small ones agree with float arithmetic", () => {
    const small = fc
      .tuple(fc.integer({ min: -2000, max: 2000 }), fc.integer({ min: -6, max: 6 }))
      .map(([m, e]) => m * 2 ** e);
    fc.assert(
      fc.property(small, small, (a, b) => {
        expect(plain(addField(embedFloat(f32ToBits(a)), embedFloat(f32ToBits(b))))).toBe(
          plain(embedFloat(f32ToBits(a + b))),
        );
        expect(plain(multiplyField(embedFloat(f32ToBits(a)), embedFloat(f32ToBits(b))))).toBe(
          plain(embedFloat(f32ToBits(a * b))),
        );
      }),
    );
    expect(embedFloat(f32ToBits(-12345))).toBe(-12345);
    expect(embedFloat(f32ToBits(2 ** -149)) * 1).toBe(exactPower(-149));
  });

  test("the infinities mask and NaN spreads", () => {
    expect(embedFloat(f32ToBits(Number.NEGATIVE_INFINITY))).toBe(minusInfinity);
    expect(embedFloat(f32ToBits(-3.4e38))).toBe(minusInfinity);
    expect(addField(5, minusInfinity)).toBe(minusInfinity);
    expect(maxField(5, minusInfinity)).toBe(5);
    expect(addField(plusInfinity, minusInfinity)).toBe(notANumber);
    expect(multiplyField(0, plusInfinity)).toBe(notANumber);
    const masked = applyOperation("exp2", lanesOf(Int32Array.of(minusInfinity), laneKinds.float), one, one);
    expect(masked.x[0]).toBe(0);
  });

  test("reinterpretation goes back and forth", () => {
    fc.assert(
      fc.property(element, (x) => {
        expect(plain(intAsFloat(floatAsInt(x)))).toBe(plain(x));
      }),
    );
    expect(embedInt(-1)).toBe(-1);
  });
});

const one = lanesOf(Int32Array.of(1, 1, 1, 1), laneKinds.bits);

function exactPower(exponent: number): number {
  let x = 1;
  const half = (prime + 1) / 2;
  for (let i = 0; i > exponent; i--) x = exact(BigInt(x) * BigInt(half));
  return x;
}

describe("moves", () => {
  const value = lanesOf(Int32Array.of(11, -22, 33, 44), laneKinds.float);

  test("a value survives its byte planes, and planes of two values do not mix", () => {
    const planes = splitLanes(value, "f32");
    expect(joinBytes(planes, "f32").lanes).toMatchObject({ x: value.x, kind: laneKinds.float });
    const other = splitLanes(lanesOf(Int32Array.of(11, -22, 33, 45), laneKinds.float), "f32");
    const [a, b, c] = planes;
    const d = other[3];
    expect(a && b && c && d && joinBytes([a, b, c, d], "f32").tornLane).toBe(3);
    expect(joinBytes(planes, "i32").lanes.kind).toBe(laneKinds.float);
  });

  test("OR with zero keeps a value, adding a number does not", () => {
    const zero = lanesOf(new Int32Array(4), laneKinds.bits);
    expect(applyOperation("or", value, zero, zero)).toMatchObject({ x: value.x, kind: laneKinds.float });
    const ones = lanesOf(new Int32Array(4).fill(1), laneKinds.bits);
    expect(applyOperation("or", value, ones, ones).x).not.toEqual(value.x);
  });

  test("a byte stays itself when it is read as a number and narrowed again, another number does not", () => {
    const whole = lanesOf(Int32Array.of(11, -22, 33, 44), laneKinds.int);
    for (const type of ["i8", "u8"] as const) {
      const [bytes] = splitLanes(whole, type);
      const number = joinBytes(bytes === undefined ? [] : [bytes], type).lanes;
      expect([...(bytes?.x ?? [])].some((x, i) => x === whole.x[i])).toBe(false);
      expect(splitLanes(number, type)[0]).toMatchObject({ x: bytes?.x, tag: bytes?.tag });
      expect(joinBytes(splitLanes(number, "i32"), "i32").lanes).toMatchObject({ x: number.x, kind: number.kind });
      const more = applyOperation("iadd", number, one, one);
      expect(splitLanes(more, type)[0]?.x).not.toEqual(more.x);
      const otherType = type === "i8" ? "u8" : "i8";
      expect(splitLanes(number, otherType)[0]?.x).not.toEqual(bytes?.x);
    }
  });

  test("an int8 product with a selection moves the bytes of a value", () => {
    const order = [2, 0, 3, 1];
    const planes = splitLanes(value, "f32").map((plane) => {
      const tile = newTile("int8", 4, 4);
      order.forEach((from, row) => {
        const weights = Int32Array.from({ length: 4 }, (_, k) => (k === from ? 1 : 0));
        loadRow(tile, row, [{ x: weights, tag: 0, tags: undefined }], 0, 4, 0);
      });
      const [low] = splitLanes(multiplyTile(tile, readActivation("int8", [plane], 0, 4), 4), "i32");
      return low ?? plane;
    });
    const { lanes, tornLane } = joinBytes(planes, "f32");
    expect(tornLane).toBe(-1);
    expect([...lanes.x]).toEqual(order.map((from) => value.x[from]));
    expect(lanes.kind).toBe(laneKinds.float);
  });

  test("a float product is linear: a factor may move out of it", () => {
    const tile = newTile("fp32", 4, 4);
    for (let row = 0; row < 4; row++) {
      const weights = lanesOf(Int32Array.of(5 + row, -7, row * row, 1), laneKinds.float);
      loadRow(tile, row, splitLanes(weights, "f32"), 0, 4, 0);
    }
    const factor = lanesOf(new Int32Array(4).fill(1234567), laneKinds.float);
    const product = (x: typeof value) => multiplyTile(tile, readActivation("fp32", splitLanes(x, "f32"), 0, 4), 4);
    const before = product(applyOperation("mul", value, factor, factor));
    const after = applyOperation("mul", product(value), factor, factor);
    expect([...before.x]).toEqual([...after.x]);
    expect([...product(value).x].some((x) => x !== 0)).toBe(true);
  });
});
