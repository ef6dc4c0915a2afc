/** Elements, without a framework: one function makes them, one takes them away. */

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | Listener>;
type Listener = (event: never) => void;

/** Make an element. Attributes that begin with "on" are listeners; null and false are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...shown(children));
  return element;
}

/** Make an element of SVG. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...shown(children));
  return element;
}

/** Put new children in the place of the old ones. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...shown(children));
}

const tokens = new Map<string, string>();

/** Return the value of a custom property of the theme; canvases ask often. */
export function token(name: string): string {
  const root = document.documentElement;
  const key = `${root.dataset["theme"]} ${name}`;
  let value = tokens.get(key);
  if (value === undefined) {
    value = getComputedStyle(root).getPropertyValue(`--${name}`).trim();
    if (value) tokens.set(key, value);
  }
  return value;
}

/** What has to be undone when a view goes. */
export class Disposal {
  #undo: (() => void)[] = [];

  add(undo: () => void): void {
    this.#undo.push(undo);
  }

  /** Listen until disposed of. */
  listen<K extends keyof WindowEventMap>(
    target: EventTarget,
    type: K | string,
    listener: (event: WindowEventMap[K]) => void,
    options?: AddEventListenerOptions,
  ): void {
    target.addEventListener(type, listener as EventListener, options);
    this.add(() => target.removeEventListener(type, listener as EventListener, options));
  }

  dispose(): void {
    for (const undo of this.#undo.reverse()) undo();
    this.#undo = [];
  }
}

function shown(children: Child[]): (Node | string)[] {
  return children
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : (child as Node | string)));
}

function set(element: Element, name: string, value: Attributes[string]): void {
  if (value === null || value === undefined || value === false) return;
  if (name === "style") {
    (element as HTMLElement).style.cssText = String(value); // the policy of the page forbids the attribute
  } else if (typeof value === "function") {
    element.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}
