import { createRoot } from "react-dom/client";
import { setNonce } from "get-nonce";
import { App } from "./app";
import { startPreferences } from "./preferences";
import "./style.css";

const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;
if (nonce) setNonce(nonce);
const root = document.getElementById("root");
if (!root) throw new Error("the page has no root element");
await startPreferences();
createRoot(root).render(<App />);
