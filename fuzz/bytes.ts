// Damage to bytes and texts: flips, cuts, repeats, odd numbers in place of numbers. Knows no format.
import { oddNumbers, type Random } from "./random.ts";

/** One change of a byte string. */
function changeBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length);
  const length = 1 + random.below(random.chance(0.8) ? 4 : 64);
  const [head, part, tail] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
  const noise = Uint8Array.from({ length }, () => random.below(256));
  switch (random.below(7)) {
    case 0:
      return head.slice();
    case 1:
      return Uint8Array.from(Buffer.concat([head, tail]));
    case 2:
      return Uint8Array.from(Buffer.concat([head, noise, part, tail]));
    case 3:
      return Uint8Array.from(Buffer.concat([head, part, part, tail]));
    case 4:
      return Uint8Array.from(Buffer.concat([head, noise, tail]));
    case 5: {
      const changed = bytes.slice();
      changed[at] = random.pick([0, 1, 127, 128, 255]);
      return changed;
    }
    default: {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
      return changed;
    }
  }
}

/** One to four changes. */
export function damagedBytes(random: Random, bytes: Uint8Array): Uint8Array {
  let changed = bytes;
  for (let left = 1 + random.below(4); left > 0; left -= 1) changed = changeBytes(random, changed);
  return changed;
}

const fragments: readonly string[] = [
  "",
  "null",
  "[]",
  "{}",
  '"',
  ",",
  "-",
  "1e999",
  "NaN",
  "\u0000",
  "__proto__",
  "]",
];

/** A text with some of its numbers and words replaced, lines repeated, left out or swapped, or damaged as bytes. */
export function damagedText(random: Random, text: string): string {
  let changed = text;
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const kind = random.below(5);
    if (kind === 0) {
      changed = new TextDecoder().decode(damagedBytes(random, new TextEncoder().encode(changed)));
      continue;
    }
    const pieces = kind === 4 ? changed.split("\n") : changed.split(kind === 1 ? /(-?\d+(?:\.\d+)?)/ : /([A-Za-z_]+)/);
    const at = random.below(pieces.length);
    if (kind === 1) pieces[at | 1] = `${random.pick(oddNumbers)}`;
    else if (kind === 2) pieces[at | 1] = random.pick(fragments);
    else if (kind === 3) pieces[at] = pieces[random.below(pieces.length)] ?? "";
    else pieces.splice(at, 1, ...(random.chance(0.5) ? [] : [pieces[at] ?? "", pieces[at] ?? ""]));
    changed = pieces.join(kind === 4 ? "\n" : "");
  }
  return changed;
}
