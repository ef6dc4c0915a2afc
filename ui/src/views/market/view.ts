import { h } from "../../dom";
import type { View } from "../view";

export function marketView(): View {
  return { element: h("div", { class: "view" }), follow: () => {}, renew: () => {}, dispose: () => {} };
}
