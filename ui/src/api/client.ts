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

/** How far an answer has come, the widest stage first. */
export interface Stage {
  name: string;
  done: number;
  of: number;
}
/** Hears how far an answer has come, about every second. */
export type Told = (stages: Stage[]) => void;

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

/** Ask; refusals and silence come as `Refusal`. `told` hears how far a long answer is. */
export async function ask<Q extends Question>(
  question: Q,
  parameters: Asked<Q> = {} as Asked<Q>,
  signal?: AbortSignal,
  told?: Told,
): Promise<Table> {
  const response = await reach(link(question, parameters), signal, told);
  return decode(await response.arrayBuffer());
}

/** Ask, and take "nothing is stored" as an empty table. */
export async function askOrEmpty<Q extends Question>(
  question: Q,
  parameters: Asked<Q> = {} as Asked<Q>,
  signal?: AbortSignal,
  told?: Told,
): Promise<Table> {
  try {
    return await ask(question, parameters, signal, told);
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

/** Ask again while the answer is being made: each time the server waits a second, and says how far it is. */
async function reach(url: string, signal?: AbortSignal, told?: Told): Promise<Response> {
  const headers: Record<string, string> = told ? { Accept: COLUMNS, Prefer: "wait=1" } : { Accept: COLUMNS };
  for (;;) {
    let response: Response;
    try {
      response = await fetch(url, { headers, signal: signal ?? null });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Refusal(0, "silence", "the server does not answer");
    }
    if (!response.ok) throw await refusal(response);
    if (response.status !== 202) return response;
    const { stages } = (await response.json()) as { stages: Stage[] };
    told?.(stages);
  }
}

async function refusal(response: Response): Promise<Refusal> {
  const body = (await response.json().catch(() => ({}))) as { type?: string; detail?: string };
  return new Refusal(
    response.status,
    body.type?.split(":").at(-1) ?? "http",
    body.detail ?? response.statusText,
  );
}
