// What people and their tools look at: comparisons of builds, traces, the schedule as a page, completion and the manual page; and arrays from archives.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import protobuf from "protobufjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandRows } from "../src/commands/table.ts";
import { writeNpy } from "../src/formats/npy.ts";
import { readNpz } from "../src/formats/npz.ts";
import { lpuc, root, scratchFolder } from "./cli-runner.ts";
import { schemaProblems } from "./json-schema.ts";

const scratch = scratchFolder();
afterAll(scratch.remove);
const [one, two] = [scratch.path("one.lpu"), scratch.path("two.lpu")];
const model = "models/bert-mini.onnx";

beforeAll(async () => {
  await lpuc("compile", model, "-o", one, "--chips", "1");
  await lpuc("compile", model, "-o", two, "--chips", "2");
});

const documentOf = async (...words: readonly string[]) =>
  JSON.parse((await lpuc(...words, "--json")).stdout) as Readonly<Record<string, unknown>>;

describe("diff", () => {
  test("a program and itself are identical", async () => {
    const ran = await lpuc("diff", one, one);
    expect(ran).toEqual({ status: 0, stdout: "the programs are identical\n", stderr: "" });
    const empty = { figures: [], queues: [], images: [], kernels: [] };
    const symbols = { added: 0, removed: 0, moved: 0, relived: 0 };
    expect(await documentOf("diff", one, one)).toMatchObject({ identical: true, ...empty, symbols });
  });

  test("two builds: figures, queues with the first instruction that differs, kernels", async () => {
    const diff = await documentOf("diff", one, two);
    const schema = JSON.parse(readFileSync(join(root, "src", "schemas", "diff.json"), "utf8")) as object;
    expect(schemaProblems(schema as Readonly<Record<string, unknown>>, diff)).toEqual([]);
    const [a, b] = [await documentOf("inspect", one), await documentOf("inspect", two)];
    const figure = (of: unknown, name: string): unknown => (of as { program: Record<string, unknown> }).program[name];
    expect(diff.figures).toContainEqual({
      name: "latency cycles",
      before: figure(a, "latencyCycles"),
      after: figure(b, "latencyCycles"),
    });
    const queues = diff.queues as {
      chip: number;
      before: number;
      after: number;
      instruction: { before: string | null };
    }[];
    const onlyAfter = queues.filter(({ chip }) => chip === 1);
    expect(onlyAfter.length).toBeGreaterThan(0);
    for (const { before, instruction } of onlyAfter) expect([before, instruction.before]).toEqual([0, null]);
    expect(diff.images).toEqual([0, 1]);
    expect((diff.kernels as unknown[]).length).toBeGreaterThan(0);
    const people = (await lpuc("diff", one, two, "--list", "2")).stdout;
    expect(people).toMatch(/latency cycles +[\d,]+ +[\d,]+ +[+-][\d.]+ %/);
    expect(people).toContain("more queues");
  });

  test("one instruction moved by a cycle is found in its queue", async () => {
    const text = (await lpuc("disasm", one)).stdout.split("\n");
    const at = text.findIndex((line) => /^ *[1-9]\d*: VXM\.A\d+ alu /.test(line));
    const [, cycle = ""] = /^ *(\d+):/.exec(text[at] ?? "") ?? [];
    text[at] = (text[at] ?? "").replace(`${cycle}:`, `${Number(cycle) - 1}:`);
    writeFileSync(scratch.path("moved.lpasm"), text.join("\n"));
    await lpuc("asm", scratch.path("moved.lpasm"), "-o", scratch.path("moved.lpu"));
    const { queues } = (await documentOf("diff", one, scratch.path("moved.lpu"))) as {
      queues: { at: number; instruction: { before: string; after: string } }[];
    };
    expect(
      queues.map(({ instruction }) =>
        [instruction.before, instruction.after].map((line) => Number(line.split(":")[0])),
      ),
    ).toEqual([[Number(cycle), Number(cycle) - 1]]);
  });
});

/** Field numbers and values of a message, with lengths followed into nothing. */
function fieldsOf(reader: protobuf.Reader, end: number): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  while (reader.pos < end) {
    const tag = reader.uint32();
    const value = (tag & 7) === 2 ? reader.bytes() : Number(reader.uint64());
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  return fields;
}

const messageOf = (bytes: number | Uint8Array | undefined): Map<number, (number | Uint8Array)[]> => {
  const message = bytes as Uint8Array;
  return fieldsOf(protobuf.Reader.create(message), message.length);
};

describe("schedule for viewers", () => {
  test("chrome: a slice for every burst, inside the latency, on a named thread", async () => {
    const { bursts } = (await documentOf("schedule", one)) as { bursts: unknown[] };
    const trace = JSON.parse((await lpuc("schedule", one, "--format", "chrome")).stdout) as {
      traceEvents: { ph: string; name: string; tid: number; ts: number; dur: number; args: { cycle: number } }[];
      otherData: { latencyCycles: number; clockHz: number };
    };
    const slices = trace.traceEvents.filter(({ ph }) => ph === "X");
    const threads = new Set(trace.traceEvents.flatMap(({ name, tid }) => (name === "thread_name" ? [tid] : [])));
    expect(slices).toHaveLength(bursts.length);
    const { latencyCycles, clockHz } = trace.otherData;
    for (const { tid, ts, dur, args } of slices) {
      expect(threads.has(tid)).toBe(true);
      expect(Math.round((ts * clockHz) / 1e6)).toBe(args.cycle);
      expect(ts + dur).toBeLessThanOrEqual((latencyCycles * 1e6) / clockHz);
    }
  });

  test("perfetto: every slice begins and ends on a described track; it is no text", async () => {
    const refused = await lpuc("schedule", one, "--format", "perfetto");
    expect([refused.status, refused.stderr.includes("-o FILE")]).toEqual([2, true]);
    const file = scratch.path("trace.pftrace");
    expect((await lpuc("schedule", one, "--format", "perfetto", "-o", file)).status).toBe(0);
    const bytes = readFileSync(file);
    const packets = (fieldsOf(protobuf.Reader.create(bytes), bytes.length).get(1) ?? []).map(messageOf);
    const described = new Set(
      packets.flatMap((packet) => (packet.has(60) ? [messageOf(packet.get(60)?.[0]).get(1)?.[0]] : [])),
    );
    const open = new Map<unknown, number>();
    let slices = 0;
    for (const packet of packets) {
      if (!packet.has(11)) continue;
      const event = messageOf(packet.get(11)?.[0]);
      const [track, type, time] = [event.get(11)?.[0], event.get(9)?.[0], packet.get(8)?.[0] as number];
      expect(described.has(track as number)).toBe(true);
      // Begin, then end, then begin, never backwards: slices of a queue do not overlap.
      expect(open.has(track)).toBe(type === 2);
      if (type === 2) {
        expect(time).toBeGreaterThanOrEqual(open.get(track) ?? 0);
        open.delete(track);
      } else open.set(track, time);
      slices += type === 1 ? 1 : 0;
    }
    const { bursts } = (await documentOf("schedule", one)) as { bursts: unknown[] };
    expect([slices, open.size]).toEqual([bursts.length, 0]);
  });

  test("html: one page with its data and a script that parses; a name cannot end the data", async () => {
    const named = scratch.path("named.onnx");
    writeFileSync(named, readFileSync(join(root, model)));
    const page = (await lpuc("schedule", one, "--format", "html")).stdout;
    const [, data = ""] = /<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page) ?? [];
    const { units, bursts } = JSON.parse(data) as { units: string[]; bursts: number[][] };
    const schedule = (await documentOf("schedule", one)) as { bursts: { chip: number; unit: string; cycle: number }[] };
    expect(bursts.map(([row, cycle]) => [units[row ?? -1], cycle])).toEqual(
      schedule.bursts.map(({ chip, unit, cycle }) => [`${chip} ${unit}`, cycle]),
    );
    const [, script = ""] = /<script>([\s\S]*?)<\/script>/.exec(page) ?? [];
    expect(() => new Function(script)).not.toThrow();
    expect(page).not.toMatch(/(src|href)=/);
  });
});

describe("arrays from an archive", () => {
  const array = (value: number) =>
    writeNpy({ dtype: "float32", shape: [2], bytes: new Uint8Array(new Float32Array([value, -value]).buffer) }) ??
    new Uint8Array();

  /** A zip archive of members, deflated or stored. */
  function archive(members: Readonly<Record<string, Uint8Array>>, deflated: boolean): Uint8Array {
    const [parts, directory]: [Buffer[], Buffer[]] = [[], []];
    let at = 0;
    for (const [name, contents] of Object.entries(members)) {
      const packed = deflated ? deflateRawSync(contents) : Buffer.from(contents);
      const common = Buffer.alloc(26);
      common.writeUInt16LE(20, 0);
      common.writeUInt16LE(deflated ? 8 : 0, 4);
      common.writeUInt32LE(packed.length, 14);
      common.writeUInt32LE(contents.length, 18);
      common.writeUInt16LE(name.length, 22);
      const signature = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
      const local = Buffer.concat([signature(0x04034b50), common, Buffer.from(name), packed]);
      const tail = Buffer.alloc(14);
      tail.writeUInt32LE(at, 10);
      directory.push(Buffer.concat([signature(0x02014b50), Buffer.alloc(2), common, tail, Buffer.from(name)]));
      parts.push(local);
      at += local.length;
    }
    const entries = Buffer.concat(directory);
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50, 0);
    end.writeUInt16LE(directory.length, 10);
    end.writeUInt32LE(entries.length, 12);
    end.writeUInt32LE(at, 16);
    return Buffer.concat([...parts, entries, end]);
  }

  const members = { "a.npy": array(1), "b.npy": array(2) };
  test.each([false, true])("by name, or the only one; deflated: %s", (deflated) => {
    const reading = readNpz(archive(members, deflated), "b");
    expect(reading.ok && [...new Float32Array(reading.value.bytes.slice().buffer)]).toEqual([2, -2]);
    expect(readNpz(archive({ "x.npy": array(3) }, deflated), "b").ok).toBe(true);
    expect(readNpz(archive(members, deflated), "c")).toEqual({
      ok: false,
      message: "it has no array 'c'; its arrays: a, b",
    });
  });

  test("cut or changed anywhere, it is refused or read, never a crash", () => {
    const whole = archive(members, true);
    for (let length = 0; length < whole.length; length++)
      expect(readNpz(whole.subarray(0, length), "a").ok).toBe(false);
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      expect(typeof readNpz(changed, "a").ok).toBe("boolean");
    }
  });

  test("lpuc run takes its input from one", async () => {
    const file = scratch.path("inputs.npz");
    writeFileSync(file, archive(members, false));
    const ran = await lpuc("run", one, "-i", `input_ids=@${file}`);
    expect([ran.status, ran.stderr.includes("its arrays: a, b")]).toEqual([1, true]);
  });
});

describe("completion and the manual page", () => {
  test("bash completes commands, options and values", async () => {
    const file = scratch.path("lpuc.bash");
    writeFileSync(file, (await lpuc("completion", "bash")).stdout);
    const replies = (words: readonly string[]): readonly string[] => {
      const script = `source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _lpuc; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim().split("\n");
    };
    expect(replies(["lpuc", ""])).toEqual(commandRows.map(({ name }) => name));
    expect(replies(["lpuc", "schedule", "p.lpu", "--format", "p"])).toEqual(["perfetto"]);
    expect(replies(["lpuc", "compile", "m.onnx", "--ch"])).toEqual(["--chips"]);
  });

  test("every shell's script knows every command; another shell is refused", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const document = await documentOf("completion", shell);
      for (const { name } of commandRows) expect(document.script).toContain(name);
    }
    const refused = await lpuc("completion", "fsh");
    expect([refused.status, refused.stderr.includes("fish")]).toEqual([2, true]);
  });

  test("the manual page has every command", () => {
    const page = readFileSync(join(root, "docs", "lpuc.1"), "utf8");
    for (const { name } of commandRows) expect(page).toContain(`.SS lpuc ${name}`);
  });
});
