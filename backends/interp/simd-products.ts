// Products of an activation vector with a tile by WebAssembly's 128-bit vectors: thirty-two columns side by side. Float32 multiplication and
// addition are IEEE 754's there as everywhere, and each single sum runs in the order of ir/numeric/tile-product.ts, so the bits are the same;
// NaN, whose pattern may differ from engine to engine, is made canonical where products are added up. The module is written here, byte by byte.
import { InvariantError } from "../../ir/diag/diagnostic.ts";

interface WasmModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly products: (
    weights: number,
    stride: number,
    k: number,
    blocks: number,
    activations: number,
    out: number,
  ) => void;
}

/** What this file needs of the engine's WebAssembly; no library of types that is in use here has it. */
declare const WebAssembly:
  | undefined
  | {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: unknown };
      readonly validate: (bytes: Uint8Array) => boolean;
    };

/** Vectors of four columns that one turn of the inner loop takes. */
const VECTORS = 8;
const BLOCK_COLUMNS = 4 * VECTORS;
const PAGE_BYTES = 65536;

const [I32, V128] = [0x7f, 0x7b];
const code = {
  loop: [0x03, 0x40],
  end: [0x0b],
  branchIf: (depth: number) => [0x0d, depth],
  get: (local: number) => [0x20, local],
  set: (local: number) => [0x21, local],
  tee: (local: number) => [0x22, local],
  i32: (value: number) => [0x41, ...signed(value)],
  add: [0x6a],
  vectorLoad: (offset: number) => [0xfd, 0x00, 4, ...unsigned(offset)],
  vectorLoadSplat: [0xfd, 0x09, 2, 0],
  vectorStore: (offset: number) => [0xfd, 0x0b, 4, ...unsigned(offset)],
  zero: [0xfd, 0x0c, ...new Array<number>(16).fill(0)],
  f32x4Add: [0xfd, 0xe4, 0x01],
  f32x4Mul: [0xfd, 0xe6, 0x01],
} as const;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}

const text = (name: string): number[] => [name.length, ...[...name].map((letter) => letter.charCodeAt(0))];
const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];

/** Parameters 0..5 as in `WasmModule`; weights are [k][stride / 4] of float32, so a row of the tile is a column here. */
function productsBody(): number[] {
  const [weights, stride, k, blocks, activations, out] = [0, 1, 2, 3, 4, 5];
  const [row, x, left, value] = [6, 7, 8, 9];
  const sums = Array.from({ length: VECTORS }, (_, i) => 10 + i);
  const step = (local: number, by: number): number[] => [
    ...code.get(local),
    ...code.i32(by),
    ...code.add,
    ...code.set(local),
  ];
  const body = [
    ...code.loop,
    ...sums.flatMap((sum) => [...code.zero, ...code.set(sum)]),
    ...[
      ...code.get(weights),
      ...code.set(row),
      ...code.get(activations),
      ...code.set(x),
      ...code.get(k),
      ...code.set(left),
    ],
    ...code.loop,
    ...[...code.get(x), ...code.vectorLoadSplat, ...code.set(value)],
    ...sums.flatMap((sum, i) => [
      ...[...code.get(sum), ...code.get(value), ...code.get(row), ...code.vectorLoad(16 * i)],
      ...[...code.f32x4Mul, ...code.f32x4Add, ...code.set(sum)],
    ]),
    ...step(x, 4),
    ...[...code.get(row), ...code.get(stride), ...code.add, ...code.set(row)],
    ...[...code.get(left), ...code.i32(-1), ...code.add, ...code.tee(left), ...code.branchIf(0)],
    ...code.end,
    ...sums.flatMap((sum, i) => [...code.get(out), ...code.get(sum), ...code.vectorStore(16 * i)]),
    ...step(out, 16 * VECTORS),
    ...step(weights, 16 * VECTORS),
    ...[...code.get(blocks), ...code.i32(-1), ...code.add, ...code.tee(blocks), ...code.branchIf(0)],
    ...code.end,
    ...code.end,
  ];
  return [2, 3, I32, 1 + VECTORS, V128, ...body];
}

function moduleBytes(pages: number): Uint8Array {
  const body = productsBody();
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 6, ...new Array<number>(6).fill(I32), 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0x00, ...unsigned(pages)]),
    ...section(7, [2, ...text("memory"), 2, 0, ...text("products"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

/** One tile in the module's memory, an activation vector and the products. */
export interface SimdTile {
  /** weights[k * stride + n]. */
  readonly weights: Float32Array;
  /** Columns from one k to the next: a whole number of blocks. */
  readonly stride: number;
  readonly activations: Float32Array;
  readonly products: Float32Array;
  /** Products of the first `k` activations with the first `columns` columns, and perhaps some more. */
  readonly multiply: (k: number, columns: number) => void;
}

/** Tiles as they are wanted. */
export interface SimdTiles {
  readonly tileK: number;
  readonly take: () => SimdTile;
}

/** Tiles that share one memory; each memory costs address space. */
const TILES_AT_ONCE = 64;

/** Tiles of at most `tileK` times `tileN`; undefined where the engine has no 128-bit vectors. */
export function makeSimdTiles(tileK: number, tileN: number, tiles: number): SimdTiles | undefined {
  const wasm = typeof WebAssembly === "undefined" ? undefined : WebAssembly;
  if (wasm?.validate(moduleBytes(1)) !== true) return undefined;
  const stride = Math.ceil(tileN / BLOCK_COLUMNS) * BLOCK_COLUMNS;
  const tileBytes = 4 * tileK * stride;
  const activationsAt = Math.min(tiles, TILES_AT_ONCE) * tileBytes;
  const productsAt = activationsAt + 16 * Math.ceil(tileK / 4);
  const pages = Math.ceil((productsAt + 4 * stride) / PAGE_BYTES);
  const module = new wasm.Module(moduleBytes(pages));
  let current: WasmModule | undefined;
  let next = 0;
  const take = (): SimdTile => {
    if (current === undefined || next === activationsAt) {
      current = wasmExports(new wasm.Instance(module).exports);
      next = 0;
    }
    const { memory, products } = current;
    const at = next;
    next += tileBytes;
    return {
      weights: new Float32Array(memory.buffer, at, tileK * stride),
      stride,
      activations: new Float32Array(memory.buffer, activationsAt, tileK),
      products: new Float32Array(memory.buffer, productsAt, stride),
      multiply: (k, columns) =>
        products(at, 4 * stride, k, Math.ceil(columns / BLOCK_COLUMNS), activationsAt, productsAt),
    };
  };
  return { tileK, take };
}

function wasmExports(exports: unknown): WasmModule {
  const found = exports as Partial<WasmModule>;
  if (found.memory === undefined || found.products === undefined) throw new InvariantError("a module without exports");
  return { memory: found.memory, products: found.products };
}
