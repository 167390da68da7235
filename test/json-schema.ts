// A checker for the part of JSON Schema that src/schemas uses. An unknown keyword is an error, so that nothing is silently not checked.

type Json = unknown;
type Schema = Readonly<Record<string, unknown>>;

const ignored = new Set(["$schema", "title", "$defs"]);
const isRecord = (value: Json): value is Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function typeOf(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
}

function keywordProblems(
  keyword: string,
  wanted: unknown,
  schema: Schema,
  root: Schema,
  value: Json,
  at: string,
): string[] {
  const is = (holds: boolean, message: string): string[] => (holds ? [] : [`${at}: ${message}`]);
  switch (keyword) {
    case "type":
      return is(
        [wanted].flat().some((one) => one === typeOf(value) || (one === "number" && typeOf(value) === "integer")),
        `is ${typeOf(value)}, not ${wanted}`,
      );
    case "const":
      return is(value === wanted, `is ${JSON.stringify(value)}, not ${JSON.stringify(wanted)}`);
    case "enum":
      return is((wanted as Json[]).includes(value), `${JSON.stringify(value)} is none of ${JSON.stringify(wanted)}`);
    case "minimum":
      return is(typeof value !== "number" || value >= (wanted as number), `${value} is less than ${wanted}`);
    case "maximum":
      return is(typeof value !== "number" || value <= (wanted as number), `${value} is more than ${wanted}`);
    case "pattern":
      return is(
        typeof value !== "string" || new RegExp(wanted as string).test(value),
        `'${value}' does not match ${wanted}`,
      );
    case "minItems":
      return is(!Array.isArray(value) || value.length >= (wanted as number), `has fewer than ${wanted} items`);
    case "items":
      return Array.isArray(value)
        ? value.flatMap((item, i) => schemaProblems(wanted as Schema, item, `${at}[${i}]`, root))
        : [];
    case "properties":
      if (!isRecord(value)) return [];
      return Object.entries(wanted as Record<string, Schema>).flatMap(([name, inner]) =>
        Object.hasOwn(value, name) ? schemaProblems(inner, value[name], `${at}.${name}`, root) : [],
      );
    case "required":
      return isRecord(value)
        ? (wanted as string[]).filter((name) => !Object.hasOwn(value, name)).map((name) => `${at}: lacks ${name}`)
        : [];
    case "additionalProperties": {
      if (!isRecord(value)) return [];
      const known = (schema.properties ?? {}) as Schema;
      const others = Object.keys(value).filter((name) => !Object.hasOwn(known, name));
      if (wanted === false) return others.map((name) => `${at}: ${name} is not in the schema`);
      return others.flatMap((name) => schemaProblems(wanted as Schema, value[name], `${at}.${name}`, root));
    }
    case "anyOf": {
      const found = (wanted as Schema[]).map((inner) => schemaProblems(inner, value, at, root));
      return found.some((list) => list.length === 0)
        ? []
        : [`${at}: fits no alternative (${found.map((list) => list[0]).join(" | ")})`];
    }
    case "$ref":
      return schemaProblems(
        (root.$defs as Record<string, Schema>)[String(wanted).replace("#/$defs/", "")] as Schema,
        value,
        at,
        root,
      );
    default:
      return ignored.has(keyword) ? [] : [`${at}: the checker does not know the keyword ${keyword}`];
  }
}

/** What in `value` breaks `schema`. */
export function schemaProblems(schema: Schema, value: Json, at = "$", root: Schema = schema): string[] {
  return Object.entries(schema).flatMap(([keyword, wanted]) =>
    keywordProblems(keyword, wanted, schema, root, value, at),
  );
}
