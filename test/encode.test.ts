// The binary form of programs: round trips to the byte, stable under renaming, and no file, however damaged, does worse than a diagnostic.
import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  byteSink,
  cursorOver,
  putNumber,
  putSigned,
  putText,
  putVarint,
  takeNumber,
  takeSigned,
  takeText,
  takeVarint,
} from "../backends/encode/bytes.ts";
import { readerOver, readTable, type SectionName } from "../backends/encode/container.ts";
import { decodeProgram } from "../backends/encode/decode.ts";
import { encodedBytes, encodeProgram } from "../backends/encode/encode.ts";
import { crc32, sha256 } from "../backends/encode/hash.ts";
import { aluOpcodes, mnemonicOf, mnemonics, opcodes } from "../backends/encode/opcodes.ts";
import { textBytesOf } from "../backends/encode/queues.ts";
import { utf8Bytes, utf8Text } from "../backends/encode/utf8.ts";
import { aluOps, isa } from "../ir/machine/isa.ts";
import type { Program } from "../ir/machine/program.ts";
import { programs, target, withImageBytes } from "./encode-programs.ts";

function decoded(bytes: Uint8Array): Program {
  const result = decodeProgram(readerOver(bytes));
  if (!result.ok) throw new Error(result.diagnostics.map((d) => d.message).join("; "));
  return result.value;
}

/** Codes of what is wrong with a file; empty if nothing is. */
const codesOf = (bytes: Uint8Array): readonly string[] => {
  const result = decodeProgram(readerOver(bytes));
  return result.ok ? [] : result.diagnostics.map((d) => d.code);
};

function sections(bytes: Uint8Array): ReadonlyMap<SectionName, Uint8Array> {
  const table = readTable(readerOver(bytes));
  if (!table.ok) throw new Error("no table");
  return new Map(table.value.map(({ name, offset, length }) => [name, bytes.subarray(offset, offset + length)]));
}

const someProgram = (seed: number): Program => fc.sample(programs, { seed, numRuns: 4 })[3] as Program;

describe("hashes", () => {
  test("CRC-32 and SHA-256 agree with the platform's, however the input is cut", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 300 }), (bytes, cut) => {
        const parts = [bytes.subarray(0, cut), bytes.subarray(cut)];
        expect(sha256(parts)).toBe(createHash("sha256").update(bytes).digest("hex"));
        expect(parts.reduce((crc, part) => crc32(part, crc), 0)).toBe(zlibCrc32(bytes));
      }),
      { numRuns: 200 },
    );
  });
});

describe("primitive values", () => {
  test("numbers and text come back", () => {
    const bigSigned = fc.integer({ min: -(2 ** 51), max: 2 ** 51 });
    fc.assert(
      fc.property(fc.maxSafeNat(), bigSigned, fc.double(), fc.string({ unit: "binary" }), (n, s, d, text) => {
        const sink = byteSink();
        putVarint(sink, n);
        putSigned(sink, s);
        putNumber(sink, d);
        putText(sink, text);
        const cursor = cursorOver(sink.bytes.subarray(0, sink.length));
        expect([takeVarint(cursor), takeSigned(cursor), takeNumber(cursor), takeText(cursor)]).toEqual([n, s, d, text]);
        expect(cursor.problem).toBeUndefined();
        expect(cursor.at).toBe(sink.length);
      }),
    );
  });

  test("UTF-8 agrees with the platform's on what is text and what is not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
        let expected: string | undefined;
        try {
          expected = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
        } catch {
          expected = undefined;
        }
        const got = utf8Text(bytes);
        // Lone surrogates are ours: names in JavaScript may hold them.
        if (got !== undefined && /[\ud800-\udfff]/u.test(got)) return;
        expect(got).toBe(expected);
      }),
      { numRuns: 2000 },
    );
    for (const text of ["\ud83d\ude00\udc00", "\ud83d", "\ude00\ud83d", "é€😀"]) {
      expect(utf8Text(utf8Bytes(text))).toBe(text);
    }
  });

  test.each([
    ["an overlong number", [0x80, 0x00]],
    ["a number beyond 2^53", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]],
    ["a number without an end", [0xff]],
  ])("%s is refused", (_, bytes) => {
    const cursor = cursorOver(Uint8Array.from(bytes));
    takeVarint(cursor);
    expect(cursor.problem).toBeDefined();
  });
});

describe("opcodes", () => {
  test("each instruction and ALU operation has its own number, and no number moved", () => {
    expect(Object.keys(opcodes).sort()).toEqual(Object.keys(isa).sort());
    expect(Object.keys(aluOpcodes).sort()).toEqual(Object.keys(aluOps).sort());
    expect(new Set(Object.values(opcodes)).size).toBe(mnemonics.length);
    expect(new Set(Object.values(aluOpcodes)).size).toBe(Object.keys(aluOps).length);
    for (const name of mnemonics) expect(mnemonicOf(opcodes[name])).toBe(name);
    expect(opcodes).toMatchObject({ read: 1, write: 2, lw: 5, alu: 9, receive: 12, deskew: 13 });
    expect(aluOpcodes).toMatchObject({ mov: 0, add: 1, select: 26, roundF16: 33 });
  });
});

describe("programs", () => {
  test("come back whole, and encode to the same bytes again", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const bytes = encodedBytes(program);
        const back = decoded(bytes);
        expect(withImageBytes(back)).toEqual(withImageBytes(program));
        expect(encodedBytes(back)).toEqual(bytes);
      }),
      { numRuns: 80 },
    );
  });

  test("differ in the debug sections only after renaming", () => {
    fc.assert(
      fc.property(programs, fc.string({ maxLength: 20 }), (program, extra) => {
        const renamed = <T extends { readonly name: string }>(items: readonly T[]): T[] =>
          items.map((item) => ({ ...item, name: `${extra}${item.name}!` }));
        const other: Program = {
          ...program,
          modelName: `${program.modelName}?`,
          symbols: renamed(program.symbols),
          bindings: renamed(program.bindings),
          graph: {
            tensors: renamed(program.graph.tensors),
            nodes: program.graph.nodes.map((node) => ({ ...node, origins: [1] })),
          },
          debug: { origins: renamed(program.debug.origins), notes: program.debug.notes },
          chips: program.chips.map((chip) => ({
            ...chip,
            queues: chip.queues.map((queue) => ({
              ...queue,
              instructions: queue.instructions.map((instruction) => ({ ...instruction, note: 1 })),
            })),
          })),
        };
        const [before, after] = [sections(encodedBytes(program)), sections(encodedBytes(other))];
        const changed = [...before.keys()].filter(
          (name) => Buffer.compare(before.get(name) ?? Buffer.of(), after.get(name) ?? Buffer.of()) !== 0,
        );
        expect(changed.filter((name) => name !== "names" && name !== "instruction notes")).toEqual([]);
        expect(changed).toContain("names");
      }),
      { numRuns: 60 },
    );
  });

  test("images are fetched one at a time while writing, and only when asked for after reading", () => {
    const bytes = new Uint8Array(target.lanes * 64).fill(7);
    let held = 0;
    const images = Array.from({ length: 50 }, (_, slice) => ({
      hemisphere: "W" as const,
      slice,
      address: 0,
      byteLength: bytes.length,
      read: () => {
        held++;
        return bytes;
      },
    }));
    const program: Program = {
      ...someProgram(1),
      chips: [{ queues: [], laneMaps: [], textBytes: 0, images }],
      links: [],
    };
    const chunks: Uint8Array[] = [];
    for (const chunk of encodeProgram(program)) {
      if (chunk === bytes) expect(held).toBe(chunks.filter((earlier) => earlier === bytes).length + 1);
      chunks.push(chunk);
    }
    expect(held).toBe(50);
    const whole = Uint8Array.from(Buffer.concat(chunks));
    const asked: number[] = [];
    const reader = readerOver(whole);
    const result = decodeProgram({
      byteLength: reader.byteLength,
      read: (offset, length) => {
        asked.push(length);
        return reader.read(offset, length);
      },
    });
    expect(result.ok).toBe(true);
    const before = asked.length;
    if (result.ok) expect(result.value.chips[0]?.images[3]?.read()).toEqual(bytes);
    expect(asked.slice(before)).toEqual([bytes.length]);
  });

  test("text counts its own bytes, each queue in whole fetches", () => {
    const read = { op: "read", address: 5, stride: 1, stream: 2, direction: "E", note: 0, symbol: 0 } as const;
    const unit = { kind: "memRead", hemisphere: "W", slice: 3 } as const;
    const one = { unit, instructions: [{ ...read, cycle: 4, count: 1, period: 1 }] };
    const burst = { unit, instructions: [{ ...read, cycle: 4, count: 128, period: 1 }] };
    // Unit 2, count 1; opcode, gap, direction byte, address, stride, stream: 6; a repeat adds 2 + 1.
    expect(textBytesOf([one], 1)).toBe(3 + 6);
    expect(textBytesOf([burst], 1)).toBe(3 + 9);
    expect(textBytesOf([one, burst], 64)).toBe(128);
    expect(textBytesOf([], 64)).toBe(0);
  });
});

describe("damaged files", () => {
  const program = someProgram(7);
  const good = encodedBytes(program);

  test("the undamaged file is sound", () => {
    expect(good.length).toBeGreaterThan(1000);
    expect(codesOf(good)).toEqual([]);
  });

  test("every truncation is noticed", () => {
    for (let length = 0; length < good.length; length += length < 64 ? 1 : 37) {
      expect(codesOf(good.subarray(0, length))[0]).toMatch(/^LPU500[123]$/);
    }
  });

  test("every changed byte is noticed", () => {
    const copy = good.slice();
    const missed: number[] = [];
    for (let at = 0; at < good.length; at += at < 40 || at > good.length - 320 ? 1 : 13) {
      copy[at] = (good[at] ?? 0) ^ (1 << (at % 8));
      if (codesOf(copy).length === 0) missed.push(at);
      copy[at] = good[at] ?? 0;
    }
    expect(missed).toEqual([]);
  });

  test("bytes added or removed anywhere are noticed", () => {
    for (const at of [0, 8, 12, 500, good.length - 16, good.length]) {
      const longer = Buffer.concat([good.subarray(0, at), Buffer.of(0), good.subarray(at)]);
      expect(codesOf(longer).length).toBeGreaterThan(0);
    }
  });

  test("says what the file is instead", () => {
    expect(codesOf(new Uint8Array(0))).toEqual(["LPU5001"]);
    expect(codesOf(utf8Bytes("#!/bin/sh\necho no program here"))).toEqual(["LPU5001"]);
    const newer = good.slice();
    newer[8] = 99;
    expect(codesOf(newer)).toEqual(["LPU5002"]);
  });
});
