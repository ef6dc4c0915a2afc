/** Hears from the stream what grew, so that the page asks anew when there is something to ask. */

import { link, news, newest } from "../state/feed";

/** The server says every five seconds that it lives. */
const SILENCE = 12_000;
const SOONEST = 500;
const LATEST = 8_000;
/** Between two renewals, so that a busy market does not keep the page busy, milliseconds. */
const REST = 3_000;

interface Message {
  type: "snapshot" | "delta" | "unsubscribed" | "error" | "beat";
  columns?: { last?: string[] };
}

let wait = SOONEST;
let silence = 0;
let resting = false;
let waiting = false;

/** Listen from now on; a lost connection is made anew by itself, and `lost` is told each time. */
export function follow(lost: () => void): void {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/v1/stream`);
  const alive = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), SILENCE) as unknown as number;
  };
  socket.onopen = () => {
    socket.send(JSON.stringify({ op: "subscribe", channel: "store" }));
    if (link.value === "lost") renew();
    link.set("live");
    wait = SOONEST;
    alive();
  };
  socket.onmessage = (event: MessageEvent<string>) => {
    alive();
    hear(JSON.parse(event.data) as Message);
  };
  socket.onclose = () => {
    clearTimeout(silence);
    link.set("lost");
    lost();
    setTimeout(follow, wait, lost);
    wait = Math.min(LATEST, wait * 2);
  };
}

function hear(message: Message): void {
  if (message.type !== "delta") return;
  const times = (message.columns?.last ?? []).map((time) => Date.parse(time) / 1000);
  const last = Math.max(newest.value ?? Number.NEGATIVE_INFINITY, ...times);
  if (Number.isFinite(last)) newest.set(last);
  renew();
}

/** Say that there is news: at once, but not again before a rest, and not while nobody looks. */
function renew(): void {
  if (resting || document.hidden) {
    waiting = true;
    return;
  }
  waiting = false;
  resting = true;
  news.set(news.value + 1);
  setTimeout(() => {
    resting = false;
    if (waiting) renew();
  }, REST);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && waiting) renew();
});
