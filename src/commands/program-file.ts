// Program files for commands: opened and decoded, or encoded and written while their SHA-256 is taken.
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { decodeProgram } from "../../backends/encode/decode.ts";
import { encodeProgram } from "../../backends/encode/encode.ts";
import { ok, type Result } from "../../ir/diag/diagnostic.ts";
import type { Program } from "../../ir/machine/program.ts";
import { openByteSource, writeFileAtomic } from "../io.ts";

/** Opens and decodes a program. The file stays open: images are read from it when needed. */
export function openProgram(path: string): Result<Program> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  const program = decodeProgram(source.value);
  if (program.ok) return program;
  source.value.close();
  const location = { kind: "file", path } as const;
  return { ok: false, diagnostics: program.diagnostics.map((item) => ({ location, ...item })) };
}

/** Bytes of a file that are held at once while it is hashed. */
const HASHED_BYTES = 1 << 24;

export function fileSha256(path: string): Result<string> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  const { byteLength, read, close } = source.value;
  const hash = createHash("sha256");
  for (let at = 0; at < byteLength; at += HASHED_BYTES) hash.update(read(at, HASHED_BYTES));
  close();
  return ok(hash.digest("hex"));
}

export interface WrittenProgram {
  readonly file: string;
  readonly programBytes: number;
  readonly programSha256: string;
}

export function writeProgram(path: string, program: Program): Result<WrittenProgram> {
  const hash = createHash("sha256");
  function* hashed(): Generator<Uint8Array> {
    for (const chunk of encodeProgram(program)) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const written = writeFileAtomic(path, hashed());
  if (!written.ok) return written;
  const { byteLength } = written.value;
  return { ok: true, value: { file: path, programBytes: byteLength, programSha256: hash.digest("hex") } };
}

/** `dir/model.onnx` -> `model.lpu`, in the current directory. */
export const programName = (path: string): string => `${basename(path).replace(/\.[^.]*$/, "") || "program"}.lpu`;
