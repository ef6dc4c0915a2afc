/** Words of the page in the language chosen; `en.ts` is the measure of what there must be. */

import { address } from "../state/address";
import { en } from "./en";
import { zh } from "./zh";

type Widened<T> = T extends string
  ? string
  : T extends (...given: infer G) => string
    ? (...given: G) => string
    : { [K in keyof T]: Widened<T[K]> };

/** What every language has. */
export type Words = Widened<typeof en>;

const LANGUAGES: Record<"en" | "zh", Words> = { en, zh };

/** The words of the language chosen. */
export function say(): Words {
  return LANGUAGES[address.value.language];
}
