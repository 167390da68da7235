// Program files with valid checksums around whatever sections, for those who try their readers.
import {
  headerBytes,
  headerChunk,
  readerOver,
  readTable,
  type SectionEntry,
  type SectionName,
  sectionNames,
  tableChunk,
} from "../backends/encode/container.ts";
import { crc32 } from "../backends/encode/hash.ts";

/** The contents of a file's sections. */
export function openedSections(bytes: Uint8Array): Map<SectionName, Uint8Array> {
  const table = readTable(readerOver(bytes));
  if (!table.ok) throw new RangeError("the file has no table of sections");
  return new Map(table.value.map(({ name, offset, length }) => [name, bytes.slice(offset, offset + length)]));
}

/** A file of sections; those that are left out are empty. */
export function sealed(contents: ReadonlyMap<SectionName, Uint8Array>): Uint8Array {
  const chunks = [headerChunk()];
  const entries: SectionEntry[] = [];
  let offset = headerBytes;
  for (const name of sectionNames) {
    const bytes = contents.get(name) ?? new Uint8Array(0);
    entries.push({ name, offset, length: bytes.length, crc: crc32(bytes) });
    chunks.push(bytes);
    offset += bytes.length;
  }
  return Buffer.concat([...chunks, tableChunk(entries, offset)]);
}

/** A file with one section replaced. */
export const sealedProgram = (file: Uint8Array, name: SectionName, contents: Uint8Array): Uint8Array =>
  sealed(new Map(openedSections(file)).set(name, contents));
