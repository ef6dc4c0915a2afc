/** Whether the server is there, and how fresh what it has is. */

import { Cell } from "./cell";

export type Link = "connecting" | "live" | "lost";

/** The state of the connection. */
export const link = new Cell<Link>("connecting");

/** Counts up whenever the server said that something is new, or came back. */
export const news = new Cell(0);

/** The newest moment that is stored, in seconds; null before it is known. */
export const newest = new Cell<number | null>(null);

/** Whether what is stored was simulated. */
export const simulated = new Cell(false);
