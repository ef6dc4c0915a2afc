/** Theme, language and time zone; kept for the next visit, and in the address. */

import { h } from "../dom";
import { type Address, address, go } from "../state/address";
import { say } from "../text";

const KEPT = ["theme", "language", "zone"] as const;
const PLACE = "plimsoll";
const ZONES = [
  "UTC",
  "America/New_York",
  "America/Chicago",
  "Europe/London",
  "Europe/Berlin",
  "Asia/Dubai",
  "Asia/Singapore",
  "Asia/Shanghai",
  "Asia/Tokyo",
];

/** What was chosen at an earlier visit. */
export function preferred(): Partial<Address> {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? "{}") as Partial<Address>;
  } catch {
    return {};
  }
}

function choose(change: Partial<Pick<Address, (typeof KEPT)[number]>>): void {
  go(change);
  const kept = Object.fromEntries(KEPT.map((name) => [name, address.value[name]]));
  try {
    localStorage.setItem(PLACE, JSON.stringify(kept));
  } catch {
    // Nothing is kept where the browser forbids it; the address still says it.
  }
}

export function toggleTheme(): void {
  choose({ theme: address.value.theme === "dark" ? "light" : "dark" });
}

export function toggleLanguage(): void {
  choose({ language: address.value.language === "en" ? "zh" : "en" });
}

export function settings(): HTMLElement {
  const words = say().settings;
  const { theme, language, zone } = address.value;
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [...new Set([...ZONES, local, zone])];
  return h(
    "div",
    { class: "settings" },
    h(
      "select",
      {
        class: "field zone",
        "aria-label": words.zone,
        title: words.zone,
        onChange: (event: Event) => choose({ zone: (event.target as HTMLSelectElement).value }),
      },
      ...zones.map((name) =>
        h("option", { value: name, selected: name === zone }, name.split("/").pop()!.replace("_", " ")),
      ),
    ),
    h(
      "button",
      { class: "button", onClick: toggleLanguage, title: words.language, lang: language === "en" ? "zh" : "en" },
      language === "en" ? "中文" : "English",
    ),
    h(
      "button",
      { class: "button icon", onClick: toggleTheme, title: `${words.theme} (t)`, "aria-label": words.theme },
      theme === "dark" ? "☀" : "☾",
    ),
  );
}
