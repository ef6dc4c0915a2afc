/** Where the data of a market end, and the way there and back. */

import { h } from "../../dom";
import { moment } from "../../format";
import { address, go } from "../../state/address";
import { say } from "../../text";
import { endAt } from "./load";

/** Words that lead to the range which ends at a moment; words alone where no map can show it. */
export function wayTo(last: number, text: string): HTMLElement {
  const end = endAt(address.value.symbol, last);
  if (end === null) return h("span", { class: "ends" }, text);
  const jump = (): void => go({ end, span: null, prices: null, cell: null }, true);
  return h("button", { class: "ends", title: say().symbol.goThere, onClick: jump }, text);
}

/** A button that leads back to the newest; null where that is shown. */
export function wayBack(): HTMLElement | null {
  const { end } = address.value;
  if (end === null) return null;
  const words = say().symbol;
  const back = (): void => go({ end: null, span: null, prices: null });
  return h(
    "button",
    { class: "button back", "data-key": "end", title: words.toNewest, onClick: back },
    `${words.until(moment(end))} ✕`,
  );
}
