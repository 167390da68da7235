// Seeded random choices, the same for the same seed on every machine. Knows nothing of what is chosen.

export interface Random {
  /** A 32-bit number. */
  readonly word: () => number;
  /** 0, 1, ... below `end`; 0 where there is nothing to choose. */
  readonly below: (end: number) => number;
  readonly chance: (share: number) => boolean;
  readonly pick: <T>(list: readonly T[]) => T;
}

/** The stream of input `index` of a run seeded with `seed`: every input can be made again without those before it. */
export function randomOf(seed: number, index: number): Random {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0;
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  };
  const below = (end: number): number => (end <= 1 ? 0 : Math.floor((word() / 2 ** 32) * end));
  const pick = <T>(list: readonly T[]): T => {
    const at = below(list.length);
    if (at >= list.length) throw new RangeError("nothing to pick from");
    return list[at] as T;
  };
  return { word, below, pick, chance: (share) => word() / 2 ** 32 < share };
}

/** Numbers at which programs go wrong. */
export const oddNumbers: readonly number[] = [
  0,
  1,
  -1,
  2,
  3,
  7,
  63,
  64,
  127,
  128,
  255,
  256,
  65535,
  65536,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 40,
  2 ** 53,
  2 ** 62,
  -(2 ** 63),
];
