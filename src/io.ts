// The only file that touches files and process streams: byte sources read by range, whole-file reads, atomic writes, stdout and stderr.
// Knows nothing of models or programs; every failure of the file system comes back as a diagnostic.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type Diagnostic, fail, ok, type Result } from "../ir/diag/diagnostic.ts";

/** Bytes read by range. `read` gives fewer bytes than asked for only at the end. */
export interface ByteSource {
  readonly byteLength: number;
  readonly read: (offset: number, length: number) => Uint8Array;
}

export interface OpenByteSource extends ByteSource {
  readonly close: () => void;
}

const CANNOT_READ = "LPU1001";
const CANNOT_WRITE = "LPU1002";
/** One read call moves at most this much: the system call's own limit is just under 2 GiB. */
const READ_CHUNK_BYTES = 1 << 30;

/** What the commonest errors of the file system mean; the path stands before. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  ENOTDIR: "a part of its path is no folder",
  // Of the folders that are made on the way.
  EEXIST: "a part of its path is no folder",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "no space is left",
  EMFILE: "too many files are open",
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const known = "code" in error && typeof error.code === "string" ? reasons[error.code] : undefined;
  return known ?? error.message;
}

function fileProblem(code: string, verb: string, path: string, error: unknown): Diagnostic {
  const reason = reasonOf(error);
  return { code, message: `cannot ${verb} ${path}: ${reason}`, location: { kind: "file", path } };
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    byteLength: bytes.byteLength,
    read: (offset, length) => bytes.subarray(Math.max(0, offset), Math.max(0, Math.min(bytes.length, offset + length))),
  };
}

function readRange(descriptor: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(descriptor, bytes, done, Math.min(length - done, READ_CHUNK_BYTES), offset + done);
    if (count === 0) break;
    done += count;
  }
  return done === length ? bytes : bytes.subarray(0, done);
}

/** Opens a regular file for reading by range. A range outside the file is empty. */
export function openByteSource(path: string): Result<OpenByteSource> {
  try {
    // A pipe without a writer must not block the opening.
    const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const status = fstatSync(descriptor);
    if (!status.isFile()) {
      closeSync(descriptor);
      return fail({
        code: CANNOT_READ,
        message: `cannot read ${path}: it is not a regular file`,
        location: { kind: "file", path },
      });
    }
    const byteLength = status.size;
    const read = (offset: number, length: number): Uint8Array =>
      readRange(descriptor, Math.max(0, offset), Math.max(0, Math.min(length, byteLength - offset)));
    return ok({ byteLength, read, close: () => closeSync(descriptor) });
  } catch (error) {
    return fail(fileProblem(CANNOT_READ, "read", path, error));
  }
}

export function readFileBytes(path: string): Result<Uint8Array> {
  const source = openByteSource(path);
  if (!source.ok) return source;
  try {
    return ok(source.value.read(0, source.value.byteLength));
  } catch (error) {
    return fail(fileProblem(CANNOT_READ, "read", path, error));
  } finally {
    source.value.close();
  }
}

/** The path with every link resolved, or undefined when it does not exist. */
export function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Undefined where nothing is, or nothing that may be looked at: below a file, say. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

export const isDirectory = (path: string): boolean => statusOf(path)?.isDirectory() ?? false;

export const isFile = (path: string): boolean => statusOf(path)?.isFile() ?? false;

/** Names in a directory in code-unit order. */
export function listDirectory(path: string): Result<readonly string[]> {
  try {
    if (isFile(path)) {
      const message = `cannot read ${path}: it is no folder`;
      return fail({ code: CANNOT_READ, message, location: { kind: "file", path } });
    }
    return ok(readdirSync(path).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
  } catch (error) {
    return fail(fileProblem(CANNOT_READ, "read", path, error));
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done);
}

/** Makes a folder and those above it. Node's own recursion never ends where the system refuses folders as `/proc` does. */
function makeFolder(path: string): void {
  if (isDirectory(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isDirectory(path)) throw error;
  }
}

/** Writes a file under a temporary name beside it and renames it: readers see the old bytes or all of the new ones. */
export function writeFileAtomic(path: string, chunks: Iterable<Uint8Array>): Result<{ readonly byteLength: number }> {
  const temporary = join(dirname(path), `.${path.split(/[\\/]/).at(-1) ?? "file"}.${process.pid}.tmp`);
  try {
    makeFolder(dirname(path));
    const descriptor = openSync(temporary, "w");
    let byteLength = 0;
    try {
      for (const chunk of chunks) {
        writeAll(descriptor, chunk);
        byteLength += chunk.length;
      }
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
    return ok({ byteLength });
  } catch (error) {
    discard(temporary);
    return fail(fileProblem(CANNOT_WRITE, "write", path, error));
  }
}

/** What cannot be removed was not made: its folder is no folder, or may not be written. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    return;
  }
}

export function writeStdout(text: string | Uint8Array): void {
  writeStream(1, text);
}

export function writeStderr(text: string | Uint8Array): void {
  writeStream(2, text);
}

/** Whole and in order even into a pipe; a reader that went away ends the output quietly. */
function writeStream(descriptor: 1 | 2, text: string | Uint8Array): void {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(descriptor, bytes, done, bytes.length - done);
    } catch (error) {
      if (isErrorCode(error, "EAGAIN")) continue;
      if (isErrorCode(error, "EPIPE")) return;
      throw error;
    }
  }
}

function isErrorCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

export function stderrIsTerminal(): boolean {
  return process.stderr.isTTY === true;
}
