// The fusions that may be turned off one by one, and what each does. The passes ask for them by these names.

export const fusions = {
  elementwise: "elementwise operations on one shape run in one pass of the vector unit",
  products: "sums of a matrix product go into the elementwise operations behind it without being stored",
  reductions: "sums along lanes go into the elementwise operations behind them without being stored",
  running: "reductions over successive vectors are accumulated by the pass that computes the vectors",
  bytes: "products of dequantised operands multiply the bytes",
} as const;

export type Fusion = keyof typeof fusions;
export type FusionSet = ReadonlySet<Fusion>;

export const fusionNames = Object.keys(fusions).filter((name): name is Fusion => name in fusions);
