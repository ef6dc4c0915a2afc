import { h } from "../../dom";
import type { View } from "../view";

export function optionsView(): View {
  return { element: h("div", { class: "view" }), follow: () => {}, renew: () => {}, dispose: () => {} };
}
