// Conversions between element types. On the machine floats are float32 and integers int32, so a cast rounds or wraps values to what the narrower
// type can hold and leaves them in 32 bits.
import { type DType, dtypes } from "../../ir/dtype.ts";
import { numberOf, stringOf } from "../../ir/graph/attr.ts";
import type { TensorId } from "../../ir/graph/graph.ts";
import { abs, add, and, bitcast, eq, le, lt, max, mul, not, select, shru, toFloat, toInt, unary } from "./arith.ts";
import { type CoreDraft, float, int, isFloat } from "./core-draft.ts";
import { clamp, isNan } from "./functions.ts";
import {
  isFloatType,
  type Lowered,
  type LoweringTable,
  outputType,
  refuse,
  type Site,
  typeAt,
  wrapTo,
} from "./site.ts";

/** A narrow float format as rounding sees it. */
interface Narrow {
  readonly mantissaBits: number;
  /** Exponent of the smallest normal number. */
  readonly lowestExponent: number;
  readonly largest: number;
  /** What becomes of numbers beyond the largest without saturation. */
  readonly beyond: "infinity" | "nan" | "largest";
}

const narrowFloats: Partial<Record<DType, Narrow>> = {
  bfloat16: { mantissaBits: 7, lowestExponent: -126, largest: 3.3895313892515355e38, beyond: "infinity" },
  float8e4m3fn: { mantissaBits: 3, lowestExponent: -6, largest: 448, beyond: "nan" },
  float8e4m3fnuz: { mantissaBits: 3, lowestExponent: -7, largest: 240, beyond: "nan" },
  float8e5m2: { mantissaBits: 2, lowestExponent: -14, largest: 57344, beyond: "infinity" },
  float8e5m2fnuz: { mantissaBits: 2, lowestExponent: -15, largest: 57344, beyond: "nan" },
  float4e2m1: { mantissaBits: 1, lowestExponent: 0, largest: 6, beyond: "largest" },
};

/** Nearest multiple of 2^(exponent - mantissaBits) of each number, ties to even. */
function roundMantissa(d: CoreDraft, x: TensorId, bits: number): TensorId {
  const dropped = 23 - bits;
  const image = bitcast(d, x);
  const odd = and(d, shru(d, image, int(d, dropped)), int(d, 1));
  const rounded = and(d, add(d, image, add(d, odd, int(d, 2 ** (dropped - 1) - 1))), int(d, -(2 ** dropped)));
  return bitcast(d, rounded);
}

function beyondLargest(d: CoreDraft, x: TensorId, format: Narrow, saturate: boolean): TensorId {
  if (saturate || format.beyond === "largest") return clamp(d, x, -format.largest, format.largest);
  if (format.beyond === "nan") return float(d, Number.NaN);
  return select(d, lt(d, x, float(d, 0)), float(d, -Infinity), float(d, Infinity));
}

/** Values rounded to a narrow float format. */
export function roundToNarrow(d: CoreDraft, x: TensorId, format: Narrow, saturate: boolean): TensorId {
  const { mantissaBits, lowestExponent, largest } = format;
  const normal = roundMantissa(d, x, mantissaBits);
  let rounded = normal;
  if (lowestExponent > -100) {
    const unit = 2 ** (mantissaBits - lowestExponent);
    const small = mul(d, toFloat(d, toInt(d, mul(d, x, float(d, unit)), "rne")), float(d, 1 / unit));
    rounded = select(d, lt(d, abs(d, x), float(d, 2 ** lowestExponent)), small, normal);
  }
  const outside = lt(d, float(d, largest), abs(d, rounded));
  const limited = select(d, outside, beyondLargest(d, rounded, format, saturate), rounded);
  return select(d, isNan(d, x), x, limited);
}

/** Powers of two from 2^-127 (what zero and less become) to 2^127: the exponent field alone, rounded up, down or to the nearest. */
function roundToScale(d: CoreDraft, x: TensorId, saturate: boolean, mode: string): TensorId {
  const extra = mode === "up" ? 0x7fffff : mode === "nearest" ? 0x400000 : 0;
  const exponent = and(d, add(d, bitcast(d, max(d, x, float(d, 0))), int(d, extra)), int(d, 0x7f800000));
  const power = bitcast(d, clamp(d, exponent, 0x00400000, 0x7f000000));
  if (saturate) return select(d, isNan(d, x), x, power);
  const inside = and(d, le(d, float(d, 2 ** -127), x), le(d, x, float(d, 2 ** 127)));
  return select(d, inside, power, float(d, Number.NaN));
}

function toFloatType(d: CoreDraft, x: TensorId, from: DType, to: DType, saturate: boolean, mode: string): TensorId {
  if (from === to) return x;
  const numbers = isFloat(d, x) ? x : toFloat(d, x);
  if (to === "float32" || to === "float64") return numbers;
  if (to === "float16") return dtypes[from].bits <= 8 ? numbers : unary(d, "roundF16", numbers);
  if (to === "float8e8m0") return roundToScale(d, numbers, saturate, mode);
  const format = narrowFloats[to];
  return format === undefined ? numbers : roundToNarrow(d, numbers, format, saturate && dtypes[to].bits <= 8);
}

/** Towards zero, limited to 32 bits, of which narrower types keep the low ones. */
function floatToInteger(d: CoreDraft, x: TensorId, to: DType): TensorId {
  const whole = toInt(d, x, "trunc");
  return dtypes[to].bits >= 32 && dtypes[to].kind === "uint" ? max(d, whole, int(d, 0)) : wrapTo(d, whole, to);
}

const nonZero = (d: CoreDraft, x: TensorId): TensorId => not(d, eq(d, x, isFloat(d, x) ? float(d, 0) : int(d, 0)));

export function castTo(d: CoreDraft, x: TensorId, from: DType, to: DType, saturate = true, mode = "up"): TensorId {
  if (to === "bool") return from === "bool" ? x : nonZero(d, x);
  if (isFloatType(to)) return toFloatType(d, x, from, to, saturate, mode);
  return isFloat(d, x) ? floatToInteger(d, x, to) : wrapTo(d, x, to);
}

function cast(d: CoreDraft, site: Site): Lowered {
  const saturate = numberOf(site.attrs, "saturate") === 1;
  const mode = stringOf(site.attrs, "round_mode");
  const [from, to] = [typeAt(site, 0).dtype, outputType(site).dtype];
  if (to === "uint64" && from !== "uint64" && !isFloatType(from) && dtypes[from].kind === "int") {
    return refuse("signed integers as uint64 need more than 32 bits");
  }
  return castTo(d, site.input(0), from, to, saturate, mode);
}

/** Types whose bits are those of the 32-bit elements they are computed in, or the low ones of a whole number. */
const bitTypes: ReadonlySet<DType> = new Set(["float32", "int32", "int16", "uint16", "int8", "uint8"]);

function bitCast(d: CoreDraft, site: Site): Lowered {
  const [from, to] = [typeAt(site, 0).dtype, outputType(site).dtype];
  const x = site.input(0);
  if (from === to || (from === "bool" && to === "uint8")) return x;
  if (!bitTypes.has(from) || !bitTypes.has(to)) return refuse(`${from} is not kept in the bits that ${to} would have`);
  return isFloatType(from) === isFloatType(to) ? wrapTo(d, x, to) : bitcast(d, x);
}

export const castLowerings: LoweringTable = { Cast: cast, CastLike: cast, BitCast: bitCast };
