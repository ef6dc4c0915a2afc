import { defineConfig } from "vite";

/** Where `npm run dev` finds a running `plimsoll serve`. */
const server = process.env["PLIMSOLL_SERVER"] ?? "http://127.0.0.1:8686";

export default defineConfig({
  base: "./",
  build: { target: "es2023", emptyOutDir: true, assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  server: {
    proxy: {
      "/api": { target: server, ws: true },
      "/healthz": { target: server },
    },
  },
});
