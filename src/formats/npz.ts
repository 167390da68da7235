// Arrays in NumPy's .npz files: a zip archive of .npy files, stored or deflated. Layout of the archive: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.16.
import { constants, inflateRawSync } from "node:zlib";
import { type NpyReading, readNpy } from "./npy.ts";

/** Largest array that is taken out of an archive: what a file claims must not decide how much memory is asked for. */
const MAX_BYTES = 2 ** 31;
const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly localHeader: number;
}

const refused = (message: string): NpyReading => ({ ok: false, message });

/** The archive's directory; a text where it has none that can be read. */
function entriesOf(view: DataView, file: Uint8Array): readonly Entry[] | string {
  // The end record is followed by a comment of at most 65535 bytes.
  let end = file.length - END_BYTES;
  const first = Math.max(0, end - 0xffff);
  while (end >= first && view.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < first || end < 0) return "it does not end as a zip archive does";
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_BYTES > end || view.getUint32(at, true) !== ENTRY_SIGNATURE) return "its directory is cut off";
    const nameBytes = view.getUint16(at + 28, true);
    const next = at + ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (next > end) return "its directory is cut off";
    entries.push({
      name: new TextDecoder().decode(file.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes)),
      method: view.getUint16(at + 10, true),
      packedBytes: view.getUint32(at + 20, true),
      bytes: view.getUint32(at + 24, true),
      localHeader: view.getUint32(at + 42, true),
    });
    at = next;
  }
  return entries;
}

function contentsOf(view: DataView, file: Uint8Array, entry: Entry): Uint8Array | string {
  const { localHeader, packedBytes, bytes, method } = entry;
  if (bytes > MAX_BYTES) return `it has ${bytes} bytes; at most ${MAX_BYTES} are read`;
  if (localHeader + LOCAL_BYTES > file.length || view.getUint32(localHeader, true) !== LOCAL_SIGNATURE)
    return "the archive has no contents where its directory says";
  const start =
    localHeader + LOCAL_BYTES + view.getUint16(localHeader + 26, true) + view.getUint16(localHeader + 28, true);
  if (start + packedBytes > file.length) return "its contents are cut off";
  const packed = file.subarray(start, start + packedBytes);
  if (method === 0) return new Uint8Array(packed);
  if (method !== 8) return `it is packed by method ${method}; stored and deflated members are read`;
  try {
    const unpacked = inflateRawSync(packed, {
      maxOutputLength: Math.max(1, bytes),
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    return new Uint8Array(unpacked);
  } catch {
    return "its contents cannot be unpacked";
  }
}

/** The array called `name` in an .npz file, or its only one. */
export function readNpz(file: Uint8Array, name: string): NpyReading {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const entries = entriesOf(view, file);
  if (typeof entries === "string") return refused(entries);
  const arrays = entries.filter((entry) => entry.name.endsWith(".npy"));
  const names = arrays.map((entry) => entry.name.slice(0, -".npy".length));
  const [only] = arrays;
  const entry = arrays[names.indexOf(name)] ?? (arrays.length === 1 ? only : undefined);
  if (entry === undefined) {
    const held = names.length === 0 ? "none" : `${names.slice(0, 20).join(", ")}${names.length > 20 ? ", ..." : ""}`;
    return refused(`it has no array '${name}'; its arrays: ${held}`);
  }
  const contents = contentsOf(view, file, entry);
  if (typeof contents === "string") return refused(`${entry.name}: ${contents}`);
  if (contents.length !== entry.bytes) return refused(`${entry.name}: its contents are cut off`);
  const array = readNpy(contents);
  return array.ok ? array : refused(`${entry.name}: ${array.message}`);
}
