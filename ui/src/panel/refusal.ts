/** What went wrong, in the language chosen. */

import { Refusal } from "../api/client";
import { say } from "../text";

/** The words for an error: the server's own where the language has none for its kind. */
export function refused(error: unknown): string {
  const { told } = say();
  if (!(error instanceof Refusal)) return error instanceof Error ? error.message : String(error);
  if (error.isSilence) return told.silent;
  return (told.problems as Record<string, string>)[error.kind] || error.message;
}
