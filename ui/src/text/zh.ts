/** Simplified Chinese. */

import type { Words } from "./index";
import { en } from "./en";

export const zh: Words = en;
