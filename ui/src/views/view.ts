/** What every view is: something that can be shown, follow the address, and go. */

import type { Address } from "../state/address";
import type { Keys } from "../shell/keyboard";

export interface View {
  element: HTMLElement;
  keys?: Keys;
  /** The address changed, but not the view. */
  follow: (now: Address, before: Address) => void;
  /** The server has something new. */
  renew: () => void;
  dispose: () => void;
}

/** Whether any of these parts of the address changed. */
export function changed(now: Address, before: Address, ...parts: (keyof Address)[]): boolean {
  return parts.some((part) => JSON.stringify(now[part]) !== JSON.stringify(before[part]));
}
