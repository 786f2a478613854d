import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Doors of a running site, for `npm run dev` beside `hayat serve`. */
const doors = ["/api", "/fhir", "/dicomweb", "/realtime"];
const site = { target: "http://127.0.0.1:8000", changeOrigin: false };

/** Cornerstone's labels of measurements set a style attribute, which the page's policy forbids: set it through the CSSOM. */
const labels: Plugin = {
  name: "labels-within-the-policy",
  transform(code, id) {
    if (!id.endsWith("/drawingSvg/drawTextBox.js")) return undefined;
    const forbidden = "textElement.setAttribute('style', combinedStyle)";
    if (!code.includes(forbidden)) this.error("drawTextBox.js has changed: see whether it still sets a style attribute");
    return { code: code.replace(forbidden, "textElement.style.cssText = combinedStyle"), map: null };
  },
};

export default defineConfig({
  plugins: [react(), tailwindcss(), labels],
  worker: { format: "es" },
  optimizeDeps: { exclude: ["@cornerstonejs/dicom-image-loader"], include: ["dicom-parser"] },
  build: { target: "es2022", assetsInlineLimit: 0, manifest: true, reportCompressedSize: false, chunkSizeWarningLimit: 4000 },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"], testTimeout: 120_000, restoreMocks: true, unstubGlobals: true },
  server: {
    proxy: {
      ...Object.fromEntries(doors.map((door) => [door, site])),
      "/socket.io": { ...site, ws: true },
      "/peerjs": { ...site, ws: true },
    },
  },
});
