// The passes of a compilation in their order, and the settings that a pipeline text may give them.
export const passNames = [
  "import",
  "legalise",
  "shard",
  "blocks",
  "lower",
  "schedule",
  "partition",
  "assemble",
  "encode",
] as const;
export type PassName = (typeof passNames)[number];

/** A setting is a whole number in a range or one of some words; a pass without settings has an empty row. */
export type PassSetting = { readonly least: number; readonly most: number } | { readonly words: readonly string[] };

export const passSettings = {
  import: {},
  legalise: {},
  shard: {},
  /** `layers=off`: repeated layers are not looked for; the model is one block. */
  blocks: { layers: { words: ["on", "off"] } },
  lower: {},
  /** `effort`: how long to search for a shorter schedule; 0 takes the first. */
  schedule: { effort: { least: 0, most: 100 } },
  partition: {},
  assemble: {},
  encode: {},
} as const satisfies Readonly<Record<PassName, Readonly<Record<string, PassSetting>>>>;
