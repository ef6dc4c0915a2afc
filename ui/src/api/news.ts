/** Hears of what is new: the page asks anew when there is something. */

import { link, news } from "../state/feed";

/** How often the server is asked whether there is news, milliseconds. */
const EVERY = 5_000;

let tag = "";

/** Look for news from now on. */
export function follow(): void {
  setInterval(() => void look(), EVERY);
}

async function look(): Promise<void> {
  if (document.hidden) return;
  try {
    const response = await fetch("/api/v1/about", { headers: { Accept: "application/json" } });
    if (!response.ok) return;
    const body = await response.text();
    const isNew = (tag !== "" && body !== tag) || link.value === "lost";
    tag = body;
    link.set("live");
    if (isNew) news.set(news.value + 1);
  } catch {
    link.set("lost");
  }
}
