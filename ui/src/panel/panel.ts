/** A panel: a title, what can be taken from it, and a body that is always in a known state. */

import { Refusal } from "../api/client";
import { fill, h } from "../dom";
import { say } from "../text";
import { refused } from "./refusal";
import { type Sheet, saveCsv, savePng } from "./export";

export interface PanelOptions {
  title: string;
  /** Names the files. */
  name: string;
  /** What it holds, for those who read rather than look. */
  sheet?: () => Sheet;
  /** Of the title's row. */
  tools?: (Node | null)[];
  note?: string;
  className?: string;
}

export class Panel {
  readonly body = h("div", { class: "panel-body" });
  readonly element: HTMLElement;
  readonly #state = h("div", { class: "panel-state", hidden: true });
  readonly #note = h("span", { class: "panel-note" });
  readonly #summary = h("p", { class: "unseen" });

  constructor(readonly options: PanelOptions) {
    const words = say().panel;
    const id = `panel-${options.name}`;
    this.note(options.note ?? "");
    const take = options.sheet
      ? [
          h("button", { class: "take", title: words.png, onClick: () => this.png() }, "PNG"),
          h("button", { class: "take", title: words.csv, onClick: () => this.csv() }, "CSV"),
        ]
      : [];
    this.element = h(
      "section",
      { class: `panel ${options.className ?? ""}`, "aria-labelledby": id, tabindex: -1 },
      h(
        "header",
        { class: "panel-head" },
        h("h2", { id }, options.title),
        this.#note,
        h("span", { class: "spring" }),
        ...(options.tools ?? []),
        h("span", { class: "takes" }, ...take),
      ),
      this.#summary,
      this.body,
      this.#state,
    );
    this.loading();
  }

  /** Say beside the title what must be known of the numbers. */
  note(text: string): void {
    this.#note.textContent = text;
    this.#note.title = text;
  }

  /** Say in words what the panel shows. */
  summary(text: string): void {
    this.#summary.textContent = text;
  }

  loading(): void {
    if (this.element.dataset["state"] === "ready") return; // what is shown stays until it is replaced
    this.#show("loading", h("div", { class: "skeleton", role: "status" }, say().panel.loading));
  }

  ready(): void {
    this.element.dataset["state"] = "ready";
    this.#state.hidden = true;
    this.body.inert = false;
  }

  empty(what: string, todo = ""): void {
    this.#show("empty", h("p", {}, what), todo ? h("p", { class: "dim" }, todo) : null);
  }

  /** Say what went wrong, and offer to try again. */
  failed(error: unknown, again: () => void): void {
    const words = say().panel;
    if (error instanceof Refusal && error.isEmpty) {
      this.empty(words.nothing, refused(error));
      return;
    }
    if (error instanceof Refusal && error.isSilence && this.element.dataset["state"] === "ready") {
      return; // the banner says it; what is shown is the last that is known
    }
    this.#show(
      "failed",
      h("p", { class: "bad", role: "alert" }, words.failed),
      h("p", { class: "dim" }, refused(error)),
      h("button", { class: "button", onClick: again }, words.again),
    );
  }

  csv(): void {
    if (this.options.sheet) saveCsv(this.options.name, this.options.sheet());
  }

  png(): void {
    savePng(this.options.name, this.element);
  }

  #show(state: string, ...children: (Node | null)[]): void {
    this.element.dataset["state"] = state;
    this.body.inert = true;
    this.#state.hidden = false;
    fill(this.#state, ...children);
  }
}
