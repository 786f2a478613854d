import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Doors of a running site, for `npm run dev` beside `hayat serve`. */
const doors = ["/api", "/fhir", "/dicomweb", "/realtime"];
const site = { target: "http://127.0.0.1:8000", changeOrigin: false };

export default defineConfig({
  plugins: [react(), tailwindcss()],
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
