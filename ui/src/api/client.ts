/** Questions to the server: addressed by its OpenAPI, answered in binary columns. */

import { COLUMNS, Table, decode } from "./columns";
import type { paths } from "./schema";

const BASE = "/api/v1";

type Questions = { [P in keyof paths & `/api/v1/${string}`]: paths[P] };
/** A path below `/api/v1`. */
export type Question = keyof Questions extends `/api/v1${infer Rest}` ? Rest : never;
type Parameter = string | number | boolean | string[] | null | undefined;
type Asked<Q extends Question> = `/api/v1${Q}` extends keyof paths
  ? paths[`/api/v1${Q}`] extends { get: { parameters: { query?: infer P } } }
    ? { [K in keyof P]?: Parameter }
    : Record<string, never>
  : Record<string, never>;

/** A refusal of the server, in its own words, or its silence. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    /** The last word of its type: which kind of problem it is. */
    readonly kind: string,
    detail: string,
  ) {
    super(detail);
  }

  /** Nothing is stored for the question; not a failure. */
  get isEmpty(): boolean {
    return this.status === 404;
  }

  /** The server did not answer. */
  get isSilence(): boolean {
    return this.status === 0;
  }
}

/** Ask; refusals and silence come as `Refusal`. */
export async function ask<Q extends Question>(
  question: Q,
  parameters: Asked<Q> = {} as Asked<Q>,
  signal?: AbortSignal,
): Promise<Table> {
  const response = await reach(link(question, parameters), COLUMNS, signal);
  return decode(await response.arrayBuffer());
}

/** Ask, and take "nothing is stored" as an empty table. */
export async function askOrEmpty<Q extends Question>(
  question: Q,
  parameters: Asked<Q> = {} as Asked<Q>,
  signal?: AbortSignal,
): Promise<Table> {
  try {
    return await ask(question, parameters, signal);
  } catch (error) {
    if (error instanceof Refusal && error.isEmpty) return Table.empty;
    throw error;
  }
}

/** The address of a question. */
export function link(question: string, parameters: Record<string, Parameter> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  const text = query.toString();
  return BASE + question + (text ? `?${text}` : "");
}

async function reach(url: string, form: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { Accept: form }, signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, "silence", "the server does not answer");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<Refusal> {
  const body = (await response.json().catch(() => ({}))) as { type?: string; detail?: string };
  return new Refusal(
    response.status,
    body.type?.split(":").at(-1) ?? "http",
    body.detail ?? response.statusText,
  );
}
