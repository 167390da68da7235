// Other machines as their makers and reviewers publish them: peaks and bandwidths, each number with its source. Data only.
import type { MxmMode } from "../../ir/target/target.ts";
import published from "./published.json" with { type: "json" };

export interface PublishedNumber {
  readonly value: number;
  readonly source: string;
}

export interface Device {
  readonly name: string;
  readonly title: string;
  readonly kind: string;
  /** Multiplications and additions counted as one each; null where no figure is published. */
  readonly peakOperationsPerSecond: Readonly<Record<MxmMode, PublishedNumber | null>>;
  /** Of the memory that holds the weights. */
  readonly memoryBytesPerSecond: PublishedNumber;
  /** Cache in which weights may stay from one inference to the next. */
  readonly onChipBytes: PublishedNumber | null;
}

export const devices: readonly Device[] = published;
