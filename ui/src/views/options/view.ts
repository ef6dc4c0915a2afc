/** Options: what they say, and what they hide. */

import { h } from "../../dom";
import { Panel } from "../../panel/panel";
import { say } from "../../text";
import type { View } from "../view";

export function optionsView(): View {
  const words = say().options;
  const panel = new Panel({ title: words.title, name: "options" });
  panel.empty(words.soon, words.todo);
  return {
    element: h("div", { class: "view options" }, panel.element),
    follow: () => {},
    renew: () => {},
    dispose: () => {},
  };
}
