/** Choose a coin or a symbol by typing. */

import { h } from "../dom";
import { address, go } from "../state/address";
import { markets } from "../state/markets";
import { say } from "../text";

export function picker(): HTMLElement {
  const words = say().shell;
  const options = h("datalist", { id: "markets" });
  const fillOptions = (): void => {
    const { coins, symbols } = markets.value;
    options.replaceChildren(...[...coins, ...symbols].map((name) => h("option", { value: name })));
  };
  fillOptions();
  markets.subscribe(fillOptions);
  const input = h("input", {
    class: "field picker",
    id: "picker",
    list: "markets",
    type: "search",
    placeholder: words.find,
    "aria-label": words.find,
    title: `${words.find} (/)`,
    autocomplete: "off",
    spellcheck: "false",
    onChange: () => choose(),
    onKeydown: (event: KeyboardEvent) => {
      if (event.key === "Enter") choose();
      if (event.key === "Escape") input.blur();
    },
  });
  const choose = (): void => {
    const { coins, symbols } = markets.value;
    const typed = input.value.trim().toUpperCase();
    const all = [...coins, ...symbols];
    const found = all.find((name) => name.toUpperCase() === typed) ??
      all.find((name) => typed && name.toUpperCase().startsWith(typed));
    if (!found) return;
    input.value = "";
    input.blur();
    const view = address.value.view === "market" || address.value.view === "data" ? "symbol" : address.value.view;
    go({ view, symbol: found, exchanges: [], span: null, prices: null, cell: null, expiry: "" }, true);
  };
  return h("div", { class: "find" }, input, options);
}
