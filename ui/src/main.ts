/** Mounts the page. */

import "./theme.css";
import "./base.css";
import "./shell/shell.css";
import "./panel/panel.css";
import "./views/symbol/symbol.css";
import "./views/tables.css";
import { start } from "./shell/start";

start(document.getElementById("app")!);
