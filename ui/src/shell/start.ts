/** Brings the parts together: the frame, the view that the address names, and the news. */

import { Refusal, ask } from "../api/client";
import { follow as followNews } from "../api/news";
import { fill } from "../dom";
import { type Address, type View as Name, address, follow } from "../state/address";
import { link, news, simulated } from "../state/feed";
import { take } from "../state/markets";
import { dataView } from "../views/data/view";
import { fundingView } from "../views/funding/view";
import { marketView } from "../views/market/view";
import { optionsView } from "../views/options/view";
import { symbolView } from "../views/symbol/view";
import type { View } from "../views/view";
import { listen, setKeys } from "./keyboard";
import { preferred } from "./settings";
import { shell } from "./shell";
import { say } from "../text";
import { signIn } from "./signin";

const VIEWS: Record<Name, () => View> = {
  market: marketView,
  symbol: symbolView,
  options: optionsView,
  funding: fundingView,
  data: dataView,
};

let shown: View | null = null;
let main: HTMLElement | null = null;

export async function start(root: HTMLElement): Promise<void> {
  follow(preferred());
  frame(root);
  listen();
  address.subscribe((now, before) => {
    if (now.theme !== before.theme || now.language !== before.language || now.zone !== before.zone) {
      frame(root);
      mount();
    } else if (now.view !== before.view) mount();
    else shown?.follow(now, before);
    titled(now);
  });
  news.subscribe(() => void renew());
  await status();
  mount();
  followNews(() => void admit());
}

function frame(root: HTMLElement): void {
  const { theme, language } = address.value;
  document.documentElement.dataset["theme"] = theme;
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  const made = shell();
  main = made.main;
  fill(root, made.element);
  titled(address.value);
}

function mount(): void {
  shown?.dispose();
  shown = VIEWS[address.value.view]();
  setKeys(shown.keys ?? {});
  fill(main!, shown.element);
}

function titled({ view, symbol }: Address): void {
  document.title = view === "symbol" ? `${symbol} · Plimsoll` : `${say().views[view]} · Plimsoll`;
}

/** Learn what is stored; where a token is needed, ask for it. */
async function status(): Promise<void> {
  try {
    const [stored] = await Promise.all([ask("/status"), about()]);
    take(stored);
    link.set("live");
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      await signIn();
      return status();
    }
    link.set(error instanceof Refusal && error.isSilence ? "lost" : "live");
  }
}

/** A stream is refused without a word: where it is for the token, as after a restart, ask for it. */
async function admit(): Promise<void> {
  const response = await fetch("/api/v1/about").catch(() => null);
  if (response?.status !== 401) return;
  await signIn();
  await renew();
}

async function about(): Promise<void> {
  const response = await fetch("/api/v1/about");
  if (response.ok) simulated.set(((await response.json()) as { simulated: boolean }).simulated);
}

async function renew(): Promise<void> {
  await status();
  shown?.renew();
}
