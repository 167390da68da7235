// Tokenizers: pieces with scores, joined by best score first (byte-pair encoding as llama2.c does it), from JSON or from llama2.c's binary form; or a list
// of single characters. Pure; knows bytes, not files.
import { isRecord } from "./json-value.ts";

export interface Tokenizer {
  /** Token that ends a text. */
  readonly end: number | undefined;
  readonly size: number;
  /** The text's tokens, with the one that it begins with; a text where a character has none. */
  readonly encode: (text: string) => readonly number[] | string;
  /** The text of tokens. */
  readonly decode: (tokens: readonly number[]) => string;
}

/** What the pieces of a binary file mean, by convention: llama2.c, run.c. */
const BINARY_BEGIN = 1;
const BINARY_END = 2;
const BINARY_BYTES = 3;
/** Between a text and the first of its pieces. */
const WORD_START = " ";

interface Pieces {
  readonly pieces: readonly string[];
  readonly scores: readonly number[];
  readonly begin: number | undefined;
  readonly end: number | undefined;
  /** Token of byte 0; the 255 others follow. */
  readonly firstByte: number | undefined;
}

/** Tokens of a text without what it begins with: characters, then the best pair joined again and again. */
function joined(
  text: string,
  ids: ReadonlyMap<string, number>,
  { pieces, scores, firstByte }: Pieces,
): number[] | string {
  const tokens: number[] = [];
  for (const character of text) {
    const id = ids.get(character);
    if (id !== undefined) tokens.push(id);
    else if (firstByte !== undefined)
      for (const byte of new TextEncoder().encode(character)) tokens.push(firstByte + byte);
    else return `it has no token for '${character}'`;
  }
  for (;;) {
    let best = { score: Number.NEGATIVE_INFINITY, at: -1, id: -1 };
    for (let at = 0; at + 1 < tokens.length; at++) {
      const id = ids.get(`${pieces[tokens[at] as number]}${pieces[tokens[at + 1] as number]}`);
      const score = id === undefined ? Number.NEGATIVE_INFINITY : (scores[id] ?? 0);
      if (id !== undefined && score > best.score) best = { score, at, id };
    }
    if (best.at < 0) return tokens;
    tokens.splice(best.at, 2, best.id);
  }
}

function bytesOfPiece(piece: string): Uint8Array {
  const [, code] = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece) ?? [];
  return code === undefined ? new TextEncoder().encode(piece) : Uint8Array.of(Number.parseInt(code, 16));
}

function pieceTokenizer(table: Pieces): Tokenizer {
  const { pieces, begin, end } = table;
  // Of equal pieces the first counts.
  const ids = new Map<string, number>();
  pieces.forEach((piece, id) => {
    if (!ids.has(piece)) ids.set(piece, id);
  });
  return {
    end,
    size: pieces.length,
    encode: (text) => {
      const tokens = text === "" ? [] : joined(`${WORD_START}${text}`, ids, table);
      return typeof tokens === "string" ? tokens : [...(begin === undefined ? [] : [begin]), ...tokens];
    },
    decode: (tokens) => {
      const told = tokens.filter((token) => token !== begin && token !== end);
      const chunks = told.map((token) => bytesOfPiece(pieces[token] ?? ""));
      const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
      let at = 0;
      for (const chunk of chunks) {
        bytes.set(chunk, at);
        at += chunk.length;
      }
      const text = new TextDecoder().decode(bytes);
      return text.startsWith(WORD_START) ? text.slice(WORD_START.length) : text;
    },
  };
}

/** Every token one character (or word) of a list; a text has no beginning of its own. */
function listTokenizer(vocabulary: readonly string[]): Tokenizer {
  const ids = new Map(vocabulary.map((word, id) => [word, id]));
  return {
    end: undefined,
    size: vocabulary.length,
    encode: (text) => {
      const tokens: number[] = [];
      for (const character of text) {
        const id = ids.get(character);
        if (id === undefined) return `it has no token for '${character}'`;
        tokens.push(id);
      }
      return tokens;
    },
    decode: (tokens) => tokens.map((token) => vocabulary[token] ?? "").join(""),
  };
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string");

function tokenOf(value: unknown, size: number): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < size ? value : undefined;
}

const forms =
  "{pieces, scores, bos?, eos?, byteOffset?}, {vocabulary} with a token for each character, or llama2.c's binary form";

function fromJson(json: unknown): Tokenizer | string {
  if (isRecord(json) && isTexts(json.vocabulary)) return listTokenizer(json.vocabulary);
  if (isRecord(json) && isTexts(json.pieces) && Array.isArray(json.scores)) {
    const { pieces, scores } = json;
    if (scores.length !== pieces.length || !scores.every((score) => typeof score === "number"))
      return `it has ${pieces.length} pieces and ${scores.length} scores`;
    const firstByte = tokenOf(json.byteOffset, pieces.length - 255);
    const [begin, end] = [tokenOf(json.bos, pieces.length), tokenOf(json.eos, pieces.length)];
    return pieceTokenizer({ pieces, scores, begin, end, firstByte });
  }
  return `it has none of the forms that lpuc reads: ${forms}`;
}

/** llama2.c: the longest piece's length, then for every piece its score (float32), its length and its bytes. */
function fromBinary(bytes: Uint8Array): Tokenizer | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: string[] = [];
  const scores: number[] = [];
  for (let at = 4; at < bytes.length; ) {
    const length = at + 8 <= bytes.length ? view.getUint32(at + 4, true) : Number.POSITIVE_INFINITY;
    if (at + 8 + length > bytes.length) return `it has none of the forms that lpuc reads: ${forms}`;
    scores.push(view.getFloat32(at, true));
    pieces.push(new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length)));
    at += 8 + length;
  }
  if (pieces.length <= BINARY_BYTES + 255) return `it has ${pieces.length} pieces: too few for the 256 bytes`;
  return pieceTokenizer({ pieces, scores, begin: BINARY_BEGIN, end: BINARY_END, firstByte: BINARY_BYTES });
}

/** The tokenizer in a file; a text that says what is wrong with it. */
export function readTokenizer(bytes: Uint8Array): Tokenizer | string {
  const isText = /^\s*[{[]/.test(new TextDecoder().decode(bytes.subarray(0, 64)));
  if (!isText) return fromBinary(bytes);
  try {
    return fromJson(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    return `it is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}
